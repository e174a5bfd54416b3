/**
 * Fold, decide, commit: brings one customer up to date with the ledger. Writers of the same customer meet in the version
 * guard; whoever comes second reads again and decides again. Over 300 lines because reading on, deciding and committing
 * keep one promise, and are read together.
 */

import { databaseFailure } from "../../db/client.ts"
import {
  type Commit,
  commit,
  commitAll,
  type EventRef,
  markProcessed,
  type NudgeChange,
} from "../../db/queries/recovery/commit.ts"
import {
  baseOf,
  type FoldedPage,
  readRest,
  type Stream,
  type StreamReading,
} from "../../db/queries/recovery/ledger-pages.ts"
import { quarantine } from "../../db/queries/recovery/quarantines.ts"
import { loadStream, startStream } from "../../db/queries/recovery/stream.ts"
import type { ChannelName, Fact, Instant } from "../../shared/domain/facts.ts"
import { assignCases } from "../../shared/domain/interventions/holdout.ts"
import { type Milestone, nextMilestoneAt, reachedByStep } from "../../shared/domain/interventions/milestones.ts"
import { casesFoundLate, isSameState, withoutNudges } from "../../shared/domain/recovery/compare-states.ts"
import { type Action, decide, type ReachableChannels } from "../../shared/domain/recovery/decide.ts"
import type { DroppedCase } from "../../shared/domain/recovery/fold/bounds.ts"
import { fold, missingFacts } from "../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../shared/domain/recovery/nudges.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { type CustomerState, EMPTY_STATE } from "../../shared/domain/state.ts"
import type { Reservation } from "../platform/outbound/budget.ts"
import { CONFLICT_RETRY_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import { grantFor } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { type ContactUpdate, mergeContact } from "./customer-contact.ts"
import { enqueueNudges } from "./enqueue-nudges.ts"

/** Writers of one customer that lose every race this often leave the rest to the sweeper. */
const ATTEMPTS_MAX = 12

/** Losers wait a little, each a different while and longer each time, before they read again. */
const JITTER_MS = 25
const JITTER_DOUBLINGS_MAX = 4

/** What brought us here; finished when the customer is up to date. */
export interface PendingAdvance {
  readonly events: readonly EventRef[]
  /** Ids of the facts that these events told: whatever is committed for them must hold all of these. */
  readonly factIds: readonly string[]
  readonly contactWords: readonly ContactUpdate[]
  /** Our own facts to append, such as a click or an opt-out. */
  readonly ownFacts: readonly Fact[]
  /** Our own facts that depend on what the ledger says: made anew each time it is read. */
  readonly factsFrom?: (state: CustomerState) => readonly Fact[]
  /** Of a rebuild: open cases that it finds and that opened before this moment get no nudges. */
  readonly quietBefore?: Instant
}

/**
 * Folds what is new, decides what follows and commits both. `first` is the stream as it was just read; it is read again,
 * as a whole, when somebody else was quicker. Throws when the races were lost too often: the sweeper finishes.
 */
export async function advance(services: Services, first: StreamReading, work: PendingAdvance): Promise<void> {
  let reread: number | null = null
  const attempt = async (read: StreamReading) => {
    const complete = await completed(services, read, work)
    const { customer, companyId } = complete.stream
    const isFolded = reread !== null && customer.version > reread
    if (read !== first || complete.isReread) reread ??= customer.version
    const { planned, state } = await advanceOnce(services, complete, work, isFolded)
    await enqueueNudges(services, companyId, planned, state)
  }
  const reload = () => startStream(services.db, first.companyId, first.customer.id, { whole: true })
  await withReloadRetries(services, first, attempt, { held: null, reload })
}

/** A stream with all pages of its facts, and what was found on those before the last. */
interface Complete {
  readonly stream: Stream
  readonly reached: readonly Milestone[]
  readonly isReread: boolean
}

/**
 * The stream with all facts of the work: read again, as a whole, when it lacks one. The reading functions of the database
 * leave none out; this is the check of it, and every case is in the log. Throws as `readRest` does.
 */
async function completed(services: Services, reading: StreamReading, work: PendingAdvance): Promise<Complete> {
  const { db, log } = services
  const { missing, ...complete } = await readOn(services, reading, work)
  if (missing.length === 0) return { ...complete, isReread: false }
  const { companyId, customer, isWhole } = reading
  log.warn("facts_read_failed", {
    companyId,
    customerId: customer.id,
    count: missing.length,
    reason: isWhole ? "whole" : "after_snapshot",
  })
  const again = await startStream(db, companyId, customer.id, { whole: true })
  if (!again) throw new Error("a customer that was there is gone")
  const { missing: lost, ...whole } = await readOn(services, again, work)
  // An event that is read anew may name another customer than the one who has its facts; an operator looks at it.
  if (lost.length > 0) {
    log.error("facts_missing", { companyId, customerId: customer.id, count: lost.length })
  }
  return { ...whole, isReread: true }
}

/** Reads the further pages, and looks through each for the facts of the work and for milestones. */
async function readOn(services: Services, reading: StreamReading, { factIds }: PendingAdvance) {
  let missing: readonly string[] = factIds
  const reached: Milestone[] = []
  const { milestones } = settingsOf(reading)
  const visit = ({ before: from, facts, state }: FoldedPage) => {
    missing = missingFacts(missing, facts)
    const step = { before: reading.snapshot, from, state, facts }
    reached.push(...reachedByStep(step, milestones, services.now().toISOString()))
  }
  const stream = await readRest(services.db, reading, visit)
  return { stream, reached, missing: missingFacts(missing, stream.facts) }
}

/**
 * Runs `attempt` on a fresh reading of the stream until it is not beaten by another writer any more. Reading again takes
 * room for calls: what the caller holds for it, else what is free; without room it throws as after the last try.
 */
export const withConflictRetries = <T>(
  services: Services,
  first: Stream,
  attempt: (stream: Stream) => Promise<T>,
  held: Reservation | null = null,
): Promise<T> =>
  withReloadRetries(services, first, attempt, {
    held,
    reload: () => loadStream(services.db, first.companyId, first.customer.id, { whole: true }),
  })

/** `withRetries` for a stream that is read with more than itself; `reload` reads both again. */
export async function withReloadRetries<T, S extends StreamReading>(
  { budget }: Services,
  first: S,
  attempt: (stream: S) => Promise<T>,
  { held, reload }: { readonly held: Reservation | null; readonly reload: () => Promise<S | null> },
): Promise<T> {
  let stream: S | null = first
  for (let tries = 1; ; tries++) {
    try {
      stream ??= await reload()
      if (!stream) throw new Error("a customer that was there is gone")
      return await attempt(stream)
    } catch (error) {
      const failure = databaseFailure(error)
      if ((failure !== "stale_version" && failure !== "conflict") || tries === ATTEMPTS_MAX) throw error
      if (!held?.take(CONFLICT_RETRY_SUBREQUESTS) && !budget.hasRoomFor(CONFLICT_RETRY_SUBREQUESTS)) throw error
    }
    await pause(crypto.getRandomValues(new Uint8Array(1)).at(0) ?? 0, tries)
    stream = null
  }
}

const pause = (random: number, tries: number): Promise<void> =>
  new Promise((resolve) =>
    setTimeout(resolve, (JITTER_MS * 2 ** Math.min(tries, JITTER_DOUBLINGS_MAX) * (random + 1)) / 256),
  )

/**
 * Advances several customers of one company in one transaction: what an import brings concerns many at once. Where one of
 * them has moved on since it was read, each is advanced by itself.
 */
export async function advanceAll(
  services: Services,
  companyId: string,
  works: readonly { readonly stream: StreamReading; readonly work: PendingAdvance }[],
): Promise<void> {
  let prepared: readonly Prepared[]
  try {
    prepared = await Promise.all(
      works.map(async ({ stream, work }) => prepare(services, await completed(services, stream, work), work, false)),
    )
    const commits = prepared.flatMap(({ commit: one }) => (one === null ? [] : [one]))
    await commitAll(services.db, companyId, commits)
  } catch (error) {
    const failure = databaseFailure(error)
    if (failure !== "stale_version" && failure !== "conflict") throw error
    for (const { stream, work } of works) await advance(services, stream, work)
    return
  }
  for (const { planned, state } of prepared) await enqueueNudges(services, companyId, planned, state)
}

async function advanceOnce(
  services: Services,
  complete: Complete,
  work: PendingAdvance,
  isFolded: boolean,
): Promise<Prepared> {
  const { stream } = complete
  const prepared = await prepare(services, complete, work, isFolded)
  if (prepared.commit !== null) await commit(services.db, prepared.commit)
  else if (work.events.length > 0)
    await markProcessed(services.db, stream.companyId, work.events, services.now().toISOString())
  await quarantineRefused(services, stream, prepared.state)
  return prepared
}

/** Once, when the state first had no room for a case or subscription: an operator looks at the customer. */
async function quarantineRefused(
  { db, log, now }: Services,
  { companyId, customer, snapshot }: Stream,
  { refused }: CustomerState,
): Promise<void> {
  if (refused === undefined || snapshot?.refused !== undefined) return
  const fields = { companyId, customerId: customer.id, reason: "state_is_full" } as const
  log.error("customer_quarantined", fields)
  try {
    await quarantine(db, companyId, customer.id, fields.reason, now())
  } catch (error) {
    // The events are processed; the state says for good that it is full.
    log.warn("quarantine_not_noted", { ...fields, error })
  }
}

/** What there is to commit; null when all of it is there already. */
interface Prepared {
  readonly commit: Commit | null
  readonly planned: readonly Nudge[]
  readonly state: CustomerState
}

/**
 * `isFolded`: somebody committed after a reading that came after our facts were committed, so that whoever commits next has
 * read them. Only then may a step that changes nothing go without a commit of its own: before, a writer that read without
 * our facts could still commit over the version that we read, and their event would be processed and their effect gone.
 */
async function prepare(
  services: Services,
  { stream, reached }: Complete,
  work: PendingAdvance,
  isFolded: boolean,
): Promise<Prepared> {
  const { config } = services
  const now = services.now().toISOString()
  const dropped: DroppedCase[] = []
  const read = stateOf(stream, dropped)
  const own = [...work.ownFacts, ...(work.factsFrom?.(read) ?? [])]
  const folded = fold(own, read, dropped)
  const late = casesFoundLate(stream.snapshot, folded, work.quietBefore ?? "")
  // What gets no nudges is not compared with what gets none either.
  const drawn = assignHoldout(services, stream, folded).filter((draw) => !late.has(draw.caseId))
  const state = fold(drawn, folded)
  const decided = decide(state, stream.nudges, settingsOf(stream), await reachableChannels(services, stream), now)
  const actions = withoutNudges(decided, late)
  const contact = await mergeContact(config.keys.encryption, stream, work.contactWords)

  // Whoever was quicker may have folded our facts with its own: then there is nothing to write, and nobody to race.
  const isNeeded = work.events.length > 0 && !isFolded
  if (!isNeeded && actions.length === 0 && contact === null && isSameState(state, stream.snapshot)) {
    return { commit: null, planned: [], state }
  }
  const whole: Commit = {
    key: keyOf(stream),
    expectedVersion: stream.customer.version,
    now,
    state,
    projected: stream.snapshot ?? EMPTY_STATE,
    dropped,
    facts: [...own, ...drawn, ...actions.map((action) => factOf(action, stream, now))],
    nudges: actions.map(changeOf),
    contact,
    processedEvents: work.events,
    milestones: milestonesOf(stream, reached, state, now),
  }
  return {
    commit: whole,
    planned: actions.flatMap((action) => (action.kind === "suppress_nudge" ? [] : [action.nudge])),
    state,
  }
}

/** What this step brought, on earlier pages and on the last, and when the calendar brings the next. */
function milestonesOf(stream: Stream, earlier: readonly Milestone[], state: CustomerState, now: Instant) {
  const { milestones } = settingsOf(stream)
  const { facts, snapshot } = stream
  const last = reachedByStep({ before: snapshot, from: baseOf(stream), state, facts }, milestones, now)
  const byKey = new Map([...last, ...earlier.toReversed()].map((one) => [one.key, one]))
  return {
    reached: [...byKey.values()],
    nextAt: nextMilestoneAt(state, milestones, now),
    isAnnounced: milestones.announce,
  }
}

/**
 * The state of a stream: all of its facts folded, or those that come after the snapshot. Cases that it drops are added to
 * `dropped`.
 */
export function stateOf(stream: Stream, dropped: DroppedCase[] = []): CustomerState {
  for (const one of stream.earlier?.dropped ?? []) dropped.push(one)
  return fold(stream.facts, baseOf(stream), dropped)
}

/** The draws of cases that have just opened: held out or treated, by the company's share or the deployment's. */
export function assignHoldout({ config, now }: Services, stream: Stream, state: CustomerState) {
  const percentage = settingsOf(stream).holdoutPercentage ?? config.holdoutPercentage
  return assignCases(state, stream.nudges, { companyId: stream.companyId, percentage }, now().toISOString())
}

/** What can reach this customer in this deployment; channels of a provider only where the company may call it. */
export async function reachableChannels(
  services: Services,
  { companyId, customer }: Stream,
): Promise<ReachableChannels> {
  const { provider } = customer
  const channels = Object.values(services.channels).filter(({ isConfigured }) => isConfigured)
  const isByProvider = provider === "whop" && channels.some(({ name }) => isWhopChannel(name))
  const mayCall = isByProvider && (await grantFor(services, { provider, companyId, named: null })) !== null
  return { provider, configured: channels.map(({ name }) => name).filter((name) => mayCall || !isWhopChannel(name)) }
}

/** Whether a channel speaks through Whop's API. */
export const isWhopChannel = (channel: ChannelName): boolean => channel === "push" || channel === "dm"

/** The customer of a stream, as a commit names it. */
export const keyOf = ({ companyId, customer }: Stream) => ({
  companyId,
  customerId: customer.id,
  provider: customer.provider,
  providerCustomerId: customer.providerCustomerId,
})

function changeOf(action: Action): NudgeChange {
  switch (action.kind) {
    case "plan_nudge":
      return { kind: "plan", nudge: action.nudge }
    case "move_nudge": {
      const { id, dueAt, reason } = action.nudge
      return { kind: "set", id, change: { dueAt, reason }, releaseLease: true }
    }
    case "suppress_nudge":
      return {
        kind: "set",
        id: action.nudgeId,
        change: { status: "suppressed", reason: action.reason },
        releaseLease: true,
      }
  }
}

/** The fact that tells of an action. Its id repeats when the same action is decided again at the same moment. */
function factOf(action: Action, stream: Stream, now: Instant): Fact {
  const nudge = action.kind !== "suppress_nudge" ? action.nudge : stream.nudges.find(({ id }) => id === action.nudgeId)
  if (!nudge) throw new Error("an action speaks of a nudge that is not there")
  const ref = { nudgeId: nudge.id, caseId: nudge.caseId, step: nudge.step, channel: nudge.channel }
  const reason = action.kind === "suppress_nudge" ? action.reason : suppressedAtOnce(nudge)
  return reason === null
    ? { kind: "nudge_planned", id: `nudge_planned:${nudge.id}:${now}`, occurredAt: now, dueAt: nudge.dueAt, ...ref }
    : { kind: "nudge_suppressed", id: `nudge_suppressed:${nudge.id}:${now}`, occurredAt: now, reason, ...ref }
}

type Suppression = Extract<Fact, { kind: "nudge_suppressed" }>["reason"]

/** A nudge that is planned as suppressed carries decide's own reason. */
const suppressedAtOnce = (nudge: Nudge): Suppression | null =>
  nudge.status === "suppressed" ? (nudge.reason as Suppression) : null
