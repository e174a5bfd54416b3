/** Writes the change of one nudge: the nudge, its facts and the state, in one commit. */
import { commit } from "../../../db/queries/recovery/commit.ts"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import type { PersonStream } from "../../../db/queries/recovery/persons.ts"
import type { Fact, Instant } from "../../../shared/domain/facts.ts"
import { changedCases } from "../../../shared/domain/recovery/case-changes.ts"
import type { DroppedCase } from "../../../shared/domain/recovery/fold/bounds.ts"
import { fold } from "../../../shared/domain/recovery/fold.ts"
import type { NudgePlan } from "../../../shared/domain/recovery/nudge-plan.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges.ts"
import { foldUndoable } from "../../../shared/domain/recovery/undo.ts"
import { EMPTY_STATE } from "../../../shared/domain/state.ts"
import { announceChanges } from "../../platform/live/announce.ts"
import type { Services } from "../../platform/services.ts"
import { keyOf, stateOf, undoableStateOf } from "../stream-state.ts"

/** Writes a plan and releases the nudge; with an owner, only while that worker still has its lease. */
export async function write(
  services: Services,
  stream: Stream,
  nudgeId: string,
  plan: NudgePlan,
  { owner = null }: { readonly owner?: string | null } = {},
): Promise<NudgePlan> {
  await commitNudge(services, stream, { nudgeId, ...plan, owner })
  return plan
}

interface Writing extends Pick<NudgePlan, "change" | "facts"> {
  readonly nudgeId: string
  readonly fallback?: Nudge | null
  readonly owner: string | null
  /** Fails if any customer of the person has changed since it was read. */
  readonly isForPerson?: boolean
  /** The worker keeps the lease. */
  readonly isLeaseKept?: boolean
}

/** One commit for one nudge. */
export async function commitNudge(
  services: Services,
  stream: Stream & Partial<PersonStream>,
  writing: Writing,
): Promise<void> {
  const { nudgeId, change, facts, fallback = null, owner, isForPerson = false, isLeaseKept = false } = writing
  const { person } = stream
  const dropped: DroppedCase[] = []
  const { state, undo } = foldUndoable(facts, undoableStateOf(stream, dropped), dropped)
  await commit(services.db, {
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
  })
  announceChanges(services, stream.companyId, () =>
    changedCases(
      stream.snapshot,
      state,
      stream.nudges.filter(({ id }) => id === nudgeId),
    ),
  )
}

/**
 * Marks a nudge as `sending` for the whole person, in one commit with `facts`, and keeps the lease: from here on it may have
 * been delivered, and frequency caps count it.
 */
export async function markSending(
  services: Services,
  stream: PersonStream,
  nudge: Nudge,
  { owner, facts, now }: { readonly owner: string; readonly facts: readonly Fact[]; readonly now: Instant },
): Promise<{ readonly stream: PersonStream; readonly nudge: Nudge }> {
  const change = { status: "sending", reason: null, attempts: nudge.attempts + 1, sentAt: now } as const
  const { id: nudgeId } = nudge
  await commitNudge(services, stream, { nudgeId, change, facts, owner, isForPerson: true, isLeaseKept: true })
  return { stream: afterWrite(stream, nudgeId, change, facts), nudge: { ...nudge, ...change } }
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
