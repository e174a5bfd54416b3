/** Writes what was folded and decided: state, projections, plans and receipts, in one transaction. */
import { and, eq, inArray, type SQL, sql } from "drizzle-orm"
import { toBase64 } from "../../../shared/crypto/bytes.ts"
import { type Fact, type Instant, type ProviderName, rankOf } from "../../../shared/domain/facts.ts"
import type { DroppedCase } from "../../../shared/domain/recovery/fold/bounds.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import type { Undo } from "../../../shared/domain/recovery/undo.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import { type DatabaseFailure, type Db, inCompany, ReportedFailure } from "../../client.ts"
import { incentives, nudges as nudgesTable, webhookEvents } from "../../schema.ts"
import { type MilestoneChange, milestoneRows } from "../interventions/milestones.ts"
import { arrayParameter as array, jsonParameter as json } from "../platform/parameters.ts"
import type { ContactIndexes } from "./persons.ts"
import { asRowOf, type ProjectionChanges, projectionChanges } from "./projections.ts"

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
  /** What takes the facts of the last instant back from `state`; absent: not known. */
  readonly undo?: Undo | null
  /** Cases that the fold of `state` dropped: their rows are kept. */
  readonly dropped: readonly DroppedCase[]
  /** Our own facts: receipts, plans, suppressions. */
  readonly facts: readonly Fact[]
  readonly nudges: readonly NudgeChange[]
  readonly contact: ContactChange | null
  readonly processedEvents: readonly EventRef[]
  readonly milestones?: MilestoneChange
  /** The nudge that is written about; nothing is written unless this owner still has its lease. */
  readonly claim?: { readonly nudgeId: string; readonly owner: string }
  /** The mark of the person as read; nothing is written when the person has changed, and other senders to them wait. */
  readonly personMark?: string
}

/** A contact that was sealed again, with its blind indexes. */
export interface ContactChange {
  readonly sealed: Uint8Array
  readonly newWrappedKey: Uint8Array | null
  readonly indexes: ContactIndexes
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
  const { lost } = await commitStreams(db, work.key.companyId, [work], work.now)
  const failure = lost.get(work.key.customerId)
  if (failure !== undefined) throw new ReportedFailure(failure)
}

/** Customers of whom nothing was committed, with the reason. */
export interface Committed {
  readonly lost: ReadonlyMap<string, Extract<DatabaseFailure, "stale_version" | "lost_lease">>
}

/**
 * Commits several customers of a company in one transaction and one round trip, each over the version that was read. One
 * that has changed is left out and reported (`lost`): load it and decide again.
 */
export async function commitStreams(
  db: Db,
  companyId: string,
  commits: readonly Commit[],
  now: Instant,
): Promise<Committed> {
  const { together, apart } = withoutSharedRows(commits)
  const lost = new Map(apart.map(({ key }) => [key.customerId, "stale_version" as const]))
  if (together.length === 0) return { lost }
  const result = await db.execute<{ customer_id: string; failure: "stale_version" | "lost_lease" }>(
    sql`select customer_id, failure from commit_streams(${sql.join(parametersOf(companyId, together, now), sql`, `)})`,
  )
  return { lost: new Map([...lost, ...result.rows.map((row) => [row.customer_id, row.failure] as const)]) }
}

/**
 * Commits that write different rows, in order of customers, and the rest. Two customers may have a case of the same id; only
 * one of them has its row.
 */
function withoutSharedRows(commits: readonly Commit[]) {
  const inOrder = [...commits].sort((a, b) => (a.key.customerId < b.key.customerId ? -1 : 1))
  const taken = new Set<string>()
  const together: Commit[] = []
  const apart: Commit[] = []
  for (const work of inOrder) {
    const { key, state, projected, dropped } = work
    const cases = [...state.cases, ...projected.cases, ...dropped.map(({ entry }) => entry)]
    const ids = [`customer ${key.customerId}`, ...new Set(cases.map(({ id }) => `case ${id}`))]
    if (ids.some((id) => taken.has(id))) {
      apart.push(work)
      continue
    }
    for (const id of ids) taken.add(id)
    together.push(work)
  }
  return { together, apart }
}

/** The parameters of `commit_streams`, in its order. */
function parametersOf(companyId: string, commits: readonly Commit[], now: Instant): SQL[] {
  const changes = commits.map((work): ProjectionChanges => {
    const { key, state, projected, dropped } = work
    return projectionChanges(key, state, projected, dropped)
  })
  const isGuarded = commits.some(({ claim, personMark }) => claim !== undefined || personMark !== undefined)
  const guarded = isGuarded ? commits : []
  const facts = commits.flatMap(({ key, facts: own }, place) => own.map((fact) => ({ key, fact, place: place + 1 })))
  const events = commits.flatMap(({ processedEvents }, place) =>
    processedEvents.map((event) => ({ ...event, place: place + 1 })),
  )
  return [
    sql`${companyId}`,
    sql`${now}::timestamptz`,
    array(commits.map(({ key }) => key.customerId)),
    array(commits.map(({ expectedVersion }) => expectedVersion)),
    json(commits.map(({ state }) => state)),
    json(commits.map(({ undo = null }) => undo)),
    array(commits.map(({ milestones }) => milestones !== undefined)),
    array(commits.map(({ milestones }) => milestones?.nextAt ?? null)),
    array(guarded.map(({ claim }) => claim?.nudgeId ?? null)),
    array(guarded.map(({ claim }) => claim?.owner ?? null)),
    array(guarded.map(({ personMark }) => personMark ?? null)),
    json(changes.flatMap(({ cases }) => cases)),
    json(changes.flatMap(({ removedCases }) => removedCases)),
    json(changes.flatMap(({ subscriptions }) => subscriptions)),
    json(changes.flatMap(({ payments }) => payments)),
    array(facts.map(({ place }) => place)),
    array(facts.map(({ fact }) => fact.id)),
    array(facts.map(({ key }) => key.provider)),
    array(facts.map(({ key }) => key.providerCustomerId)),
    array(facts.map(({ fact }) => rankOf(fact.kind))),
    array(facts.map(({ fact }) => fact.occurredAt)),
    json(facts.map(({ fact: { id: _, occurredAt: __, ...body } }) => body)),
    json(commits.flatMap(plannedNudges)),
    json(commits.flatMap(changedNudges)),
    json(commits.flatMap(consentsOf)),
    json(commits.flatMap(incentivesOf)),
    json(commits.flatMap(milestonesOf)),
    json(commits.flatMap(contactOf)),
    array(events.map(({ place }) => place)),
    array(events.map(({ id }) => id)),
    array(events.map(({ receivedAt }) => receivedAt)),
  ]
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

const nudgeRow = asRowOf(nudgesTable)
const incentiveRow = asRowOf(incentives)

const plannedNudges = ({ key, nudges }: Commit) =>
  nudges.flatMap((change) =>
    change.kind === "plan" ? [nudgeRow({ ...change.nudge, customerId: key.customerId, sentAt: null })] : [],
  )

const changedNudges = ({ key, nudges }: Commit) =>
  nudges.flatMap((change) => {
    if (change.kind !== "set") return []
    const lease = change.releaseLease && { leaseOwner: null, leaseUntil: null }
    return [{ customer_id: key.customerId, id: change.id, change: nudgeRow({ ...change.change, ...lease }) }]
  })

/** Opt-outs among our own facts. */
const consentsOf = ({ key, facts }: Commit) =>
  facts.flatMap((fact) =>
    fact.kind === "opted_out" ? [{ customer_id: key.customerId, via: fact.via, changed_at: fact.occurredAt }] : [],
  )

/** Incentives that our own facts report as applied. */
const incentivesOf = ({ key, facts }: Commit) =>
  facts.flatMap((fact) => {
    if (fact.kind !== "incentive_applied") return []
    const { id, caseId, incentive, providerReceiptId: receiptId, occurredAt: createdAt } = fact
    return [incentiveRow({ customerId: key.customerId, id, caseId, incentive, receiptId, createdAt })]
  })

const milestonesOf = ({ key, milestones }: Commit) =>
  milestones === undefined ? [] : milestoneRows(key.customerId, milestones)

const contactOf = ({ key, contact }: Commit) =>
  contact === null
    ? []
    : [
        {
          customer_id: key.customerId,
          sealed: toBase64(contact.sealed),
          wrapped: contact.newWrappedKey === null ? null : toBase64(contact.newWrappedKey),
          kinds: contact.indexes.addresses.map(({ kind }) => kind),
          addresses: contact.indexes.addresses.map(({ index }) => index),
          names: contact.indexes.names,
          version: contact.indexes.version,
        },
      ]
