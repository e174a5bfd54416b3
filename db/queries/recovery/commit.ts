/** Writes what was folded and decided: state, projections, plans and receipts, in one transaction. */
import { and, eq, inArray } from "drizzle-orm"
import { toBase64 } from "../../../shared/crypto/bytes.ts"
import { type Fact, type Instant, type ProviderName, rankOf } from "../../../shared/domain/facts.ts"
import type { DroppedCase } from "../../../shared/domain/recovery/fold/bounds.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import type { Undo } from "../../../shared/domain/recovery/undo.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import {
  callFunction,
  type DatabaseFailure,
  type Db,
  type FunctionParameter,
  inCompany,
  ReportedFailure,
} from "../../client.ts"
import { incentives, nudges as nudgesTable, webhookEvents } from "../../schema.ts"
import { type MilestoneChange, milestoneRows } from "../interventions/milestones.ts"
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
  const failed = await callFunction<{ customer_id: string; failure: "stale_version" | "lost_lease" }>(
    db,
    "commit_streams",
    parametersOf(companyId, together, now),
  )
  return { lost: new Map([...lost, ...failed.map((row) => [row.customer_id, row.failure] as const)]) }
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
function parametersOf(companyId: string, commits: readonly Commit[], now: Instant): FunctionParameter[] {
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
    companyId,
    now,
    commits.map(({ key }) => key.customerId),
    commits.map(({ expectedVersion }) => expectedVersion),
    JSON.stringify(commits.map(({ state }) => state)),
    JSON.stringify(commits.map(({ undo = null }) => undo)),
    commits.map(({ milestones }) => milestones !== undefined),
    commits.map(({ milestones }) => milestones?.nextAt ?? null),
    guarded.map(({ claim }) => claim?.nudgeId ?? null),
    guarded.map(({ claim }) => claim?.owner ?? null),
    guarded.map(({ personMark }) => personMark ?? null),
    JSON.stringify(changes.flatMap(({ cases }) => cases)),
    JSON.stringify(changes.flatMap(({ removedCases }) => removedCases)),
    JSON.stringify(changes.flatMap(({ subscriptions }) => subscriptions)),
    JSON.stringify(changes.flatMap(({ payments }) => payments)),
    facts.map(({ place }) => place),
    facts.map(({ fact }) => fact.id),
    facts.map(({ key }) => key.provider),
    facts.map(({ key }) => key.providerCustomerId),
    facts.map(({ fact }) => rankOf(fact.kind)),
    facts.map(({ fact }) => fact.occurredAt),
    JSON.stringify(facts.map(({ fact: { id: _, occurredAt: __, ...body } }) => body)),
    JSON.stringify(commits.flatMap(plannedNudges)),
    JSON.stringify(commits.flatMap(changedNudges)),
    JSON.stringify(commits.flatMap(consentsOf)),
    JSON.stringify(commits.flatMap(incentivesOf)),
    JSON.stringify(commits.flatMap(milestonesOf)),
    JSON.stringify(commits.flatMap(contactOf)),
    events.map(({ place }) => place),
    events.map(({ id }) => id),
    events.map(({ receivedAt }) => receivedAt),
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
