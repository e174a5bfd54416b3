/**
 * decide(state, nudges, settings, now) → actions: what should happen, as values. Deciding twice gives the same actions, and
 * deciding after they were carried out gives none. Over 300 lines because planning and sending use the same helpers.
 */

import type { ChannelName, Instant, ProviderName, SuppressionReason } from "../facts.ts"
import type { CompanySettings, MemberChannel, PlaybookStep } from "../settings.ts"
import { type CaseState, type CustomerState, findCase } from "../state.ts"
import { type Person, SINGLE_CUSTOMER } from "./nudges/contact-context.ts"
import { applyRules, type ContactReason } from "./nudges/contact-policy.ts"
import { nextContactTime } from "./nudges/contact-times.ts"
import { isReplannable, mayHaveBeenDelivered, type Nudge, nudgeId } from "./nudges/nudges.ts"
import { dueTimesAfterPause, type Pause, pauseOf } from "./nudges/pause.ts"
import { resumedAfterEnd } from "./nudges/reopened.ts"

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** Failed attempts of one nudge on one channel before the next channel is used. */
export const SEND_ATTEMPTS_MAX = 4

/** Delays between attempts of one nudge: short at first, then long enough for an outage to end. */
const RETRY_DELAYS_MS: readonly number[] = [5 * 60_000, 15 * 60_000, 60 * 60_000]

/** What `alertTeam` adds to every playbook: the team is notified when a case opens. */
const TEAM_ALERT: PlaybookStep = { day: 0, channel: "slack", incentive: null }

export type Action =
  | { readonly kind: "plan_nudge"; readonly nudge: Nudge }
  | { readonly kind: "suppress_nudge"; readonly nudgeId: string; readonly reason: SuppressionReason }
  /** A planned nudge gets another due time. */
  | { readonly kind: "move_nudge"; readonly nudge: Nudge }

/** What decides, beyond the state, which channels reach a customer: the provider, and the deployment's configuration. */
export interface ReachableChannels {
  readonly provider: ProviderName
  readonly configured: readonly ChannelName[]
}

/** Plans nudges for open cases that have none, and suppresses or moves planned ones. */
export function decide(
  state: CustomerState,
  nudges: readonly Nudge[],
  settings: CompanySettings,
  reach: ReachableChannels,
  now: Instant,
): Action[] {
  return [...state.cases.flatMap((recoveryCase) => planCase(recoveryCase)), ...resumed(), ...suppressions(), ...moves()]

  function planCase(recoveryCase: CaseState): Action[] {
    // Nothing is planned for an imported case. The first fact of a webhook makes the case live, and nudges are planned from then on.
    if (recoveryCase.status !== "open" || recoveryCase.knownFrom === "history") return []
    const own = nudges.filter(
      (nudge) => nudge.step !== null && (nudge.caseId === recoveryCase.id || isOfRenumberedCase(nudge, recoveryCase)),
    )
    // Steps for the team and steps for the member are planned independently.
    const isPlanned = (isForTeam: boolean) =>
      own.some((nudge) => (nudge.channel === "slack") === isForTeam && !isReplannable(nudge))
    const anchor = latest(recoveryCase.openedAt, now)
    const pause = pauseOf(state, recoveryCase, now)
    const playbook = [...settings.playbooks[recoveryCase.kind], ...(settings.alertTeam ? [TEAM_ALERT] : [])]
    const steps = playbook.filter((step) => !isPlanned(step.channel === "slack"))
    return steps.flatMap((step) => {
      const nudge = planStep(recoveryCase, step, anchor, step.channel === "slack" ? null : pause)
      const isUnchanged = own.some((present) => present.id === nudge.id && present.reason === nudge.reason)
      return isUnchanged ? [] : [{ kind: "plan_nudge" as const, nudge }]
    })
  }

  /**
   * Cancellation cases of a subscription are numbered, and an announcement that arrives late renumbers those after it. A
   * message sent since the announcement belongs to this case, under any number.
   */
  function isOfRenumberedCase(nudge: Nudge, { kind, subscriptionId, openedAt }: CaseState): boolean {
    if (kind !== "cancellation") return false
    const other = state.cases.find((candidate) => candidate.id === nudge.caseId)
    const isSibling = other?.kind === kind && other.subscriptionId === subscriptionId
    return isSibling && mayHaveBeenDelivered(nudge) && nudge.sentAt !== null && nudge.sentAt >= openedAt
  }

  /** A nudge planned after a pause has the pause as its reason, so that it is moved back if the pause ends early. */
  function planStep(recoveryCase: CaseState, step: PlaybookStep, opened: Instant, pause: Pause | null): Nudge {
    const anchor = pause === null ? opened : latest(opened, pause.until)
    const usable = channelsFor(state, settings, reach, step.channel)
    const channel = usable[0] ?? step.channel ?? settings.channelOrder[0] ?? "email"
    const scheduled = new Date(Date.parse(anchor) + step.day * DAY_MS).toISOString()
    const nudge: Nudge = {
      id: nudgeId(recoveryCase.id, step.day, channel),
      caseId: recoveryCase.id,
      step: step.day,
      channel,
      status: "planned",
      reason: pause?.reason ?? null,
      incentive: step.incentive,
      dueAt: nextContactTime(scheduled, channel, state, settings),
      attempts: 0,
      sentAt: null,
    }
    const obstacle = stopReason(nudge) ?? (usable.length > 0 ? null : "no_address")
    return obstacle === null ? nudge : { ...nudge, status: "suppressed", reason: obstacle }
  }

  /** Nudges that were suppressed when their case closed, of cases that are open again. */
  function resumed(): Action[] {
    return state.cases.flatMap((recoveryCase) => {
      if (recoveryCase.status !== "open" || recoveryCase.knownFrom === "history") return []
      const own = nudges.filter((nudge) => nudge.caseId === recoveryCase.id)
      return resumedAfterEnd(own, now).flatMap((nudge) => {
        if (stopReason(nudge) !== null) return []
        const dueAt = nextContactTime(nudge.dueAt, nudge.channel, state, settings)
        return [{ kind: "plan_nudge" as const, nudge: { ...nudge, dueAt } }]
      })
    })
  }

  /** Nudges of open cases that a pause postpones, or that its end brings forward. */
  function moves(): Action[] {
    return state.cases.flatMap((recoveryCase) => {
      if (recoveryCase.kind !== "payment" || recoveryCase.status !== "open") return []
      const own = nudges.filter((nudge) => nudge.caseId === recoveryCase.id && !isStopped(nudge))
      return dueTimesAfterPause(own, pauseOf(state, recoveryCase, now), now).map(({ nudge, dueAt, reason }) => {
        const moved = { ...nudge, reason, dueAt: nextContactTime(dueAt, nudge.channel, state, settings) }
        return { kind: "move_nudge" as const, nudge: moved }
      })
    })
  }

  function isStopped(nudge: Nudge): boolean {
    return nudge.status === "planned" && stopReason(nudge) !== null
  }

  function suppressions(): Action[] {
    return nudges.flatMap((nudge) => {
      if (nudge.status !== "planned") return []
      const reason = stopReason(nudge)
      return reason === null ? [] : [{ kind: "suppress_nudge" as const, nudgeId: nudge.id, reason }]
    })
  }

  function stopReason(nudge: Nudge): SuppressionReason | null {
    const recoveryCase = findCase(state, nudge.caseId)
    if (recoveryCase === undefined) return "case_closed"
    const others = nudges.filter((other) => other.id !== nudge.id)
    const found = applyRules("plan", {
      state,
      recoveryCase,
      nudge,
      nudges: others,
      person: SINGLE_CUSTOMER,
      settings,
      now,
    })
    return found === null ? null : suppressionOf(found.rule.reason)
  }
}

export type SendDecision =
  | { readonly kind: "send" }
  | { readonly kind: "suppress"; readonly reason: SuppressionReason }
  | { readonly kind: "defer"; readonly until: Instant; readonly reason: ContactReason }

/**
 * Whether a nudge may be sent now, by the rules of `contact-policy.ts`. `others` are all other nudges of the customer,
 * `person` the other customers with the same address.
 */
export function decideSend(
  state: CustomerState,
  nudge: Nudge,
  others: readonly Nudge[],
  settings: CompanySettings,
  now: Instant,
  person: Person = SINGLE_CUSTOMER,
): SendDecision {
  const recoveryCase = findCase(state, nudge.caseId)
  if (recoveryCase === undefined) return { kind: "suppress", reason: "case_closed" }
  const found = applyRules("send", { state, recoveryCase, nudge, nudges: others, person, settings, now })
  if (found === null) return { kind: "send" }
  const { reason, outcome } = found.rule
  if (outcome === "suppress" || found.until === null || nudge.step === null) {
    return { kind: "suppress", reason: suppressionOf(reason) }
  }
  return { kind: "defer", until: nextContactTime(found.until, nudge.channel, state, settings, person), reason }
}

/** Quiet hours and pauses postpone a message and never suppress it. */
function suppressionOf(reason: ContactReason): SuppressionReason {
  if (reason === "quiet_hours" || reason === "payment_in_progress" || reason === "collection_paused") {
    throw new Error(`${reason} only defers`)
  }
  return reason
}

/**
 * Whether this customer may get an incentive now: once per person and period, over all customers and cases. An incentive of
 * another nudge that is being sent, or whose outcome is unknown, counts as given.
 */
export function mayGiveIncentive(
  state: CustomerState,
  others: readonly Nudge[],
  settings: CompanySettings,
  now: Instant,
  person: Person = SINGLE_CUSTOMER,
): boolean {
  const since = new Date(Date.parse(now) - settings.incentivePeriodDays * DAY_MS).toISOString()
  const mayHaveBeenGiven = (other: Nudge) =>
    other.incentive !== null &&
    (other.status === "sending" || (other.status === "unknown" && (other.sentAt ?? other.dueAt) > since))
  const given = [state, ...person.others.map((other) => other.state)].flatMap((one) => one.outreach.incentives)
  const nudges = [...others, ...person.others.flatMap((other) => other.nudges)]
  return !given.some(({ at }) => at > since) && !nudges.some(mayHaveBeenGiven)
}

/**
 * The same step on the next channel that can reach the member, after this one failed finally; null when all were tried.
 */
export function fallbackFor(
  state: CustomerState,
  nudge: Nudge,
  others: readonly Nudge[],
  settings: CompanySettings,
  reach: ReachableChannels,
  now: Instant,
): Nudge | null {
  if (nudge.channel === "slack") return null
  const prefix = idPrefixOf(nudge)
  const tried = [nudge, ...others].filter((other) => idPrefixOf(other) === prefix).map((other) => other.channel)
  const channel = channelsFor(state, settings, reach, null).find((candidate) => !tried.includes(candidate))
  if (channel === undefined) return null
  return {
    ...nudge,
    id: `${prefix}.${channel}`,
    channel,
    status: "planned",
    reason: null,
    dueAt: nextContactTime(now, channel, state, settings),
    attempts: 0,
    sentAt: null,
  }
}

/** The part of the id that a nudge shares with the same message on other channels: case and step, or case and key. */
const idPrefixOf = ({ id }: Nudge): string => id.slice(0, id.lastIndexOf("."))

/** When a nudge is retried after `attempts` failures; null when there are no retries left. */
export function retryAt(attempts: number, retryAfterMs: number | null, now: Instant): Instant | null {
  if (attempts >= SEND_ATTEMPTS_MAX) return null
  const delayMs = Math.max(retryAfterMs ?? 0, RETRY_DELAYS_MS[attempts - 1] ?? HOUR_MS)
  return new Date(Date.parse(now) + delayMs).toISOString()
}

/**
 * Delays while an address that the facts report is not stored yet: the event that contains it is about to be processed, or
 * is being retried, which goes on for about four hours.
 */
const ADDRESS_RETRY_DELAYS_MS: readonly number[] = [
  15_000,
  60_000,
  ...[5, 15, 60, 60, 60, 60].map((minutes) => minutes * 60_000),
]

/**
 * When a nudge whose address is not stored yet is retried; null: the state has no such address, or there are no retries
 * left.
 */
export function addressRetryAt(
  state: CustomerState,
  provider: ProviderName,
  { channel, attempts }: Pick<Nudge, "channel" | "attempts">,
  now: Instant,
): Instant | null {
  const waitMs = ADDRESS_RETRY_DELAYS_MS[attempts]
  if (waitMs === undefined || channel === "slack" || !hasAddress(state, provider, channel)) return null
  return new Date(Date.parse(now) + waitMs).toISOString()
}

/** Channels that can reach the member now, best first; a fixed channel of the playbook comes before the order. */
export function channelsFor(
  state: CustomerState,
  settings: CompanySettings,
  reach: ReachableChannels,
  fixed: ChannelName | null,
): readonly ChannelName[] {
  if (fixed === "slack") return reach.configured.includes("slack") ? ["slack"] : []
  const first: MemberChannel[] = fixed === null ? [] : [fixed]
  const order = [...first, ...settings.channelOrder.filter((channel) => channel !== fixed)]
  return order.filter((channel) => reach.configured.includes(channel) && hasAddress(state, reach.provider, channel))
}

function hasAddress(state: CustomerState, provider: ProviderName, channel: MemberChannel): boolean {
  switch (channel) {
    case "email":
      return state.profile.hasEmail
    case "sms":
      return state.profile.hasPhone
    case "push":
    case "dm":
      return provider === "whop"
  }
}

const latest = (a: Instant, b: Instant): Instant => (a > b ? a : b)
