/**
 * Sends one nudge: claim, decide again, mark as `sending`, send, record. The mark and the version guard make sure that it is
 * delivered at most once: if a nudge is marked and its worker is gone, it may have been delivered, so it becomes `unknown`
 * and is not retried.
 */

import { databaseFailure } from "../../../db/client.ts"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import { claimNudge, releaseLeases } from "../../../db/queries/recovery/nudges.ts"
import { loadPersonStream, type PersonStream } from "../../../db/queries/recovery/persons.ts"
import { safeKey } from "../../../shared/crypto/plain-key.ts"
import type { Fact } from "../../../shared/domain/facts.ts"
import { addressRetryAt, decideSend } from "../../../shared/domain/recovery/decide.ts"
import {
  type Attempt,
  type NudgeOutcome,
  planAddressWait,
  planDeferral,
  planSettle,
  planSuppression,
  type SendOutcome,
} from "../../../shared/domain/recovery/nudge-plan.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges.ts"
import { settingsOf } from "../../../shared/domain/settings.ts"
import type { Reservation } from "../../platform/outbound/budget.ts"
import {
  INCENTIVE_SUBREQUESTS,
  MARKED_NUDGE_SUBREQUESTS,
  NUDGE_SUBREQUESTS,
  RECEIPT_SUBREQUESTS,
} from "../../platform/outbound/subrequests.ts"
import { grantFor } from "../../platform/provider-accounts.ts"
import type { Services } from "../../platform/services.ts"
import { isEnabledFor, NOTIFICATIONS_SWITCH } from "../../platform/switches.ts"
import { type IncentiveResult, incentiveFor } from "../apply-incentive.ts"
import { withConflictRetries, withReloadRetries } from "../conflict-retries.ts"
import { isWhopChannel, reachableChannels, stateOf } from "../stream-state.ts"
import { markSending, write } from "./commit-nudge.ts"
import { composeMessage, hasNoAddress, variantFacts } from "./compose-message.ts"
import { enqueueNudge } from "./enqueue-nudges.ts"

/** Longer than a send and its writes can take, short enough that a failed worker does not block a nudge for long. */
const LEASE_MS = 120_000

/**
 * The outcome of `sendNudge`. `no_room`: the invocation did not have enough subrequests for all calls, so it made none; the
 * nudge is still due.
 */
export type SendNudgeResult = NudgeOutcome | "not_due" | "no_room"

/**
 * Sends one nudge if the rules still allow it. `dispatcher` is the owner of the lease under which it was published, or null.
 * Safe to call any number of times, also concurrently. Subrequests for all its calls are reserved at the start, so that a
 * nudge that is marked as `sending` is always sent and settled.
 */
export async function sendNudge(
  services: Services,
  companyId: string,
  nudgeId: string,
  dispatcher: string | null,
): Promise<SendNudgeResult> {
  const reservation = services.budget.reserve(NUDGE_SUBREQUESTS)
  if (reservation === null) return "no_room"
  try {
    const { outcome, fallback, postponed } = await claimAndAct(services, {
      ...{ companyId, nudgeId, dispatcher, reservation },
    })
    reservation.release()
    if (fallback !== null && fallback.dueAt <= services.now().toISOString()) {
      return await sendNudge(services, companyId, fallback.id, null)
    }
    const later = fallback ?? postponed
    if (later) await enqueueNudge(services, companyId, later)
    return outcome
  } finally {
    reservation.release()
  }
}

interface Task {
  readonly companyId: string
  readonly nudgeId: string
  readonly dispatcher: string | null
  readonly reservation: Reservation
}

async function claimAndAct(services: Services, { companyId, nudgeId, dispatcher, reservation }: Task): Promise<Done> {
  const { db, log, newId } = services
  if (!isEnabledFor(await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH, companyId)) {
    return nothing("switched_off")
  }

  const now = services.now()
  const lease = { owner: newId(), until: new Date(now.getTime() + LEASE_MS) }
  const claimed = await claimNudge(db, companyId, nudgeId, { dispatcher, lease, now })
  if (!claimed) return nothing("not_due")
  try {
    const done = await act(services, claimed, { nudgeId, owner: lease.owner, reservation })
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

/** Nothing was done, and nothing follows. */
const nothing = (outcome: SendNudgeResult): Done => ({ outcome, fallback: null, postponed: null })

interface Claim {
  readonly nudgeId: string
  readonly owner: string
  readonly reservation: Reservation
}

async function act(services: Services, claimed: PersonStream, claim: Claim): Promise<Done> {
  const { nudgeId, owner, reservation } = claim
  if (claimed.nudges.some((nudge) => nudge.id === nudgeId && nudge.status === "sending")) {
    const lost: SendOutcome = { kind: "unknown", reason: "worker_lost" }
    return withConflictRetries(
      services,
      claimed,
      (stream) => settle(services, stream, nudgeId, lost, null),
      reservation,
    )
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

async function sendClaimed(
  services: Services,
  claimed: PersonStream,
  { nudgeId, owner, reservation }: Claim,
): Promise<Done> {
  const prepared = await withPersonRetries(services, claimed, (stream) => prepare(services, stream, nudgeId, owner))
  if ("outcome" in prepared) return prepared
  reservation.keep(MARKED_NUDGE_SUBREQUESTS)

  const { nudge } = prepared
  const incentive = await incentiveFor(services, prepared.stream, nudge)
  const allowed = await decideAfterIncentive(services, prepared.stream, nudgeId, incentive)
  if ("outcome" in allowed) return allowed

  const attempt = incentive.kind === "later" ? incentive.attempt : await send(services, allowed, nudge, incentive)
  reservation.keep(RECEIPT_SUBREQUESTS)
  return withConflictRetries(
    services,
    allowed,
    (current) => settle(services, current, nudgeId, attempt, incentive),
    reservation,
  )
}

/** Conflict retries that also read the person again: one of their other customers may have changed. */
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
 * The stream to send from. While the provider's API applied an incentive the member may have paid or opted out, so the
 * stream is read and decided again; a nudge without a new incentive was decided just before.
 */
async function decideAfterIncentive(
  services: Services,
  stream: PersonStream,
  nudgeId: string,
  incentive: IncentiveResult,
): Promise<PersonStream | Done> {
  if (incentive.kind !== "given" || !incentive.isNew) return stream
  const { companyId, customer } = stream
  const current = await loadPersonStream(services.db, companyId, customer.id, services.now())
  if (!current) throw new Error("an existing customer is gone")
  return withPersonRetries(services, current, (fresh) => decideAgain(services, fresh, nudgeId, incentive))
}

async function decideAgain(
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

/** The receipt of an incentive that was just applied. */
const appliedFacts = (incentive: IncentiveResult | null, now: string): Fact[] =>
  incentive?.kind === "given" && incentive.isNew ? [{ ...incentive.fact, id: incentive.factId, occurredAt: now }] : []

/** Decides again on the current state, and marks the nudge as `sending` in the same transaction. */
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
      // The facts of an event are visible when it is recorded, its address only when it has been processed.
      if (retry !== null) return write(services, stream, nudgeId, planAddressWait(nudge, retry), { owner })
      return markSending(services, stream, nudge, { owner, facts: variantFacts(stream, nudge, now), now })
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
  // Last check: a switch that was changed since the claim still counts.
  const isEnabled = isEnabledFor(await services.flags({ isImmediate: true }), NOTIFICATIONS_SWITCH, stream.companyId)
  if (!isEnabled) return { kind: "switched_off" }
  const { companyId } = stream
  const grant = isWhopChannel(nudge.channel)
    ? await grantFor(services, { provider: "whop", companyId, named: null })
    : null
  const idempotencyKey = await safeKey(`${companyId}.${nudge.id}`)
  const channels = await services.channelsFor(companyId)
  const outcome = await channels[nudge.channel].send(message, { idempotencyKey, grant })
  return outcome.kind === "sent" ? { ...outcome, ...message.sentWith } : outcome
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
