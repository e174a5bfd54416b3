/**
 * What is done with one claimed nudge: decide again, mark as `sending`, send, record. Marks and receipts are written with
 * those of the other nudges of its group.
 *
 * The mark and the version guard make sure that a nudge is delivered at most once: if it is marked and its worker is gone, it
 * may have been delivered, so it becomes `unknown` and is not retried.
 */

import { commit } from "../../../db/queries/recovery/commit.ts"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import { releaseLeases } from "../../../db/queries/recovery/nudges.ts"
import { loadPersonStream, type PersonStream } from "../../../db/queries/recovery/persons.ts"
import { loadStream } from "../../../db/queries/recovery/stream.ts"
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
} from "../../../shared/domain/recovery/nudges/nudge-outcome.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { settingsOf } from "../../../shared/domain/settings.ts"
import type { Flags } from "../../../shared/flags/flags.ts"
import type { Reservation } from "../../platform/outbound/budget.ts"
import {
  INCENTIVE_SUBREQUESTS,
  MARKED_NUDGE_SUBREQUESTS,
  RECEIPT_SUBREQUESTS,
} from "../../platform/outbound/subrequests.ts"
import { grantFor } from "../../platform/provider-accounts.ts"
import type { Services } from "../../platform/services.ts"
import { isEnabledFor, NOTIFICATIONS_SWITCH } from "../../platform/switches.ts"
import { type IncentiveResult, incentiveFor } from "../apply-incentive.ts"
import { withReloadRetries } from "../conflict-retries.ts"
import { isWhopChannel, reachableChannels, stateOf } from "../stream-state.ts"
import { composeMessage, hasNoAddress, variantFacts } from "./compose-message.ts"
import { announceStep, type Marked, markStep, type Step, stepOfPlan, stepWithout } from "./nudge-steps.ts"
import type { GroupWrites } from "./write-together.ts"

/**
 * The outcome of a nudge. `no_room`: the invocation did not have enough subrequests for all calls, so it made none; the
 * nudge is still due.
 */
export type SendNudgeResult = NudgeOutcome | "not_due" | "no_room"

/** How a nudge ended, and what follows. */
export interface Done {
  readonly outcome: SendNudgeResult
  readonly fallback: Nudge | null
  readonly postponed: Nudge | null
}

/** Nothing was done, and nothing follows. */
export const nothing = (outcome: SendNudgeResult): Done => ({ outcome, fallback: null, postponed: null })

/** A nudge that is claimed, and what it shares with the others of its group. */
export interface Claim {
  readonly nudgeId: string
  readonly reservation: Reservation
  readonly owner: string
  readonly writes: GroupWrites
  /** The switches as they are now. */
  readonly lastCheck: () => Promise<Flags>
}

/** Sends a claimed nudge if the rules still allow it, and records how that ended. */
export async function act(services: Services, claimed: PersonStream, claim: Claim): Promise<Done> {
  const { nudgeId, owner } = claim
  if (claimed.nudges.some((nudge) => nudge.id === nudgeId && nudge.status === "sending")) {
    return settle(services, claimed, claim, { attempt: { kind: "unknown", reason: "worker_lost" }, incentive: null })
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

async function sendClaimed(services: Services, claimed: PersonStream, claim: Claim): Promise<Done> {
  const { nudgeId, reservation, writes } = claim
  let hasTriedToMark = false
  const prepared = await writes.write({
    first: claimed,
    async decide(stream) {
      const step = await prepare(services, stream, { ...claim, hasTriedToMark })
      hasTriedToMark ||= "nudge" in step.result
      return step
    },
    reload: () => loadPersonStream(services.db, claimed.companyId, claimed.customer.id, services.now()),
    held: null,
  })
  if ("outcome" in prepared) return prepared
  reservation.keep(MARKED_NUDGE_SUBREQUESTS)

  const { nudge } = prepared
  const incentive = await incentiveFor(services, prepared.stream, nudge)
  const allowed = await decideAfterIncentive(services, prepared.stream, nudgeId, incentive)
  if ("outcome" in allowed) return allowed

  const attempt =
    incentive.kind === "later" ? incentive.attempt : await send(services, allowed, { nudge, incentive, claim })
  reservation.keep(RECEIPT_SUBREQUESTS)
  return settle(services, allowed, claim, { attempt, incentive })
}

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
  const reload = () => loadPersonStream(services.db, companyId, customer.id, services.now())
  const current = await reload()
  if (!current) throw new Error("an existing customer is gone")
  const attempt = (fresh: PersonStream) => decideAgain(services, fresh, nudgeId, incentive)
  return withReloadRetries(services, current, attempt, { held: null, reload })
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
  const step = stepOfPlan(services, stream, nudgeId, plan)
  if (step.commit !== null) await commit(services.db, step.commit)
  announceStep(services, stream.companyId, step)
  return step.result
}

/** The receipt of an incentive that was just applied. */
const appliedFacts = (incentive: IncentiveResult | null, now: string): Fact[] =>
  incentive?.kind === "given" && incentive.isNew ? [{ ...incentive.fact, id: incentive.factId, occurredAt: now }] : []

/**
 * Decides again on the current state, and marks the nudge as `sending` in the same transaction. `hasTriedToMark`: this worker
 * tried before, and got no answer. A mark that it finds is then its own, since it has the lease, and nothing was sent.
 */
async function prepare(
  services: Services,
  stream: PersonStream,
  { nudgeId, owner, hasTriedToMark }: Claim & { readonly hasTriedToMark: boolean },
): Promise<Step<Done | Marked>> {
  const now = services.now().toISOString()
  const nudge = stream.nudges.find((candidate) => candidate.id === nudgeId)
  const isMarked = hasTriedToMark && nudge?.status === "sending"
  if (nudge === undefined || !(nudge.status === "planned" || isMarked)) {
    return stepWithout<Done>(nothing("not_due"))
  }
  const others = stream.nudges.filter((candidate) => candidate.id !== nudgeId)
  const decision = decideSend(stateOf(stream), nudge, others, settingsOf(stream), now, stream.person)

  switch (decision.kind) {
    case "suppress": {
      const plan = planSuppression(stateOf(stream), nudge, decision.reason, now)
      return stepOfPlan(services, stream, nudgeId, plan, { owner })
    }
    case "defer":
      return stepOfPlan(services, stream, nudgeId, planDeferral(nudge, decision), { owner })
    case "send": {
      const retry =
        !isMarked && (await hasNoAddress(services, stream, nudge.channel))
          ? addressRetryAt(stateOf(stream), stream.customer.provider, nudge, now)
          : null
      // The facts of an event are visible when it is recorded, its address only when it has been processed.
      if (retry !== null) return stepOfPlan(services, stream, nudgeId, planAddressWait(nudge, retry), { owner })
      return markStep(services, stream, nudge, { owner, facts: variantFacts(stream, nudge, now), now })
    }
  }
}

interface Sending {
  readonly nudge: Nudge
  readonly incentive: Extract<IncentiveResult, { kind: "none" | "given" }>
  readonly claim: Claim
}

async function send(services: Services, stream: PersonStream, { nudge, incentive, claim }: Sending): Promise<Attempt> {
  const message = await composeMessage(services, stream, nudge, incentive.kind === "given" ? incentive.incentive : null)
  if (message === null) return { kind: "refused", reason: "no_address" }
  // Last check: a switch that was changed since the claim still counts.
  if (!isEnabledFor(await claim.lastCheck(), NOTIFICATIONS_SWITCH, stream.companyId)) return { kind: "switched_off" }
  const { companyId } = stream
  const grant = isWhopChannel(nudge.channel)
    ? await grantFor(services, { provider: "whop", companyId, named: null })
    : null
  const idempotencyKey = await safeKey(`${companyId}.${nudge.id}`)
  const channels = await services.channelsFor(companyId)
  const outcome = await channels[nudge.channel].send(message, { idempotencyKey, grant })
  return outcome.kind === "sent" ? { ...outcome, ...message.sentWith } : outcome
}

interface Ended {
  readonly attempt: Attempt
  readonly incentive: IncentiveResult | null
}

/** Records how the attempt ended. */
const settle = (services: Services, stream: Stream, claim: Claim, ended: Ended): Promise<Done> =>
  claim.writes.write({
    first: stream,
    decide: (current) => settlement(services, current, claim.nudgeId, ended),
    reload: () => loadStream(services.db, stream.companyId, stream.customer.id, { whole: true }),
    held: claim.reservation,
  })

async function settlement(
  services: Services,
  stream: Stream,
  nudgeId: string,
  { attempt, incentive }: Ended,
): Promise<Step<Done>> {
  const now = services.now().toISOString()
  const nudge = stream.nudges.find((candidate) => candidate.id === nudgeId)
  if (nudge?.status !== "sending") return stepWithout<Done>(nothing("not_due"))
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
  return stepOfPlan(services, stream, nudgeId, plan)
}
