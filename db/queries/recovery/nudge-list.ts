/** Nudges for the API, including those whose case is gone: a late fact can remove a case. */
import { and, desc, eq, inArray, sql } from "drizzle-orm"
import type { ChannelName } from "../../../shared/domain/facts.ts"
import type { NudgeStatus } from "../../../shared/domain/recovery/nudges.ts"
import { type Db, inCompany } from "../../client.ts"
import { nudges } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"
import type { NudgeRow } from "./cases.ts"
import { matchesCustomer } from "./customers.ts"

/** Filters of a list of nudges. */
export interface NudgeFilter {
  readonly status?: NudgeStatus | undefined
  readonly channel?: ChannelName | undefined
  readonly caseId?: string | undefined
  /** Our id of the customer, or the provider's. */
  readonly customerId?: string | undefined
}

/** `sending` is shown as planned. `unknown` is a literal, so that its partial index can be used. */
function statusCondition(status: NudgeStatus | undefined) {
  if (status === undefined) return undefined
  if (status === "unknown") return sql`${nudges.status} = 'unknown'`
  return status === "planned" ? inArray(nudges.status, ["planned", "sending"]) : eq(nudges.status, status)
}

/** A page of a company's nudges, the latest due time first. */
export async function listNudges(
  db: Db,
  companyId: string,
  filter: NudgeFilter,
  page: PageRequest,
): Promise<Page<NudgeRow>> {
  const { after } = page
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(nudges)
      .where(
        and(
          eq(nudges.companyId, companyId),
          // Always true, and stated by the index of the list.
          sql`${nudges.dueAt} < 'infinity'`,
          statusCondition(filter.status),
          filter.channel && eq(nudges.channel, filter.channel),
          filter.caseId === undefined ? undefined : eq(nudges.caseId, filter.caseId),
          filter.customerId === undefined
            ? undefined
            : matchesCustomer(db, nudges.customerId, companyId, filter.customerId),
          after === null
            ? undefined
            : sql`(${nudges.dueAt}, ${nudges.id}) < (${after.at.toISOString()}::timestamptz, ${after.id})`,
        ),
      )
      .orderBy(desc(nudges.dueAt), desc(nudges.id))
      .limit(page.limit + 1),
  ])
  return pageOf(rows, page, (row) => ({ at: row.dueAt, id: row.id }))
}
