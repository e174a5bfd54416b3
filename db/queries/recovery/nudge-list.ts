/** Nudges as people look at them, whatever became of their case: a late fact may tell that there never was one. */
import { and, desc, eq, inArray, sql } from "drizzle-orm"
import type { ChannelName } from "../../../shared/domain/facts.ts"
import type { NudgeStatus } from "../../../shared/domain/recovery/nudges.ts"
import { type Db, inCompany } from "../../client.ts"
import { nudges } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"
import type { NudgeRow } from "./cases.ts"
import { matchesCustomer } from "./customers.ts"

/** What a list of nudges may be narrowed to. */
export interface NudgeFilter {
  readonly status?: NudgeStatus | undefined
  readonly channel?: ChannelName | undefined
  readonly caseId?: string | undefined
  /** Our id of the customer, or the provider's. */
  readonly customerId?: string | undefined
}

/** One on its way is still planned to whoever looks. `unknown` is written out, so that the index of these alone may serve. */
function statusCondition(status: NudgeStatus | undefined) {
  if (status === undefined) return undefined
  if (status === "unknown") return sql`${nudges.status} = 'unknown'`
  return status === "planned" ? inArray(nudges.status, ["planned", "sending"]) : eq(nudges.status, status)
}

/** A page of a company's nudges, those that were due last first. */
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
