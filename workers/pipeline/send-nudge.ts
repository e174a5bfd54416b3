/**
 * One nudge, from due to done: claim, decide again, mark as on its way, send, record. The mark and the version guard make
 * it visible at most once: whoever finds a nudge marked and its worker lost cannot know whether it was seen, and leaves it
 * to a person.
 */

import { databaseFailure } from "../../db/client.ts"
import { assertPerson, loadPersonStream, type PersonStream } from "../../db/queries/addresses.ts"
import { commit, type NudgeChange } from "../../db/queries/commit.ts"
import { assertLease, claimNudge, releaseLeases } from "../../db/queries/nudges.ts"
import type { Stream } from "../../db/queries/stream.ts"
import { plainKey } from "../../shared/crypto/plain-key.ts"
import { addressRetryAt, decideSend, fallbackFor, retryAt } from "../../shared/domain/decide.ts"
import type { Fact, NudgeRef, SuppressionReason } from "../../shared/domain/facts.ts"
import type { DroppedCase } from "../../shared/domain/fold/bounds.ts"
import { fold } from "../../shared/domain/fold.ts"
import type { Nudge } from "../../shared/domain/nudges.ts"
import { EMPTY_STATE } from "../../shared/domain/state.ts"
import type { SendOutcome } from "../channels/channel.ts"
import type { Hold } from "../outbound/budget.ts"
import { INCENTIVE_COST, MARKED_NUDGE_COST, NUDGE_COST, RECEIPT_COST } from "../outbound/costs.ts"
import { grantFor } from "../provider-accounts.ts"
import type { Services } from "../services.ts"
import { mayAct, NOTIFYING } from "./acting.ts"
import { isOfWhop, keyOf, reachOf, settingsOf, stateOf, withReloads, withRetries } from "./advance.ts"
import { enqueueNudge } from "./enqueue.ts"
import { type IncentiveResult, incentiveFor, SWITCHED_OFF } from "./incentive.ts"
import { composeMessage, lacksAddress } from "./message.ts"

/** Longer than a send and its writes can take, short enough that a lost worker does not hold a nudge for long. */
const LEASE_MS = 120_000

/** Where nothing else can reach the member an outage is waited out, for two days: a later step says it all by then. */
const WAIT_OUT_MS = 60 * 60_000
const WAIT_OUT_ATTEMPTS_MAX = 48

export type NudgeOutcome =
  | "sent"
  | "suppressed"
  | "deferred"
  | "retry"
  | "failed"
  | "unknown"
  | "switched_off"
  | "not_due"
  /** The invocation could not have made all of its calls, so it made none of them; the nudge is as due as before. */
  | "no_room"

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
): Promise<NudgeOutcome> {
  const hold = services.budget.hold(NUDGE_COST)
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
  readonly hold: Hold
}

async function claimAndAct(services: Services, { companyId, nudgeId, dispatcher, hold }: Task): Promise<Done> {
  const { db, log, newId } = services
  if (!mayAct(await services.flags({ isFreshNeeded: true }), NOTIFYING, companyId)) {
    return { outcome: "switched_off", fallback: null }
  }

  const now = services.now()
  const lease = { owner: newId(), until: new Date(now.getTime() + LEASE_MS) }
  const claimed = await claimNudge(db, companyId, nudgeId, { dispatcher, lease, now })
  if (!claimed) return { outcome: "not_due", fallback: null }
  try {
    const done = await act(services, claimed, { nudgeId, owner: lease.owner, hold })
    log.info("nudge_done", { companyId, nudgeId, outcome: done.outcome })
    return done
  } catch (error) {
    if (databaseFailure(error) === "lost_lease") return { outcome: "not_due", fallback: null }
    throw error
  }
}

interface Done {
  readonly outcome: NudgeOutcome
  /** The same step on another channel, planned because this one failed for good. */
  readonly fallback: Nudge | null
  /** This nudge as it stands now, when it is to be sent later. */
  readonly postponed?: Nudge
}

interface Claim {
  readonly nudgeId: string
  readonly owner: string
  readonly hold: Hold
}

async function act(services: Services, claimed: PersonStream, claim: Claim): Promise<Done> {
  const { nudgeId, owner, hold } = claim
  if (claimed.nudges.some((nudge) => nudge.id === nudgeId && nudge.status === "sending")) {
    const lost: SendOutcome = { kind: "unknown", reason: "worker_lost" }
    return withRetries(services, claimed, (stream) => settle(services, stream, nudgeId, lost, null), hold)
  }
  const hasIncentive = claimed.nudges.some((nudge) => nudge.id === nudgeId && nudge.incentive !== null)
  const forIncentive = hasIncentive ? services.budget.hold(INCENTIVE_COST) : null
  if (hasIncentive && forIncentive === null) {
    await releaseLeases(services.db, claimed.companyId, owner)
    return { outcome: "no_room", fallback: null }
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
  hold.keep(MARKED_NUDGE_COST)

  const { nudge } = prepared
  const incentive = await incentiveFor(services, prepared.stream, nudge)
  const judged = await lookAgain(services, prepared.stream, nudgeId, incentive)
  if ("outcome" in judged) return judged

  const outcome = incentive.kind === "later" ? incentive.outcome : await send(services, judged, nudge, incentive)
  hold.keep(RECEIPT_COST)
  return withRetries(services, judged, (current) => settle(services, current, nudgeId, outcome, incentive), hold)
}

/** Reads the person again too, whenever one of their customers was quicker. */
const withPersonRetries = <T>(
  services: Services,
  first: PersonStream,
  attempt: (stream: PersonStream) => Promise<T>,
): Promise<T> =>
  withReloads(services, first, attempt, {
    held: null,
    reload: () => loadPersonStream(services.db, first.companyId, first.customer.id, services.now()),
  })

/**
 * The stream to send from. While the provider was asked for an incentive the member may have paid or opted out, so after
 * that the stream is read and the nudge decided anew; any other nudge was decided a moment ago.
 */
async function lookAgain(
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
  if (nudge?.status !== "sending") return { outcome: "not_due", fallback: null }
  const others = stream.nudges.filter((candidate) => candidate.id !== nudgeId)
  const decision = decideSend(stateOf(stream), nudge, others, settingsOf(stream), now, stream.person)
  if (decision.kind === "send") return stream

  const given = givenFacts(incentive, now)
  if (decision.kind === "suppress") {
    await write(services, stream, null, {
      change: { status: "suppressed", reason: decision.reason, sentAt: null },
      releaseLease: true,
      facts: [...given, ...suppressionFacts(stream, nudge, decision.reason, now)],
      nudgeId,
    })
    return { outcome: "suppressed", fallback: null }
  }
  const change = { ...notTried(nudge, decision.reason), dueAt: decision.until }
  await write(services, stream, null, { change, releaseLease: true, facts: given, nudgeId })
  return { outcome: "deferred", fallback: null, postponed: { ...nudge, ...change } }
}

/** Back to the plan as if this try had not been: nothing was sent, and nobody is to blame. */
const notTried = (nudge: Nudge, reason: string) =>
  ({ status: "planned", reason, attempts: nudge.attempts - 1, sentAt: null }) as const

/** The receipt of an incentive that was applied just now. */
const givenFacts = (incentive: IncentiveResult | null, now: string): Fact[] =>
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
  if (nudge?.status !== "planned") return { outcome: "not_due", fallback: null }
  const others = stream.nudges.filter((candidate) => candidate.id !== nudgeId)
  const decision = decideSend(stateOf(stream), nudge, others, settingsOf(stream), now, stream.person)

  switch (decision.kind) {
    case "suppress":
      await write(services, stream, owner, {
        change: { status: "suppressed", reason: decision.reason },
        releaseLease: true,
        facts: suppressionFacts(stream, nudge, decision.reason, now),
        nudgeId,
      })
      return { outcome: "suppressed", fallback: null }
    case "defer": {
      const change = { dueAt: decision.until, reason: decision.reason }
      await write(services, stream, owner, { change, releaseLease: true, facts: [], nudgeId })
      return { outcome: "deferred", fallback: null, postponed: { ...nudge, ...change } }
    }
    case "send": {
      const retry = (await lacksAddress(services, stream, nudge.channel))
        ? addressRetryAt(stateOf(stream), stream.customer.provider, nudge, now)
        : null
      if (retry !== null) {
        // The facts of an event are read as soon as they are recorded, its address when it was processed.
        const change = { dueAt: retry, reason: "address_pending", attempts: nudge.attempts + 1 } as const
        await write(services, stream, owner, { change, releaseLease: true, facts: [], nudgeId })
        return { outcome: "deferred", fallback: null, postponed: { ...nudge, ...change } }
      }
      // From here on it may have been seen, and the frequency caps count it as of now.
      const change = { status: "sending", reason: null, attempts: nudge.attempts + 1, sentAt: now } as const
      await write(services, stream, owner, { change, releaseLease: false, facts: [], nudgeId, isForPerson: true })
      return { stream: afterWrite(stream, nudgeId, change), nudge: { ...nudge, ...change } }
    }
  }
}

async function send(
  services: Services,
  stream: PersonStream,
  nudge: Nudge,
  incentive: Extract<IncentiveResult, { kind: "none" | "given" }>,
): Promise<SendOutcome> {
  const message = await composeMessage(services, stream, nudge, incentive.kind === "given" ? incentive.incentive : null)
  if (message === null) return { kind: "refused", reason: "no_address" }
  // The last look: a switch that was thrown since the claim still counts.
  if (!mayAct(await services.flags({ isImmediate: true }), NOTIFYING, stream.companyId)) return SWITCHED_OFF
  const { companyId } = stream
  const grant = isOfWhop(nudge.channel) ? await grantFor(services, { provider: "whop", companyId, named: null }) : null
  const idempotencyKey = await plainKey(`${companyId}.${nudge.id}`)
  return services.channels[nudge.channel].send(message, { idempotencyKey, grant })
}

/** Records how it went: the receipt is a fact, and a channel that gave up hands over to the next one. */
async function settle(
  services: Services,
  stream: Stream,
  nudgeId: string,
  outcome: SendOutcome,
  incentive: IncentiveResult | null,
): Promise<Done> {
  const now = services.now().toISOString()
  const nudge = stream.nudges.find((candidate) => candidate.id === nudgeId)
  if (nudge?.status !== "sending") return { outcome: "not_due", fallback: null }
  const others = stream.nudges.filter((candidate) => candidate.id !== nudgeId)
  const ref = refOf(nudge)
  const given = givenFacts(incentive, now)
  if (outcome === SWITCHED_OFF) {
    const change = notTried(nudge, outcome.reason)
    await write(services, stream, null, { change, releaseLease: true, facts: given, nudgeId })
    return { outcome: "switched_off", fallback: null }
  }

  const again = outcome.kind === "retry" ? retryAt(nudge.attempts, outcome.retryAfterMs, now) : null
  if (outcome.kind === "sent") {
    const { providerMessageId } = outcome
    const sent: Fact = { kind: "nudge_sent", id: `nudge_sent:${nudgeId}`, occurredAt: now, providerMessageId, ...ref }
    await write(services, stream, null, {
      change: { status: "sent", reason: null, sentAt: now },
      releaseLease: true,
      facts: [...given, sent],
      nudgeId,
    })
    return { outcome: "sent", fallback: null }
  }
  const tryAgain = async (dueAt: string): Promise<Done> => {
    const change = { status: "planned", reason: outcome.reason, dueAt, sentAt: null } as const
    await write(services, stream, null, { change, releaseLease: true, facts: given, nudgeId })
    return { outcome: "retry", fallback: null, postponed: { ...nudge, ...change } }
  }
  if (again !== null) return tryAgain(again)
  const isUnknown = outcome.kind === "unknown"
  const failed: Fact = {
    kind: "nudge_failed",
    id: `nudge_failed:${nudgeId}`,
    occurredAt: now,
    reason: outcome.reason,
    isUnknown,
    ...ref,
  }
  const optedOut: Fact[] =
    outcome.reason === "opted_out"
      ? [{ kind: "opted_out", id: `opted_out:${nudgeId}`, occurredAt: now, caseId: nudge.caseId, via: "channel" }]
      : []
  const facts = [...given, failed, ...optedOut]
  // Another channel would wait for the same provider.
  const isProviderAway = incentive?.kind === "later"
  const fallback =
    isUnknown || optedOut.length > 0 || isProviderAway
      ? null
      : fallbackFor(
          fold(facts, stateOf(stream)),
          nudge,
          others,
          settingsOf(stream),
          await reachOf(services, stream),
          now,
        )
  if (outcome.kind === "retry" && fallback === null && nudge.attempts < WAIT_OUT_ATTEMPTS_MAX) {
    return tryAgain(new Date(Date.parse(now) + WAIT_OUT_MS).toISOString())
  }
  await write(services, stream, null, {
    change: isUnknown
      ? { status: "unknown", reason: outcome.reason }
      : { status: "failed", reason: outcome.reason, sentAt: null },
    releaseLease: true,
    facts: fallback === null ? facts : [...facts, plannedFact(fallback, now)],
    plan: fallback,
    nudgeId,
  })
  return { outcome: isUnknown ? "unknown" : "failed", fallback }
}

interface Writing {
  readonly nudgeId: string
  readonly change: Extract<NudgeChange, { kind: "set" }>["change"]
  readonly releaseLease: boolean
  readonly facts: readonly Fact[]
  readonly plan?: Nudge | null
  /** Holds only while all customers of the person are as they were read. */
  readonly isForPerson?: boolean
}

/** One commit for one nudge; with an owner it holds only while the nudge is still in that worker's hands. */
async function write(
  services: Services,
  stream: Stream & Partial<PersonStream>,
  owner: string | null,
  writing: Writing,
): Promise<void> {
  const { nudgeId, change, releaseLease, facts, plan = null, isForPerson = false } = writing
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
      { kind: "set", id: nudgeId, change, releaseLease },
      ...(plan === null ? [] : [{ kind: "plan" as const, nudge: plan }]),
    ],
    contact: null,
    processedEvents: [],
    guards: [
      ...(owner === null ? [] : [assertLease(services.db, nudgeId, owner)]),
      ...(isForPerson && person ? [assertPerson(services.db, stream.customer.id, person.mark)] : []),
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

const refOf = (nudge: Nudge): NudgeRef => ({
  nudgeId: nudge.id,
  caseId: nudge.caseId,
  step: nudge.step,
  channel: nudge.channel,
})

const suppressedFact = (nudge: Nudge, reason: SuppressionReason, now: string): Fact => ({
  kind: "nudge_suppressed",
  id: `nudge_suppressed:${nudge.id}:${now}`,
  occurredAt: now,
  reason,
  ...refOf(nudge),
})

/**
 * What is written down of a refusal. A member who said stop as another customer has said it as this one too, and stays
 * opted out whatever becomes of the address.
 */
function suppressionFacts(stream: PersonStream, nudge: Nudge, reason: SuppressionReason, now: string): Fact[] {
  const suppressed = suppressedFact(nudge, reason, now)
  if (reason !== "opted_out" || stateOf(stream).outreach.optedOutAt !== null) return [suppressed]
  const { caseId } = nudge
  const id = `opted_out:${nudge.id}:address`
  return [{ kind: "opted_out", id, occurredAt: now, caseId, via: "address" }, suppressed]
}

const plannedFact = (nudge: Nudge, now: string): Fact => ({
  kind: "nudge_planned",
  id: `nudge_planned:${nudge.id}:${now}`,
  occurredAt: now,
  dueAt: nudge.dueAt,
  ...refOf(nudge),
})
