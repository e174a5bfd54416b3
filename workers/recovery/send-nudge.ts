/**
 * One nudge, from due to done: claim, decide again, mark as on its way, send, record. The mark and the version guard make
 * it visible at most once: whoever finds a nudge marked and its worker lost cannot know whether it was seen, and leaves it
 * to a person.
 */

import { databaseFailure } from "../../db/client.ts"
import { commit } from "../../db/queries/recovery/commit.ts"
import type { Stream } from "../../db/queries/recovery/ledger-pages.ts"
import { assertLease, claimNudge, releaseLeases } from "../../db/queries/recovery/nudges.ts"
import { assertPersonUnchanged, loadPersonStream, type PersonStream } from "../../db/queries/recovery/persons.ts"
import { safeKey } from "../../shared/crypto/plain-key.ts"
import type { Fact } from "../../shared/domain/facts.ts"
import { addressRetryAt, decideSend } from "../../shared/domain/recovery/decide.ts"
import type { DroppedCase } from "../../shared/domain/recovery/fold/bounds.ts"
import { fold } from "../../shared/domain/recovery/fold.ts"
import {
  type Attempt,
  type NudgeOutcome,
  type NudgePlan,
  planAddressWait,
  planDeferral,
  planSettle,
  planSuppression,
  type SendOutcome,
} from "../../shared/domain/recovery/nudge-plan.ts"
import type { Nudge } from "../../shared/domain/recovery/nudges.ts"
import { settingsOf } from "../../shared/domain/settings.ts"
import { EMPTY_STATE } from "../../shared/domain/state.ts"
import type { Reservation } from "../platform/outbound/budget.ts"
import {
  INCENTIVE_SUBREQUESTS,
  MARKED_NUDGE_SUBREQUESTS,
  NUDGE_SUBREQUESTS,
  RECEIPT_SUBREQUESTS,
} from "../platform/outbound/subrequests.ts"
import { grantFor } from "../platform/provider-accounts.ts"
import type { Services } from "../platform/services.ts"
import { isEnabledFor, NOTIFICATIONS_SWITCH } from "../platform/switches.ts"
import { isWhopChannel, keyOf, reachableChannels, stateOf, withConflictRetries, withReloadRetries } from "./advance.ts"
import { type IncentiveResult, incentiveFor } from "./apply-incentive.ts"
import { composeMessage, hasNoAddress } from "./compose-message.ts"
import { enqueueNudge } from "./enqueue-nudges.ts"

/** Longer than a send and its writes can take, short enough that a lost worker does not hold a nudge for long. */
const LEASE_MS = 120_000

/**
 * How a call of `sendNudge` ended. `no_room`: the invocation could not have made all of its calls, so it made none of them;
 * the nudge is as due as before.
 */
export type SendNudgeResult = NudgeOutcome | "not_due" | "no_room"

/**
 * Sends one nudge if it may still go out. `dispatcher` is the claim under which it was handed over, or null. Safe to call
 * any number of times, at once or later. Room for all of its calls is held from the beginning, so that a nudge that is
 * marked as on its way is always sent and settled.
 */
export async function sendNudge(
  services: Services,
  companyId: string,
  nudgeId: string,
  dispatcher: string | null,
): Promise<SendNudgeResult> {
  const hold = services.budget.reserve(NUDGE_SUBREQUESTS)
  if (hold === null) return "no_room"
  try {
    const { outcome, fallback, postponed } = await claimAndAct(services, { companyId, nudgeId, dispatcher, hold })
    hold.release()
    if (fallback !== null && fallback.dueAt <= services.now().toISOString()) {
      return await sendNudge(services, companyId, fallback.id, null)
    }
    const later = fallback ?? postponed
    if (later) await enqueueNudge(services, companyId, later)
    return outcome
  } finally {
    hold.release()
  }
}

interface Task {
  readonly companyId: string
  readonly nudgeId: string
  readonly dispatcher: string | null
  readonly hold: Reservation
}

async function claimAndAct(services: Services, { companyId, nudgeId, dispatcher, hold }: Task): Promise<Done> {
  const { db, log, newId } = services
  if (!isEnabledFor(await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH, companyId)) {
    return nothing("switched_off")
  }

  const now = services.now()
  const lease = { owner: newId(), until: new Date(now.getTime() + LEASE_MS) }
  const claimed = await claimNudge(db, companyId, nudgeId, { dispatcher, lease, now })
  if (!claimed) return nothing("not_due")
  try {
    const done = await act(services, claimed, { nudgeId, owner: lease.owner, hold })
    log.info("nudge_done", { companyId, nudgeId, outcome: done.outcome })
    return done
  } catch (error) {
    if (databaseFailure(error) === "lost_lease") return nothing("not_due")
    throw error
  }
}

interface Done {
  readonly outcome: SendNudgeResult
  readonly fallback: Nudge | null
  readonly postponed: Nudge | null
}

/** Nothing was done, and nothing is to follow. */
const nothing = (outcome: SendNudgeResult): Done => ({ outcome, fallback: null, postponed: null })

interface Claim {
  readonly nudgeId: string
  readonly owner: string
  readonly hold: Reservation
}

async function act(services: Services, claimed: PersonStream, claim: Claim): Promise<Done> {
  const { nudgeId, owner, hold } = claim
  if (claimed.nudges.some((nudge) => nudge.id === nudgeId && nudge.status === "sending")) {
    const lost: SendOutcome = { kind: "unknown", reason: "worker_lost" }
    return withConflictRetries(services, claimed, (stream) => settle(services, stream, nudgeId, lost, null), hold)
  }
  const hasIncentive = claimed.nudges.some((nudge) => nudge.id === nudgeId && nudge.incentive !== null)
  const forIncentive = hasIncentive ? services.budget.reserve(INCENTIVE_SUBREQUESTS) : null
  if (hasIncentive && forIncentive === null) {
    await releaseLeases(services.db, claimed.companyId, owner)
    return nothing("no_room")
  }
  try {
    return await sendClaimed(services, claimed, claim)
  } finally {
    forIncentive?.release()
  }
}

async function sendClaimed(services: Services, claimed: PersonStream, { nudgeId, owner, hold }: Claim): Promise<Done> {
  const prepared = await withPersonRetries(services, claimed, (stream) => prepare(services, stream, nudgeId, owner))
  if ("outcome" in prepared) return prepared
  hold.keep(MARKED_NUDGE_SUBREQUESTS)

  const { nudge } = prepared
  const incentive = await incentiveFor(services, prepared.stream, nudge)
  const judged = await decideAgain(services, prepared.stream, nudgeId, incentive)
  if ("outcome" in judged) return judged

  const attempt = incentive.kind === "later" ? incentive.attempt : await send(services, judged, nudge, incentive)
  hold.keep(RECEIPT_SUBREQUESTS)
  return withConflictRetries(
    services,
    judged,
    (current) => settle(services, current, nudgeId, attempt, incentive),
    hold,
  )
}

/** Reads the person again too, whenever one of their customers was quicker. */
const withPersonRetries = <T>(
  services: Services,
  first: PersonStream,
  attempt: (stream: PersonStream) => Promise<T>,
): Promise<T> =>
  withReloadRetries(services, first, attempt, {
    held: null,
    reload: () => loadPersonStream(services.db, first.companyId, first.customer.id, services.now()),
  })

/**
 * The stream to send from. While the provider was asked for an incentive the member may have paid or opted out, so after
 * that the stream is read and the nudge decided anew; any other nudge was decided a moment ago.
 */
async function decideAgain(
  services: Services,
  stream: PersonStream,
  nudgeId: string,
  incentive: IncentiveResult,
): Promise<PersonStream | Done> {
  if (incentive.kind !== "given" || !incentive.isNew) return stream
  const { companyId, customer } = stream
  const current = await loadPersonStream(services.db, companyId, customer.id, services.now())
  if (!current) throw new Error("a customer that was there is gone")
  return withPersonRetries(services, current, (fresh) => judgeAgain(services, fresh, nudgeId, incentive))
}

async function judgeAgain(
  services: Services,
  stream: PersonStream,
  nudgeId: string,
  incentive: IncentiveResult,
): Promise<PersonStream | Done> {
  const now = services.now().toISOString()
  const nudge = stream.nudges.find((candidate) => candidate.id === nudgeId)
  if (nudge?.status !== "sending") return nothing("not_due")
  const others = stream.nudges.filter((candidate) => candidate.id !== nudgeId)
  const decision = decideSend(stateOf(stream), nudge, others, settingsOf(stream), now, stream.person)
  if (decision.kind === "send") return stream

  const applied = appliedFacts(incentive, now)
  const plan =
    decision.kind === "suppress"
      ? planSuppression(stateOf(stream), nudge, decision.reason, now, applied)
      : planDeferral(nudge, decision, applied)
  return write(services, stream, nudgeId, plan)
}

/** The receipt of an incentive that was applied just now. */
const appliedFacts = (incentive: IncentiveResult | null, now: string): Fact[] =>
  incentive?.kind === "given" && incentive.isNew ? [{ ...incentive.fact, id: incentive.factId, occurredAt: now }] : []

/** Decides again on what is known at this moment, and marks the nudge as on its way in the same transaction. */
async function prepare(
  services: Services,
  stream: PersonStream,
  nudgeId: string,
  owner: string,
): Promise<Done | { readonly stream: PersonStream; readonly nudge: Nudge }> {
  const now = services.now().toISOString()
  const nudge = stream.nudges.find((candidate) => candidate.id === nudgeId)
  if (nudge?.status !== "planned") return nothing("not_due")
  const others = stream.nudges.filter((candidate) => candidate.id !== nudgeId)
  const decision = decideSend(stateOf(stream), nudge, others, settingsOf(stream), now, stream.person)

  switch (decision.kind) {
    case "suppress":
      return write(services, stream, nudgeId, planSuppression(stateOf(stream), nudge, decision.reason, now), { owner })
    case "defer":
      return write(services, stream, nudgeId, planDeferral(nudge, decision), { owner })
    case "send": {
      const retry = (await hasNoAddress(services, stream, nudge.channel))
        ? addressRetryAt(stateOf(stream), stream.customer.provider, nudge, now)
        : null
      // The facts of an event are read as soon as they are recorded, its address when it was processed.
      if (retry !== null) return write(services, stream, nudgeId, planAddressWait(nudge, retry), { owner })
      // From here on it may have been seen, and the frequency caps count it as of now.
      const change = { status: "sending", reason: null, attempts: nudge.attempts + 1, sentAt: now } as const
      await commitNudge(services, stream, { nudgeId, change, facts: [], owner, isForPerson: true, isLeaseKept: true })
      return { stream: afterWrite(stream, nudgeId, change), nudge: { ...nudge, ...change } }
    }
  }
}

async function send(
  services: Services,
  stream: PersonStream,
  nudge: Nudge,
  incentive: Extract<IncentiveResult, { kind: "none" | "given" }>,
): Promise<Attempt> {
  const message = await composeMessage(services, stream, nudge, incentive.kind === "given" ? incentive.incentive : null)
  if (message === null) return { kind: "refused", reason: "no_address" }
  // The last look: a switch that was thrown since the claim still counts.
  const isEnabled = isEnabledFor(await services.flags({ isImmediate: true }), NOTIFICATIONS_SWITCH, stream.companyId)
  if (!isEnabled) return { kind: "switched_off" }
  const { companyId } = stream
  const grant = isWhopChannel(nudge.channel)
    ? await grantFor(services, { provider: "whop", companyId, named: null })
    : null
  const idempotencyKey = await safeKey(`${companyId}.${nudge.id}`)
  return services.channels[nudge.channel].send(message, { idempotencyKey, grant })
}

/** Records how the attempt ended. */
async function settle(
  services: Services,
  stream: Stream,
  nudgeId: string,
  attempt: Attempt,
  incentive: IncentiveResult | null,
): Promise<Done> {
  const now = services.now().toISOString()
  const nudge = stream.nudges.find((candidate) => candidate.id === nudgeId)
  if (nudge?.status !== "sending") return nothing("not_due")
  const plan = planSettle({
    attempt,
    nudge,
    others: stream.nudges.filter((candidate) => candidate.id !== nudgeId),
    state: stateOf(stream),
    settings: settingsOf(stream),
    reach: await reachableChannels(services, stream),
    applied: appliedFacts(incentive, now),
    isProviderAway: incentive?.kind === "later",
    now,
  })
  return write(services, stream, nudgeId, plan)
}

/** Writes a plan and lets go of the nudge; with an owner only while the nudge is still in that worker's hands. */
async function write(
  services: Services,
  stream: Stream,
  nudgeId: string,
  plan: NudgePlan,
  { owner = null }: { readonly owner?: string | null } = {},
): Promise<Done> {
  await commitNudge(services, stream, { nudgeId, ...plan, owner })
  return plan
}

interface Writing extends Pick<NudgePlan, "change" | "facts"> {
  readonly nudgeId: string
  readonly fallback?: Nudge | null
  readonly owner: string | null
  /** Holds only while all customers of the person are as they were read. */
  readonly isForPerson?: boolean
  /** The nudge stays in the worker's hands. */
  readonly isLeaseKept?: boolean
}

/** One commit for one nudge. */
async function commitNudge(
  services: Services,
  stream: Stream & Partial<PersonStream>,
  writing: Writing,
): Promise<void> {
  const { nudgeId, change, facts, fallback = null, owner, isForPerson = false, isLeaseKept = false } = writing
  const { person } = stream
  const dropped: DroppedCase[] = []
  await commit(services.db, {
    key: keyOf(stream),
    expectedVersion: stream.customer.version,
    now: services.now().toISOString(),
    state: fold(facts, stateOf(stream, dropped), dropped),
    projected: stream.snapshot ?? EMPTY_STATE,
    dropped,
    facts,
    nudges: [
      { kind: "set", id: nudgeId, change, releaseLease: !isLeaseKept },
      ...(fallback === null ? [] : [{ kind: "plan" as const, nudge: fallback }]),
    ],
    contact: null,
    processedEvents: [],
    guards: [
      ...(owner === null ? [] : [assertLease(services.db, nudgeId, owner)]),
      ...(isForPerson && person ? [assertPersonUnchanged(services.db, stream.customer.id, person.mark)] : []),
    ],
  })
}

/** The stream as it stands after our own write: nobody else can have changed it, or the write had failed. */
const afterWrite = (stream: PersonStream, nudgeId: string, change: Partial<Nudge>): PersonStream => ({
  ...stream,
  customer: { ...stream.customer, version: stream.customer.version + 1 },
  snapshot: stateOf(stream),
  facts: [],
  earlier: null,
  isWhole: false,
  nudges: stream.nudges.map((nudge) => (nudge.id === nudgeId ? { ...nudge, ...change } : nudge)),
})
