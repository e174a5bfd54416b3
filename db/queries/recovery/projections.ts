/** The state as rows for queries; a row is written when its content changes. */
import { getTableColumns } from "drizzle-orm"
import type { PgTable } from "drizzle-orm/pg-core"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { causeOf } from "../../../shared/domain/recovery/cause.ts"
import { type DroppedCase, newlyDropped } from "../../../shared/domain/recovery/fold/bounds.ts"
import { lastNewsAt } from "../../../shared/domain/recovery/fold/lapse.ts"
import { pendingOf } from "../../../shared/domain/recovery/nudges/pause.ts"
import { assignmentOf, type CustomerState, failureCountOf } from "../../../shared/domain/state.ts"
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
  const rows = rowsOf(scope, state)
  const current = rowsOf(scope, projected)
  const droppedRows = rowsOf(scope, stateOfDropped(state, projected, dropped))
  const kept = new Set([...rows.cases.map(({ id }) => id), ...dropped.map(({ entry }) => entry.id)])
  return {
    cases: changed([...rows.cases, ...droppedRows.cases], current.cases).map(asRowOf(recoveryCases)),
    removedCases: current.cases
      .filter(({ id }) => !kept.has(id))
      .map(({ id }) => ({ customer_id: scope.customerId, id })),
    subscriptions: changed(rows.subscriptions, current.subscriptions).map(asRowOf(subscriptions)),
    payments: changed(rows.payments, current.payments).map(asRowOf(payments)),
  }
}

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

function rowsOf(scope: ProjectionScope, state: CustomerState) {
  return {
    cases: state.cases.map((entry) => ({
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
    })),
    subscriptions: Object.values(state.subscriptions).map((entry) => ({
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
    })),
    payments: Object.values(state.payments).map((entry) => ({
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
    })),
  }
}

function changed<Row>(rows: readonly Row[], current: readonly Row[]): Row[] {
  const present = new Set(current.map((row) => JSON.stringify(row)))
  return rows.filter((row) => !present.has(JSON.stringify(row)))
}
