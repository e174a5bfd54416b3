/** Nudges for the API, including those whose case is gone: a late fact can remove a case. */
import { and, between, desc, eq, getTableColumns, inArray, sql } from "drizzle-orm"
import type { ChannelName } from "../../../shared/domain/facts.ts"
import type { NudgeStatus } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { type Db, inCompany } from "../../client.ts"
import { nudges } from "../../schema.ts"
import { afterPosition, foundPageOf, lookingUp, type Page, type PageRequest, searching } from "../platform/page.ts"
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
  const { from, where, columns } = nudgeSource(db, companyId, filter, page)
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ ...getTableColumns(nudges), ...columns })
      .from(from)
      .where(where)
      .orderBy(desc(nudges.dueAt), desc(nudges.id))
      .limit(page.limit + 1),
  ])
  return foundPageOf(rows, page, (row) => ({ at: row.dueAt, id: row.id }))
}

/** The latest due first. */
const ORDER = { at: nudges.dueAt, id: nudges.id }

function nudgeSource(db: Db, companyId: string, filter: NudgeFilter, { after }: PageRequest) {
  const within = and(eq(nudges.companyId, companyId), afterPosition(ORDER, after))
  const matches = and(
    statusCondition(filter.status),
    filter.channel && eq(nudges.channel, filter.channel),
    filter.caseId === undefined ? undefined : eq(nudges.caseId, filter.caseId),
  )
  const few = and(
    filter.customerId === undefined ? undefined : matchesCustomer(db, nudges.customerId, companyId, filter.customerId),
    // The id of a nudge begins with that of its case, and "/" comes after ".".
    filter.caseId === undefined ? undefined : between(nudges.id, `${filter.caseId}.`, `${filter.caseId}/`),
    // Has a partial index.
    filter.status === "unknown" ? statusCondition(filter.status) : undefined,
  )
  if (few !== undefined) return lookingUp(nudges, and(within, few, matches))
  // Always true, and stated by the index of the list.
  const listed = and(within, sql`${nudges.dueAt} < 'infinity'`)
  return searching(nudges, ORDER, { within: listed, matches })
}
