/** The state as rows for queries; a row is written when its content changes. */
import { and, eq, getTableColumns, inArray, type SQL, sql } from "drizzle-orm"
import type { BatchItem } from "drizzle-orm/batch"
import type { PgTable } from "drizzle-orm/pg-core"
import type { Instant, ProviderName } from "../../../shared/domain/facts.ts"
import { causeOf } from "../../../shared/domain/recovery/cause.ts"
import { type DroppedCase, newlyDropped } from "../../../shared/domain/recovery/fold/bounds.ts"
import { lastNewsAt } from "../../../shared/domain/recovery/fold/lapse.ts"
import { pendingOf } from "../../../shared/domain/recovery/pause.ts"
import { assignmentOf, type CustomerState, failureCountOf } from "../../../shared/domain/state.ts"
import type { Db } from "../../client.ts"
import { payments, recoveryCases, subscriptions } from "../../schema.ts"

/** A statement has at most 65 535 parameters. A first fold of a long ledger drops thousands of cases. */
const ROWS_AT_ONCE = 1_000

/** The customer whose rows they are. */
export interface ProjectionScope {
  readonly companyId: string
  readonly customerId: string
  readonly provider: ProviderName
}

/**
 * Statements that change the rows of a customer from `projected`, the state they contain now, to `state`. A case that no
 * longer exists, because of a late fact, is deleted. A case that the state dropped (`dropped`) keeps its row, as it was when
 * it was dropped.
 */
export function projectionStatements(
  db: Db,
  scope: ProjectionScope,
  state: CustomerState,
  projected: CustomerState,
  dropped: readonly DroppedCase[] = [],
): BatchItem<"pg">[] {
  const rows = rowsOf(scope, state)
  const current = rowsOf(scope, projected)
  const droppedRows = rowsOf(scope, stateOfDropped(state, projected, dropped))
  const cases = changed([...rows.cases, ...droppedRows.cases], current.cases)
  const subscriptionRows = changed(rows.subscriptions, current.subscriptions)
  const paymentRows = changed(rows.payments, current.payments)

  const statements: BatchItem<"pg">[] = []
  for (let start = 0; start < cases.length; start += ROWS_AT_ONCE) {
    const target = [recoveryCases.companyId, recoveryCases.id]
    // The row of another customer's case with the same id is not overwritten.
    const setWhere = eq(recoveryCases.customerId, scope.customerId)
    statements.push(
      db
        .insert(recoveryCases)
        .values(cases.slice(start, start + ROWS_AT_ONCE))
        .onConflictDoUpdate({ target, set: excludedColumns(recoveryCases, "companyId", "id", "customerId"), setWhere }),
    )
  }
  if (subscriptionRows.length > 0) {
    const target = [subscriptions.companyId, subscriptions.customerId, subscriptions.id]
    statements.push(
      db
        .insert(subscriptions)
        .values(subscriptionRows)
        .onConflictDoUpdate({
          target,
          set: excludedColumns(subscriptions, "companyId", "customerId", "id", "askedAt"),
        }),
    )
  }
  if (paymentRows.length > 0) {
    const target = [payments.companyId, payments.customerId, payments.invoiceId]
    statements.push(
      db
        .insert(payments)
        .values(paymentRows)
        .onConflictDoUpdate({ target, set: excludedColumns(payments, "companyId", "customerId", "invoiceId") }),
    )
  }
  const kept = new Set([...rows.cases.map(({ id }) => id), ...dropped.map(({ entry }) => entry.id)])
  const removed = current.cases.filter(({ id }) => !kept.has(id))
  if (removed.length > 0) statements.push(deleteCases(db, scope, removed))
  return statements
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

/** The columns that an upsert overwrites: all except `kept`. */
export function excludedColumns<T extends PgTable>(
  table: T,
  ...kept: (keyof T["_"]["columns"] & string)[]
): Record<string, SQL> {
  const columns = Object.entries(getTableColumns(table)).filter(([name]) => !kept.includes(name))
  return Object.fromEntries(columns.map(([name, column]) => [name, sql.raw(`excluded.${column.name}`)]))
}

const deleteCases = (db: Db, { companyId, customerId }: ProjectionScope, cases: readonly { readonly id: string }[]) => {
  const ids = cases.map((entry) => entry.id)
  return db
    .delete(recoveryCases)
    .where(
      and(
        eq(recoveryCases.companyId, companyId),
        eq(recoveryCases.customerId, customerId),
        inArray(recoveryCases.id, ids),
      ),
    )
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
      paymentPendingSince: dateOrNull(pendingOf(state, entry)?.since ?? null),
      paymentPendingUntil: dateOrNull(pendingOf(state, entry)?.until ?? null),
      declineCode: entry.declineCode,
      failureCount: failureCountOf(entry),
      cause: causeOf(entry, state),
      arm: assignmentOf(state, entry.id)?.arm ?? null,
      holdoutPercentage: assignmentOf(state, entry.id)?.percentage ?? null,
      riskProbability: entry.risk?.probability ?? null,
      riskUntil: dateOrNull(entry.risk?.until ?? null),
      lastNewsAt: dateOrNull(lastNewsAt(state, entry)),
      openedAt: new Date(entry.openedAt),
      closedAt: dateOrNull(entry.closedAt),
    })),
    subscriptions: Object.values(state.subscriptions).map((entry) => ({
      ...scope,
      id: entry.id,
      status: entry.status,
      currency: entry.currency,
      items: entry.items,
      startedAt: dateOrNull(entry.startedAt),
      currentPeriodEnd: dateOrNull(entry.currentPeriodEnd),
      trialEnd: dateOrNull(entry.trialEnd),
      cancelAt: dateOrNull(entry.cancelAt),
      endedAt: dateOrNull(entry.endedAt),
      unsettledAt: dateOrNull(entry.unsettledAt ?? null),
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
      failedAt: dateOrNull(entry.failedAt),
      paidAt: dateOrNull(entry.paidAt),
    })),
  }
}

function changed<Row>(rows: readonly Row[], current: readonly Row[]): Row[] {
  const present = new Set(current.map((row) => JSON.stringify(row)))
  return rows.filter((row) => !present.has(JSON.stringify(row)))
}

const dateOrNull = (instant: Instant | null): Date | null => (instant === null ? null : new Date(instant))
