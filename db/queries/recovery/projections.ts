/** The state as rows for queries; a row is written when its content changes. */
import { getTableColumns } from "drizzle-orm"
import type { PgTable } from "drizzle-orm/pg-core"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { causeOf } from "../../../shared/domain/recovery/cause.ts"
import { type DroppedCase, newlyDropped } from "../../../shared/domain/recovery/fold/bounds.ts"
import { lastNewsAt } from "../../../shared/domain/recovery/fold/lapse.ts"
import { pendingOf } from "../../../shared/domain/recovery/nudges/pause.ts"
import {
  assignmentOf,
  type CustomerState,
  failureCountOf,
  type PaymentState,
  type SubscriptionState,
} from "../../../shared/domain/state.ts"
import { payments, recoveryCases, subscriptions } from "../../schema.ts"

/** The customer whose rows they are. */
export interface ProjectionScope {
  readonly customerId: string
  readonly provider: ProviderName
}

/** A row by its names in the database. */
type Row = Readonly<Record<string, unknown>>

/** Rows to write, and cases to delete. */
export interface ProjectionChanges {
  readonly cases: readonly Row[]
  readonly removedCases: readonly Row[]
  readonly subscriptions: readonly Row[]
  readonly payments: readonly Row[]
}

/**
 * What changes in the rows of a customer from `projected`, the state they contain now, to `state`. A case that no longer
 * exists, because of a late fact, is deleted. A case that the state dropped (`dropped`) keeps its row, as it was when it was
 * dropped.
 */
export function projectionChanges(
  scope: ProjectionScope,
  state: CustomerState,
  projected: CustomerState,
  dropped: readonly DroppedCase[] = [],
): ProjectionChanges {
  const rows = caseRows(scope, state)
  const droppedRows = caseRows(scope, stateOfDropped(state, projected, dropped))
  const kept = new Set([...state.cases.map(({ id }) => id), ...dropped.map(({ entry }) => entry.id)])
  const rowsOfEntries = <T>(toRow: (scope: ProjectionScope, entry: T) => Row, after: Entries<T>, before: Entries<T>) =>
    changed(
      differing(after, before).map((entry) => toRow(scope, entry)),
      differing(before, after).map((entry) => toRow(scope, entry)),
    )
  return {
    cases: changed([...rows, ...droppedRows], caseRows(scope, projected)).map(asRowOf(recoveryCases)),
    removedCases: projected.cases
      .filter(({ id }) => !kept.has(id))
      .map(({ id }) => ({ customer_id: scope.customerId, id })),
    subscriptions: rowsOfEntries(subscriptionRow, state.subscriptions, projected.subscriptions).map(
      asRowOf(subscriptions),
    ),
    payments: rowsOfEntries(paymentRow, state.payments, projected.payments).map(asRowOf(payments)),
  }
}

type Entries<T> = Readonly<Record<string, T>>

/** The entries but those that are the same object in `other`: a fold keeps what it does not change. */
const differing = <T>(record: Entries<T>, other: Entries<T>): T[] =>
  Object.entries(record).flatMap(([id, entry]) => (other[id] === entry ? [] : [entry]))

/** Renames the fields of a row to the columns of its table. */
export function asRowOf<T extends PgTable>(
  table: T,
): (row: Partial<Record<keyof T["_"]["columns"] & string, unknown>>) => Row {
  const columns = getTableColumns(table)
  return (row) =>
    Object.fromEntries(Object.entries(row).map(([field, value]) => [columns[field]?.name ?? field, value]))
}

/** The closed cases that were dropped, as a state of their own. Those that `projected` had dropped already have their rows. */
function stateOfDropped(
  state: CustomerState,
  projected: CustomerState,
  dropped: readonly DroppedCase[],
): CustomerState {
  const present = new Set(state.cases.map(({ id }) => id))
  const closed = newlyDropped(projected, dropped).filter(
    ({ entry }) => entry.closedAt !== null && !present.has(entry.id),
  )
  return {
    ...state,
    cases: closed.map(({ entry }) => entry),
    subscriptions: {},
    payments: Object.fromEntries(closed.flatMap(({ payment }) => (payment ? [[payment.invoiceId, payment]] : []))),
  }
}

const caseRows = (scope: ProjectionScope, state: CustomerState) =>
  state.cases.map((entry) => ({
    ...scope,
    id: entry.id,
    kind: entry.kind,
    status: entry.status,
    subscriptionId: entry.subscriptionId,
    invoiceId: entry.invoiceId,
    amountMinor: entry.amountMinor,
    recoveredMinor: entry.recoveredMinor,
    currency: entry.currency,
    remainingMinor: entry.remainingMinor ?? null,
    billing: entry.billing ?? null,
    collection: entry.collection ?? null,
    paymentPendingSince: pendingOf(state, entry)?.since ?? null,
    paymentPendingUntil: pendingOf(state, entry)?.until ?? null,
    declineCode: entry.declineCode,
    failureCount: failureCountOf(entry),
    cause: causeOf(entry, state),
    arm: assignmentOf(state, entry.id)?.arm ?? null,
    holdoutPercentage: assignmentOf(state, entry.id)?.percentage ?? null,
    riskProbability: entry.risk?.probability ?? null,
    riskUntil: entry.risk?.until ?? null,
    lastNewsAt: lastNewsAt(state, entry),
    openedAt: entry.openedAt,
    closedAt: entry.closedAt,
  }))

const subscriptionRow = (scope: ProjectionScope, entry: SubscriptionState) => ({
  ...scope,
  id: entry.id,
  status: entry.status,
  currency: entry.currency,
  items: entry.items,
  startedAt: entry.startedAt,
  currentPeriodEnd: entry.currentPeriodEnd,
  trialEnd: entry.trialEnd,
  cancelAt: entry.cancelAt,
  endedAt: entry.endedAt,
  unsettledAt: entry.unsettledAt ?? null,
})

const paymentRow = (scope: ProjectionScope, entry: PaymentState) => ({
  ...scope,
  invoiceId: entry.invoiceId,
  subscriptionId: entry.subscriptionId,
  status: entry.status,
  amountMinor: entry.amountMinor,
  currency: entry.currency,
  refundedMinor: entry.refundedMinor,
  how: entry.how,
  failedAt: entry.failedAt,
  paidAt: entry.paidAt,
})

function changed<Row>(rows: readonly Row[], current: readonly Row[]): Row[] {
  const present = new Set(current.map((row) => JSON.stringify(row)))
  return rows.filter((row) => !present.has(JSON.stringify(row)))
}
