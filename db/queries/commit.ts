/** Writing what was folded and decided: state, projections, plans and receipts in one transaction, or none of them. */
import { and, eq, inArray, notInArray, sql } from "drizzle-orm"
import type { BatchItem } from "drizzle-orm/batch"
import { causeOf } from "../../shared/domain/cause.ts"
import { type Fact, type Instant, type ProviderName, rankOf } from "../../shared/domain/facts.ts"
import type { Nudge } from "../../shared/domain/nudges.ts"
import { type CustomerState, failureCountOf } from "../../shared/domain/state.ts"
import { type Db, inCompany } from "../client.ts"
import {
  consents,
  customerKeys,
  customerPii,
  customers,
  facts as factsTable,
  nudges as nudgesTable,
  payments,
  recoveryCases,
  subscriptions,
  webhookEvents,
} from "../schema.ts"

export interface CustomerKey {
  readonly companyId: string
  readonly customerId: string
  readonly provider: ProviderName
  readonly providerCustomerId: string
}

/** What one commit writes. Absent parts are left as they are. */
export interface Commit {
  readonly key: CustomerKey
  /** The version that was read; the commit raises when the customer has moved on. */
  readonly expectedVersion: number
  readonly now: Instant
  readonly state: CustomerState
  /** The state the projections show already; null: unknown, so all of them are written anew. */
  readonly projected: CustomerState | null
  /** Our own facts: receipts, plans, refusals. */
  readonly facts: readonly Fact[]
  readonly nudges: readonly NudgeChange[]
  readonly contact: { readonly sealed: Uint8Array; readonly newWrappedKey: Uint8Array | null } | null
  readonly processedEvents: readonly EventRef[]
  /** Statements of the caller that belong to the same transaction; they run right after the version was checked. */
  readonly guards?: readonly BatchItem<"pg">[]
}

export interface EventRef {
  readonly id: string
  readonly receivedAt: Instant
}

/** A nudge to plan (or plan again after a revocable refusal), or a new state of one that is there. */
export type NudgeChange =
  | { readonly kind: "plan"; readonly nudge: Nudge }
  | {
      readonly kind: "set"
      readonly id: string
      readonly change: Partial<Pick<Nudge, "status" | "reason" | "dueAt" | "attempts" | "sentAt">>
      /** Gives the lease back, so that the nudge can be claimed again. */
      readonly releaseLease: boolean
    }

/**
 * Commits; throws when another writer was first (`databaseFailure(error) === "stale_version"`): load again, decide again.
 */
export async function commit(db: Db, work: Commit): Promise<void> {
  const { companyId, customerId } = work.key
  const statements: BatchItem<"pg">[] = [
    db.execute(sql`select assert_version(${customerId}, ${work.expectedVersion})`),
    ...(work.guards ?? []),
    db
      .update(customers)
      .set({ version: work.expectedVersion + 1, state: work.state, updatedAt: new Date(work.now) })
      .where(and(eq(customers.companyId, companyId), eq(customers.id, customerId))),
    ...projectionStatements(db, work),
    ...nudgeStatements(db, work),
    ...contactStatements(db, work),
  ]
  if (work.facts.length > 0) {
    statements.push(
      db
        .insert(factsTable)
        .values(work.facts.map((fact) => factRow(work, fact)))
        .onConflictDoNothing(),
    )
  }
  if (work.processedEvents.length > 0)
    statements.push(processedStatement(db, companyId, work.processedEvents, work.now))
  await inCompany(db, companyId, statements)
}

/** Marks events as finished when there is nothing else to write. */
export async function markProcessed(
  db: Db,
  companyId: string,
  events: readonly EventRef[],
  now: Instant,
): Promise<void> {
  await inCompany(db, companyId, [processedStatement(db, companyId, events, now)])
}

const processedStatement = (db: Db, companyId: string, events: readonly EventRef[], now: Instant) =>
  db
    .update(webhookEvents)
    .set({ status: "processed", processedAt: new Date(now), nextAttemptAt: null, error: null })
    .where(
      and(
        eq(webhookEvents.companyId, companyId),
        inArray(
          webhookEvents.id,
          events.map((event) => event.id),
        ),
        inArray(
          webhookEvents.receivedAt,
          events.map((event) => new Date(event.receivedAt)),
        ),
      ),
    )

const factRow = ({ key, now }: Commit, { id, occurredAt, ...body }: Fact) => ({
  companyId: key.companyId,
  id,
  provider: key.provider,
  subject: key.providerCustomerId,
  kind: body.kind,
  rank: rankOf(body.kind),
  occurredAt: new Date(occurredAt),
  recordedAt: new Date(now),
  body,
})

/** Rows whose source changed; all of them when it is not known what is projected, and then nothing else may stay. */
function projectionStatements(db: Db, { key, state, projected }: Commit): BatchItem<"pg">[] {
  const scope = { companyId: key.companyId, customerId: key.customerId, provider: key.provider }
  const caseRow = (entry: CustomerState["cases"][number], from: CustomerState) => ({
    ...scope,
    id: entry.id,
    kind: entry.kind,
    status: entry.status,
    subscriptionId: entry.subscriptionId,
    invoiceId: entry.invoiceId,
    amountMinor: entry.amountMinor,
    recoveredMinor: entry.recoveredMinor,
    currency: entry.currency,
    declineCode: entry.declineCode,
    failureCount: failureCountOf(entry),
    cause: causeOf(entry, from),
    openedAt: new Date(entry.openedAt),
    closedAt: dateOrNull(entry.closedAt),
  })
  const subscriptionRow = (entry: CustomerState["subscriptions"][string]) => ({
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
  })
  const paymentRow = (entry: CustomerState["payments"][string]) => ({
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
  })

  const cases = changed(
    state.cases.map((entry) => caseRow(entry, state)),
    projected?.cases.map((entry) => caseRow(entry, projected)),
  )
  const subscriptionRows = changed(
    Object.values(state.subscriptions).map(subscriptionRow),
    projected && Object.values(projected.subscriptions).map(subscriptionRow),
  )
  const paymentRows = changed(
    Object.values(state.payments).map(paymentRow),
    projected && Object.values(projected.payments).map(paymentRow),
  )

  const statements: BatchItem<"pg">[] = []
  if (cases.length > 0) {
    statements.push(
      db
        .insert(recoveryCases)
        .values(cases)
        .onConflictDoUpdate({
          target: [recoveryCases.companyId, recoveryCases.id],
          set: excluded(
            "subscription_id",
            "amount_minor",
            "recovered_minor",
            "currency",
            "decline_code",
            "failure_count",
            "cause",
            "opened_at",
            "closed_at",
            "status",
          ),
          setWhere: eq(recoveryCases.customerId, key.customerId),
        }),
    )
  }
  if (subscriptionRows.length > 0) {
    statements.push(
      db
        .insert(subscriptions)
        .values(subscriptionRows)
        .onConflictDoUpdate({
          target: [subscriptions.companyId, subscriptions.customerId, subscriptions.id],
          set: excluded(
            "status",
            "currency",
            "items",
            "started_at",
            "current_period_end",
            "trial_end",
            "cancel_at",
            "ended_at",
          ),
        }),
    )
  }
  if (paymentRows.length > 0) {
    statements.push(
      db
        .insert(payments)
        .values(paymentRows)
        .onConflictDoUpdate({
          target: [payments.companyId, payments.customerId, payments.invoiceId],
          set: excluded(
            "subscription_id",
            "status",
            "amount_minor",
            "currency",
            "refunded_minor",
            "how",
            "failed_at",
            "paid_at",
          ),
        }),
    )
  }
  if (projected === null) {
    const kept = state.cases.map((entry) => entry.id)
    statements.push(
      db
        .delete(recoveryCases)
        .where(
          and(
            eq(recoveryCases.companyId, key.companyId),
            eq(recoveryCases.customerId, key.customerId),
            kept.length > 0 ? notInArray(recoveryCases.id, kept) : undefined,
          ),
        ),
    )
  }
  if (state.outreach.optedOutAt !== (projected?.outreach.optedOutAt ?? null) && state.outreach.optedOutAt !== null) {
    statements.push(
      db
        .insert(consents)
        .values({
          companyId: key.companyId,
          customerId: key.customerId,
          purpose: "recovery_messages",
          isGranted: false,
          via: "member",
          changedAt: new Date(state.outreach.optedOutAt),
        })
        .onConflictDoUpdate({
          target: [consents.companyId, consents.customerId, consents.purpose],
          set: excluded("is_granted", "via", "changed_at"),
        }),
    )
  }
  return statements
}

/** Columns that an upsert takes from the row it was given. The names are column names of ours, never input. */
const excluded = (...columns: string[]) =>
  Object.fromEntries(columns.map((column) => [camelCase(column), sql.raw(`excluded.${column}`)]))

const camelCase = (column: string): string => column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

function changed<Row>(rows: readonly Row[], projected: readonly Row[] | undefined | null): Row[] {
  const present = new Set((projected ?? []).map((row) => JSON.stringify(row)))
  return rows.filter((row) => !present.has(JSON.stringify(row)))
}

const dateOrNull = (instant: Instant | null): Date | null => (instant === null ? null : new Date(instant))

function nudgeStatements(db: Db, { key, nudges }: Commit): BatchItem<"pg">[] {
  return nudges.map((change) => {
    if (change.kind === "plan") {
      const { nudge } = change
      return db
        .insert(nudgesTable)
        .values({
          companyId: key.companyId,
          customerId: key.customerId,
          ...nudge,
          dueAt: new Date(nudge.dueAt),
          sentAt: dateOrNull(nudge.sentAt),
        })
        .onConflictDoUpdate({
          target: [nudgesTable.companyId, nudgesTable.id],
          set: excluded("status", "reason", "due_at"),
          setWhere: eq(nudgesTable.status, "suppressed"),
        })
    }
    const { dueAt, sentAt, ...rest } = change.change
    return db
      .update(nudgesTable)
      .set({
        ...rest,
        ...(dueAt !== undefined && { dueAt: new Date(dueAt) }),
        ...(sentAt !== undefined && { sentAt: dateOrNull(sentAt) }),
        ...(change.releaseLease && { leaseOwner: null, leaseUntil: null }),
      })
      .where(and(eq(nudgesTable.companyId, key.companyId), eq(nudgesTable.id, change.id)))
  })
}

function contactStatements(db: Db, { key, contact, now }: Commit): BatchItem<"pg">[] {
  if (contact === null) return []
  const owner = { companyId: key.companyId, customerId: key.customerId }
  const write = db
    .insert(customerPii)
    .values({ ...owner, sealed: contact.sealed, updatedAt: new Date(now) })
    .onConflictDoUpdate({
      target: [customerPii.companyId, customerPii.customerId],
      set: excluded("sealed", "updated_at"),
    })
  return contact.newWrappedKey === null
    ? [write]
    : [db.insert(customerKeys).values({ ...owner, wrapped: contact.newWrappedKey }), write]
}
