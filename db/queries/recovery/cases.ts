/** Recovery cases for the API, with their nudges and timeline. */
import { and, asc, eq, getTableColumns, type SQL, sql } from "drizzle-orm"
import type { ChannelName, FactBody, Instant, ProviderName } from "../../../shared/domain/facts.ts"
import type { CaseSort } from "../../../shared/domain/recovery/case-sorts.ts"
import { paymentCaseId } from "../../../shared/domain/recovery/fold/cases.ts"
import type { CaseKind, CaseStatus } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { customers, nudges, recoveryCases } from "../../schema.ts"
import {
  afterPosition,
  foundPageOf,
  type ListOrder,
  lookingUp,
  orderBy,
  type Page,
  type PageRequest,
  searching,
} from "../platform/page.ts"
import { matchesCustomer } from "./customers.ts"
import { readWhole, type Stream } from "./ledger-pages.ts"
import { type StreamRow, streamFrom } from "./stream.ts"

/** Filters of a list of cases. */
export interface CaseFilter {
  readonly status?: CaseStatus | undefined
  readonly kind?: CaseKind | undefined
  readonly provider?: ProviderName | undefined
  /** Our id of the customer, or the provider's. */
  readonly customerId?: string | undefined
  readonly subscriptionId?: string | undefined
  readonly invoiceId?: string | undefined
  readonly declineCode?: string | undefined
  readonly cause?: string | undefined
  readonly currency?: string | undefined
  /** A message of the case was sent on it. */
  readonly channel?: ChannelName | undefined
  /** Digits: the case is about this amount or more, in minor units of its currency. */
  readonly amountMinorMin?: string | undefined
  /** Days (UTC): the case opened on one of them or between. */
  readonly openedFrom?: string | undefined
  readonly openedTo?: string | undefined
  /** False: treated, or opened before the hold-out existed. */
  readonly heldOut?: boolean | undefined
  /** `opened` when it is missing. */
  readonly sort?: CaseSort | undefined
}

export type CaseRow = typeof recoveryCases.$inferSelect & { readonly providerCustomerId: string }
export type NudgeRow = typeof nudges.$inferSelect

/** A fact with the time at which it was recorded. */
export interface TimelineEntry {
  readonly id: string
  readonly occurredAt: Instant
  readonly recordedAt: Instant
  readonly body: FactBody
}

/** Only the latest facts are returned. */
const TIMELINE_MAX = 500

/** A page of a company's cases in the order of the filter. By amount only open cases are listed, by closing only closed ones. */
export async function listCases(
  db: Db,
  companyId: string,
  filter: CaseFilter,
  page: PageRequest<Date | number>,
): Promise<Page<CaseRow, Date | number>> {
  const order = ORDERS[filter.sort ?? "opened"]
  const { from, where, columns } = caseSource(db, companyId, filter, order, page)
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ ...CASE_COLUMNS, ...columns })
      .from(from)
      .innerJoin(customers, isCustomerOfCase)
      .where(where)
      .orderBy(...orderBy(order))
      .limit(page.limit + 1),
  ])
  return foundPageOf(rows, page, (row) => ({ at: order.valueOf(row), id: row.id }))
}

const { id, openedAt, amountMinor, closedAt } = recoveryCases

/** What each order sorts by, and the condition of its index, as literals so that a partial index can be used. */
const ORDERS = {
  opened: { at: openedAt, id, valueOf: (row) => row.openedAt },
  oldest: { at: openedAt, id, isAscending: true, valueOf: (row) => row.openedAt },
  amount: { at: amountMinor, id, valueOf: (row) => row.amountMinor, listed: sql`${recoveryCases.status} = 'open'` },
  closed: { at: closedAt, id, valueOf: closingOf, listed: sql`${closedAt} is not null` },
} as const satisfies Record<CaseSort, CaseOrder>

interface CaseOrder extends ListOrder {
  readonly valueOf: (row: CaseRow) => Date | number
  readonly listed?: SQL
}

function closingOf(row: CaseRow): Date {
  if (row.closedAt === null) throw new Error("an open case among the closed ones")
  return row.closedAt
}

function caseSource(
  db: Db,
  companyId: string,
  filter: CaseFilter,
  order: CaseOrder,
  { after }: PageRequest<Date | number>,
) {
  const is = (column: (typeof recoveryCases)[keyof CaseFilter & keyof CaseRow], value: string | undefined) =>
    value === undefined ? undefined : eq(column, value)
  const within = and(
    eq(recoveryCases.companyId, companyId),
    is(recoveryCases.status, filter.status),
    filter.openedFrom === undefined
      ? undefined
      : sql`${recoveryCases.openedAt} >= ${`${filter.openedFrom}T00:00:00Z`}::timestamptz`,
    filter.openedTo === undefined
      ? undefined
      : sql`${recoveryCases.openedAt} < ${`${filter.openedTo}T00:00:00Z`}::timestamptz + interval '1 day'`,
    order.listed,
    afterPosition(order, after),
  )
  const matches = and(
    is(recoveryCases.kind, filter.kind),
    is(recoveryCases.provider, filter.provider),
    is(recoveryCases.declineCode, filter.declineCode),
    is(recoveryCases.cause, filter.cause),
    is(recoveryCases.currency, filter.currency),
    filter.amountMinorMin === undefined
      ? undefined
      : sql`${recoveryCases.amountMinor} >= ${filter.amountMinorMin}::bigint`,
    filter.channel === undefined
      ? undefined
      : // For each case that is searched; as `exists` it would read all messages.
        sql`(select true from ${nudges} n where n.company_id = ${companyId} and n.customer_id = ${recoveryCases.customerId}
          and n.case_id = ${recoveryCases.id} and n.channel = ${filter.channel} and n.status = 'sent' limit 1)`,
    filter.heldOut === undefined
      ? undefined
      : sql`(${recoveryCases.arm} is not distinct from 'held_out') = ${filter.heldOut}`,
  )
  const few = and(
    filter.customerId === undefined
      ? undefined
      : matchesCustomer(db, recoveryCases.customerId, companyId, filter.customerId),
    // Only cases of payments have an invoice.
    is(recoveryCases.invoiceId, filter.invoiceId),
    filter.invoiceId === undefined ? undefined : eq(recoveryCases.id, paymentCaseId(filter.invoiceId)),
    is(recoveryCases.subscriptionId, filter.subscriptionId),
  )
  return few === undefined
    ? searching(recoveryCases, order, { within, matches })
    : lookingUp(recoveryCases, and(within, few, matches))
}

/** One case with its nudges, by due time, and its timeline, in ledger order; null when the company has no such case. */
export async function readCase(
  db: Db,
  companyId: string,
  caseId: string,
): Promise<{
  readonly row: CaseRow
  readonly nudges: readonly NudgeRow[]
  readonly timeline: readonly TimelineEntry[]
} | null> {
  const [rows, ownNudges, timeline] = await inCompany(db, companyId, [
    db
      .select(CASE_COLUMNS)
      .from(recoveryCases)
      .innerJoin(customers, isCustomerOfCase)
      .where(and(eq(recoveryCases.companyId, companyId), eq(recoveryCases.id, caseId))),
    db
      .select()
      .from(nudges)
      .where(
        and(
          eq(nudges.companyId, companyId),
          eq(nudges.caseId, caseId),
          // The index is by customer.
          sql`${nudges.customerId} = (select ${recoveryCases.customerId} from ${recoveryCases}
            where ${recoveryCases.companyId} = ${companyId} and ${recoveryCases.id} = ${caseId})`,
        ),
      )
      .orderBy(asc(nudges.dueAt), asc(nudges.id)),
    timelineStatement(db, companyId, caseId),
  ])
  const [row] = rows
  if (!row) return null
  const entries = timeline.rows.map(({ id, occurred_at, recorded_at, body }) => ({
    id,
    occurredAt: new Date(occurred_at).toISOString(),
    recordedAt: new Date(recorded_at).toISOString(),
    body,
  }))
  return { row, nudges: ownNudges, timeline: entries.reverse() }
}

/** The whole stream of a case's customer; null when the company has no such case. */
export const loadStreamOfCase = (db: Db, companyId: string, caseId: string): Promise<Stream | null> =>
  readWhole(db, async () => {
    const [result] = await inCompany(db, companyId, [
      db.execute<StreamRow>(
        sql`select read_stream(customer_id, false) as stream from recovery_cases
          where company_id = ${companyId} and id = ${caseId}`,
      ),
    ])
    return streamFrom(companyId, result)
  })

const CASE_COLUMNS = { ...getTableColumns(recoveryCases), providerCustomerId: customers.providerCustomerId }

const isCustomerOfCase = and(
  eq(customers.companyId, recoveryCases.companyId),
  eq(customers.id, recoveryCases.customerId),
)

/**
 * Facts of the customer that name the case, its invoice (or a charge or payment intent linked to it) or its subscription;
 * the latest first.
 */
const timelineStatement = (db: Db, companyId: string, caseId: string) =>
  db.execute<{ id: string; occurred_at: string; recorded_at: string; body: FactBody }>(
    sql`select f.id, f.occurred_at, f.recorded_at, f.body
      from recovery_cases c
      join customers cu on cu.company_id = c.company_id and cu.id = c.customer_id
      join facts f on f.company_id = c.company_id and f.provider = cu.provider and f.subject in (
        select cu.provider_customer_id
        union all
        select l.object_id from object_links l
          where l.company_id = ${companyId} and l.provider = cu.provider and l.is_customer
            and l.root_id = cu.provider_customer_id
      )
      where c.company_id = ${companyId} and c.id = ${caseId} and (
        f.body ->> 'caseId' = c.id
        or f.body ->> 'invoiceId' = c.invoice_id
        or 'payment_' || (f.body ->> 'invoiceId') = c.id
        or cu.state #> array['payments', c.invoice_id, 'refs'] ? (f.body ->> 'chargeId')
        or cu.state #> array['payments', c.invoice_id, 'refs'] ? (f.body ->> 'paymentIntentId')
        or f.body -> 'subscription' ->> 'subscriptionId' = c.subscription_id
      )
      order by f.occurred_at desc, f.rank desc, f.id desc
      limit ${TIMELINE_MAX}`,
  )
