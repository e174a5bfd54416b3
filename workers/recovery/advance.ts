/**
 * Fold, decide, commit: brings one customer up to date with the ledger. The version guard orders writers of the same
 * customer; the second one reads and decides again.
 */

import { databaseFailure } from "../../db/client.ts"
import {
  type Commit,
  commit,
  commitStreams,
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
import { startStream } from "../../db/queries/recovery/stream.ts"
import type { Fact, Instant } from "../../shared/domain/facts.ts"
import { type Milestone, nextMilestoneAt, reachedByStep } from "../../shared/domain/interventions/milestones.ts"
import { casesFoundLate, isSameState, withoutNudges } from "../../shared/domain/recovery/compare-states.ts"
import { type Action, decide } from "../../shared/domain/recovery/decide.ts"
import type { DroppedCase } from "../../shared/domain/recovery/fold/bounds.ts"
import { fold, missingFacts } from "../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../shared/domain/recovery/nudges.ts"
import { foldUndoable } from "../../shared/domain/recovery/undo.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { type CustomerState, EMPTY_STATE } from "../../shared/domain/state.ts"
import type { Services } from "../platform/services.ts"
import { withReloadRetries } from "./conflict-retries.ts"
import { type ContactUpdate, mergeContact } from "./customer-contact.ts"
import { enqueueNudges } from "./nudges/enqueue-nudges.ts"
import { assignHoldout, keyOf, reachableChannels, undoableStateOf } from "./stream-state.ts"

/** What to process; finished when the customer is up to date. */
export interface PendingAdvance {
  readonly events: readonly EventRef[]
  /** Ids of the facts of these events: a commit for the events must include all of them. */
  readonly factIds: readonly string[]
  readonly contactUpdates: readonly ContactUpdate[]
  /** Our own facts to append, such as a click or an opt-out. */
  readonly ownFacts: readonly Fact[]
  /** Our own facts that depend on the state: computed each time it is read. */
  readonly factsFrom?: (state: CustomerState) => readonly Fact[]
  /** For a rebuild: open cases that it finds and that opened before this time get no nudges. */
  readonly noNudgesBefore?: Instant
}

/**
 * Folds new facts, decides what follows and commits both. `first` is the stream as it was just read; it is read again as a
 * whole when another writer was first. Throws after too many conflicts: the sweep finishes the work.
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

/** A stream with all pages of its facts, and the milestones reached on the pages before the last. */
interface Complete {
  readonly stream: Stream
  readonly reached: readonly Milestone[]
  readonly isReread: boolean
}

/**
 * The stream with all facts of the work: read again as a whole when one is missing. The database functions never omit one;
 * this verifies it and logs every case. Throws as `readRest` does.
 */
async function completed(services: Services, reading: StreamReading, work: PendingAdvance): Promise<Complete> {
  const { db, log } = services
  const { missing, ...complete } = await readPages(services, reading, work)
  if (missing.length === 0) return { ...complete, isReread: false }
  const { companyId, customer, isWhole } = reading
  log.warn("facts_read_failed", {
    companyId,
    customerId: customer.id,
    count: missing.length,
    reason: isWhole ? "whole" : "after_snapshot",
  })
  const again = await startStream(db, companyId, customer.id, { whole: true })
  if (!again) throw new Error("an existing customer is gone")
  const { missing: stillMissing, ...whole } = await readPages(services, again, work)
  // A replayed event may name another customer than the one who has its facts; an operator must check it.
  if (stillMissing.length > 0) {
    log.error("facts_missing", { companyId, customerId: customer.id, count: stillMissing.length })
  }
  return { ...whole, isReread: true }
}

/** Reads the further pages, and checks each for the facts of the work and for milestones. */
async function readPages(services: Services, reading: StreamReading, { factIds }: PendingAdvance) {
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
 * Advances several customers of one company in one transaction: an import affects many at once. One that has changed since
 * it was read is advanced separately.
 */
export async function advanceAll(
  services: Services,
  companyId: string,
  works: readonly { readonly stream: StreamReading; readonly work: PendingAdvance }[],
): Promise<void> {
  let prepared: readonly Prepared[]
  let lost: ReadonlyMap<string, unknown>
  try {
    prepared = await Promise.all(
      works.map(async ({ stream, work }) => prepare(services, await completed(services, stream, work), work, false)),
    )
    const commits = prepared.flatMap(({ commit: one }) => (one === null ? [] : [one]))
    const written = await commitStreams(services.db, companyId, commits, services.now().toISOString())
    lost = written.lost
  } catch (error) {
    const failure = databaseFailure(error)
    if (failure !== "stale_version" && failure !== "conflict") throw error
    for (const { stream, work } of works) await advance(services, stream, work)
    return
  }
  for (const [place, { stream, work }] of works.entries()) {
    const one = prepared[place]
    if (lost.has(stream.customer.id)) await advance(services, stream, work)
    else if (one) await enqueueNudges(services, companyId, one.planned, one.state)
  }
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

/** When the state first had no room for a case or subscription: an operator must review the customer. */
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
    // The events are processed, and the state stays marked as full.
    log.warn("quarantine_not_noted", { ...fields, error })
  }
}

/** `commit` is null when there is nothing to write. */
interface Prepared {
  readonly commit: Commit | null
  readonly planned: readonly Nudge[]
  readonly state: CustomerState
}

/**
 * `isFolded`: another writer has committed since a reading that was after our facts were recorded, so that every later
 * commit includes them. Only then can a step that changes nothing skip its commit: before that, a writer that read without
 * our facts could still commit over the version that we read, and the event would count as processed without its effect.
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
  const read = undoableStateOf(stream, dropped)
  const own = [...work.ownFacts, ...(work.factsFrom?.(read.state) ?? [])]
  const { state: folded, undo } = foldUndoable(own, read, dropped)
  const late = casesFoundLate(stream.snapshot, folded, work.noNudgesBefore ?? "")
  // Cases without nudges are not part of the experiment.
  const assignments = assignHoldout(services, stream, folded).filter(({ caseId }) => !late.has(caseId))
  const state = fold(assignments, folded)
  const decided = decide(state, stream.nudges, settingsOf(stream), await reachableChannels(services, stream), now)
  const actions = withoutNudges(decided, late)
  const contact = await mergeContact(config.keys.encryption, stream, work.contactUpdates)

  // Another writer may have folded our facts already: then there is nothing to write.
  const isNeeded = work.events.length > 0 && !isFolded
  if (!isNeeded && actions.length === 0 && contact === null && isSameState(state, stream.snapshot)) {
    return { commit: null, planned: [], state }
  }
  const whole: Commit = {
    key: keyOf(stream),
    expectedVersion: stream.customer.version,
    now,
    state,
    undo,
    projected: stream.snapshot ?? EMPTY_STATE,
    dropped,
    facts: [...own, ...assignments, ...actions.map((action) => factOf(action, stream, now))],
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

/** The milestones reached by this step, on earlier pages and on the last, and when the next one is due. */
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

/** The fact that reports an action. Its id is the same when the same action is decided again at the same time. */
function factOf(action: Action, stream: Stream, now: Instant): Fact {
  const nudge = action.kind !== "suppress_nudge" ? action.nudge : stream.nudges.find(({ id }) => id === action.nudgeId)
  if (!nudge) throw new Error("an action refers to a missing nudge")
  const ref = { nudgeId: nudge.id, caseId: nudge.caseId, step: nudge.step, channel: nudge.channel }
  const reason = action.kind === "suppress_nudge" ? action.reason : suppressionOfPlan(nudge)
  return reason === null
    ? { kind: "nudge_planned", id: `nudge_planned:${nudge.id}:${now}`, occurredAt: now, dueAt: nudge.dueAt, ...ref }
    : { kind: "nudge_suppressed", id: `nudge_suppressed:${nudge.id}:${now}`, occurredAt: now, reason, ...ref }
}

type Suppression = Extract<Fact, { kind: "nudge_suppressed" }>["reason"]

/** A nudge that is planned as suppressed has its reason from `decide`. */
const suppressionOfPlan = (nudge: Nudge): Suppression | null =>
  nudge.status === "suppressed" ? (nudge.reason as Suppression) : null
