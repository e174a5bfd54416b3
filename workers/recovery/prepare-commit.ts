/** Fold and decide: what one step writes for a customer. */
import type { Commit, EventRef, NudgeChange } from "../../db/queries/recovery/commit.ts"
import { baseOf, type Stream } from "../../db/queries/recovery/ledger-pages.ts"
import type { Fact, Instant } from "../../shared/domain/facts.ts"
import { type Milestone, nextMilestoneAt, reachedByStep } from "../../shared/domain/interventions/milestones.ts"
import { casesFoundLate, isSameState, withoutNudges } from "../../shared/domain/recovery/compare-states.ts"
import { type Action, decide } from "../../shared/domain/recovery/decide.ts"
import type { DroppedCase } from "../../shared/domain/recovery/fold/bounds.ts"
import { fold } from "../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../shared/domain/recovery/nudges/nudges.ts"
import { foldUndoable } from "../../shared/domain/recovery/undo.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { type CustomerState, EMPTY_STATE } from "../../shared/domain/state.ts"
import type { Services } from "../platform/services.ts"
import { type ContactUpdate, mergeContact } from "./customers/customer-contact.ts"
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

/** A stream with all pages of its facts, and the milestones reached on the pages before the last. */
export interface CompleteStream {
  readonly stream: Stream
  readonly reached: readonly Milestone[]
}

/** What a step writes, and what follows when it is written. */
export interface Prepared {
  /** Null: there is nothing to write. */
  readonly commit: Commit | null
  readonly planned: readonly Nudge[]
  readonly state: CustomerState
}

/**
 * Folds the facts of the stream and decides what follows; writes nothing.
 *
 * `isFolded`: another writer has committed since a reading that was after our facts were recorded, so that every later
 * commit includes them. Only then can a step that changes nothing skip its commit: before that, a writer that read without
 * our facts could still commit over the version that we read, and the event would count as processed without its effect.
 */
export async function prepareCommit(
  services: Services,
  { stream, reached }: CompleteStream,
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
