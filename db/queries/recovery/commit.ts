/** Writes what was folded and decided: state, projections, plans and receipts, in one transaction. */
import { and, eq, inArray, sql } from "drizzle-orm"
import type { BatchItem } from "drizzle-orm/batch"
import { type Fact, type Instant, type ProviderName, rankOf } from "../../../shared/domain/facts.ts"
import type { DroppedCase } from "../../../shared/domain/recovery/fold/bounds.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import { type Db, databaseFailure, inCompany } from "../../client.ts"
import {
  consents,
  customerKeys,
  customerPii,
  customers,
  facts as factsTable,
  incentives,
  nudges as nudgesTable,
  webhookEvents,
} from "../../schema.ts"
import { type MilestoneChange, milestoneStatements, nextMilestoneDueAt } from "../interventions/milestones.ts"
import { type IndexedAddresses, setAddresses } from "./persons.ts"
import { excludedColumns, projectionStatements } from "./projections.ts"

export interface CustomerKey {
  readonly companyId: string
  readonly customerId: string
  readonly provider: ProviderName
  readonly providerCustomerId: string
}

/** What one commit writes. Absent parts are not changed. */
export interface Commit {
  readonly key: CustomerKey
  /** The version that was read; the commit raises when the customer has changed since. */
  readonly expectedVersion: number
  readonly now: Instant
  readonly state: CustomerState
  /** The state as it was read, which the projections contain. */
  readonly projected: CustomerState
  /** Cases that the fold of `state` dropped: their rows are kept. */
  readonly dropped: readonly DroppedCase[]
  /** Our own facts: receipts, plans, suppressions. */
  readonly facts: readonly Fact[]
  readonly nudges: readonly NudgeChange[]
  readonly contact: ContactChange | null
  readonly processedEvents: readonly EventRef[]
  readonly milestones?: MilestoneChange
  /** Statements of the caller for the same transaction; they run right after the version check. */
  readonly guards?: readonly BatchItem<"pg">[]
}

/** A contact that was sealed again, with the blind indexes of its addresses. */
export interface ContactChange {
  readonly sealed: Uint8Array
  readonly newWrappedKey: Uint8Array | null
  readonly addresses: IndexedAddresses
}

export interface EventRef {
  readonly id: string
  readonly receivedAt: Instant
}

/** A nudge to plan (or plan again after a temporary suppression), or a change of an existing one. */
export type NudgeChange =
  | { readonly kind: "plan"; readonly nudge: Nudge }
  | {
      readonly kind: "set"
      readonly id: string
      readonly change: Partial<Pick<Nudge, "status" | "reason" | "dueAt" | "attempts" | "sentAt">>
      /** Releases the lease, so that the nudge can be claimed again. */
      readonly releaseLease: boolean
    }

/**
 * Commits; throws when another writer was first (`databaseFailure(error) === "stale_version"`): load and decide again.
 */
export async function commit(db: Db, work: Commit): Promise<void> {
  await inCompany(db, work.key.companyId, commitStatements(db, work))
}

/** Commits for several customers of a company, all or none; throws like `commit` when one of them has changed. */
export async function commitAll(db: Db, companyId: string, works: readonly Commit[]): Promise<void> {
  // In a fixed order, so that commits that share customers cannot deadlock.
  const inOrder = [...works].sort((a, b) => (a.key.customerId < b.key.customerId ? -1 : 1))
  const statements = inOrder.flatMap((work) => commitStatements(db, work))
  if (statements.length > 0) await inCompany(db, companyId, statements)
}

/** Customers of whom nothing was committed, with the reason. */
export interface Committed {
  readonly lost: ReadonlyMap<string, "stale_version">
}

/** Commits several customers of a company. One that has changed is left out and reported (`lost`): load and decide again. */
export async function commitStreams(
  db: Db,
  companyId: string,
  commits: readonly Commit[],
  _now: Instant,
): Promise<Committed> {
  try {
    await commitAll(db, companyId, commits)
    return { lost: new Map() }
  } catch (error) {
    if (databaseFailure(error) !== "stale_version") throw error
    return { lost: new Map(commits.map(({ key }) => [key.customerId, "stale_version" as const])) }
  }
}

function commitStatements(db: Db, work: Commit): BatchItem<"pg">[] {
  const { companyId, customerId } = work.key
  const statements: BatchItem<"pg">[] = [
    db.execute(sql`select assert_version(${customerId}, ${work.expectedVersion})`),
    ...(work.guards ?? []),
    db
      .update(customers)
      .set({
        ...{ version: work.expectedVersion + 1, state: work.state, updatedAt: new Date(work.now) },
        ...(work.milestones && { milestoneDueAt: nextMilestoneDueAt(work.milestones, work.now) }),
      })
      .where(and(eq(customers.companyId, companyId), eq(customers.id, customerId))),
    ...projectionStatements(db, work.key, work.state, work.projected, work.dropped),
    ...ownFactStatements(db, work),
    ...nudgeStatements(db, work),
    ...contactStatements(db, work),
    ...(work.milestones ? milestoneStatements(db, work.key, work.milestones, work.now) : []),
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
  return statements
}

/** Marks events as processed when there is nothing else to write. */
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
  knownAt: sql`known_from(${key.customerId}, ${now}::timestamptz)`,
  body,
})

/** Rows that our own facts write besides the ledger: consents and incentives. */
function ownFactStatements(db: Db, { key, facts }: Commit): BatchItem<"pg">[] {
  const { companyId, customerId } = key
  return facts.flatMap((fact): BatchItem<"pg">[] => {
    const at = new Date(fact.occurredAt)
    if (fact.kind === "opted_out") {
      const consent = {
        companyId,
        customerId,
        purpose: "recovery_messages",
        isGranted: false,
        via: fact.via,
        changedAt: at,
      }
      return [db.insert(consents).values(consent).onConflictDoNothing()]
    }
    if (fact.kind === "incentive_applied") {
      const { id, caseId, incentive, providerReceiptId: receiptId } = fact
      const row = { companyId, customerId, id, caseId, incentive, receiptId, createdAt: at }
      return [db.insert(incentives).values(row).onConflictDoNothing()]
    }
    return []
  })
}

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
          sentAt: null,
        })
        .onConflictDoUpdate({
          target: [nudgesTable.companyId, nudgesTable.id],
          set: { status: sql`excluded.status`, reason: sql`excluded.reason`, dueAt: sql`excluded.due_at` },
          setWhere: eq(nudgesTable.status, "suppressed"),
        })
    }
    const { dueAt, sentAt, ...rest } = change.change
    return db
      .update(nudgesTable)
      .set({
        ...rest,
        ...(dueAt !== undefined && { dueAt: new Date(dueAt) }),
        ...(sentAt !== undefined && { sentAt: sentAt === null ? null : new Date(sentAt) }),
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
      set: excludedColumns(customerPii, "companyId", "customerId", "indexedVersion"),
    })
  const written = [write, setAddresses(db, key.customerId, contact.addresses)]
  return contact.newWrappedKey === null
    ? written
    : [db.insert(customerKeys).values({ ...owner, wrapped: contact.newWrappedKey }), ...written]
}
