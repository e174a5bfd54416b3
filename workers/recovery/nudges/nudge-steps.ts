/** One change of one nudge as a commit: the nudge, its facts and the state; and what open pages are told of it. */
import type { Commit } from "../../../db/queries/recovery/commit.ts"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import type { PersonStream } from "../../../db/queries/recovery/persons.ts"
import type { Fact, Instant } from "../../../shared/domain/facts.ts"
import { type CaseChange, changedCases } from "../../../shared/domain/recovery/case-changes.ts"
import type { DroppedCase } from "../../../shared/domain/recovery/fold/bounds.ts"
import { fold } from "../../../shared/domain/recovery/fold.ts"
import type { NudgePlan } from "../../../shared/domain/recovery/nudges/nudge-outcome.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { foldUndoable } from "../../../shared/domain/recovery/undo.ts"
import { EMPTY_STATE } from "../../../shared/domain/state.ts"
import { announceChanges } from "../../platform/live/announce.ts"
import type { Services } from "../../platform/services.ts"
import { keyOf, stateOf, undoableStateOf } from "../stream-state.ts"

/** What one reading of a nudge leads to: a commit, null when there is nothing to write, and the result once it is written. */
export interface Step<Result> {
  readonly commit: Commit | null
  readonly result: Result
  /** The cases that the commit changes, for open pages. */
  readonly changes: () => readonly CaseChange[]
}

/** A step that writes nothing. */
export const stepWithout = <Result>(result: Result): Step<Result> => ({ commit: null, result, changes: () => [] })

/** To be called when the commit of a step is written. */
export const announceStep = (services: Services, companyId: string, { changes }: Step<unknown>): void =>
  announceChanges(services, companyId, changes)

/** A plan that releases the nudge; with an owner, only while that worker still has its lease. */
export const stepOfPlan = (
  services: Services,
  stream: Stream,
  nudgeId: string,
  plan: NudgePlan,
  { owner = null }: { readonly owner?: string | null } = {},
): Step<NudgePlan> => ({ ...writeOf(services, stream, { nudgeId, ...plan, owner }), result: plan })

/** A nudge that is marked as `sending`, with the stream after the mark. */
export interface Marked {
  readonly stream: PersonStream
  readonly nudge: Nudge
}

/**
 * Marks a nudge as `sending` for the whole person, in one commit with `facts`, and keeps the lease: from here on it may have
 * been delivered, and frequency caps count it. One that this worker has marked already is the same attempt.
 */
export function markStep(
  services: Services,
  stream: PersonStream,
  nudge: Nudge,
  { owner, facts, now }: { readonly owner: string; readonly facts: readonly Fact[]; readonly now: Instant },
): Step<Marked> {
  const { id: nudgeId } = nudge
  const attempts = nudge.status === "sending" ? nudge.attempts : nudge.attempts + 1
  const change = { status: "sending", reason: null, attempts, sentAt: now } as const
  return {
    ...writeOf(services, stream, { nudgeId, change, facts, owner, isForPerson: true, isLeaseKept: true }),
    result: { stream: afterWrite(stream, nudgeId, change, facts), nudge: { ...nudge, ...change } },
  }
}

interface NudgeWrite extends Pick<NudgePlan, "change" | "facts"> {
  readonly nudgeId: string
  readonly fallback?: Nudge | null
  readonly owner: string | null
  /** Fails if any customer of the person has changed since it was read. */
  readonly isForPerson?: boolean
  /** The worker keeps the lease. */
  readonly isLeaseKept?: boolean
}

function writeOf(
  services: Services,
  stream: Stream & Partial<PersonStream>,
  write: NudgeWrite,
): Omit<Step<never>, "result"> {
  const { nudgeId, change, facts, fallback = null, owner, isForPerson = false, isLeaseKept = false } = write
  const { person } = stream
  const dropped: DroppedCase[] = []
  const { state, undo } = foldUndoable(facts, undoableStateOf(stream, dropped), dropped)
  const commit: Commit = {
    key: keyOf(stream),
    expectedVersion: stream.customer.version,
    now: services.now().toISOString(),
    state,
    undo,
    projected: stream.snapshot ?? EMPTY_STATE,
    dropped,
    facts,
    nudges: [
      { kind: "set", id: nudgeId, change, releaseLease: !isLeaseKept },
      ...(fallback === null ? [] : [{ kind: "plan" as const, nudge: fallback }]),
    ],
    contact: null,
    processedEvents: [],
    ...(owner !== null && { claim: { nudgeId, owner } }),
    ...(isForPerson && person && { personMark: person.mark }),
  }
  const own = stream.nudges.filter(({ id }) => id === nudgeId)
  return { commit, changes: () => changedCases(stream.snapshot, state, own) }
}

/** The stream after our own write: nobody else has changed it, or the write would have failed. */
const afterWrite = (
  stream: PersonStream,
  nudgeId: string,
  change: Partial<Nudge>,
  facts: readonly Fact[],
): PersonStream => ({
  ...stream,
  customer: { ...stream.customer, version: stream.customer.version + 1 },
  snapshot: fold(facts, stateOf(stream)),
  facts: [],
  earlier: null,
  isWhole: false,
  isFromInstant: false,
  undo: null,
  nudges: stream.nudges.map((nudge) => (nudge.id === nudgeId ? { ...nudge, ...change } : nudge)),
})
