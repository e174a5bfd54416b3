/**
 * decide(state, nudges, settings, now) → actions: what should happen, as values. Deciding twice gives the same actions,
 * and deciding after they are carried out gives none.
 */

import type { ChannelName, Instant, ProviderName, SuppressionReason } from "../facts.ts"
import type { CompanySettings, MemberChannel, PlaybookStep } from "../settings.ts"
import { type CaseState, type CustomerState, findCase } from "../state.ts"
import { applyRules, type ContactReason, nextContactTime, type Person, SINGLE_CUSTOMER } from "./contact-policy.ts"
import { isReplannable, mayHaveBeenDelivered, type Nudge, nudgeId } from "./nudges.ts"
import { dueTimesAfterPause, type Pause, pauseOf } from "./pause.ts"
import { resumedAfterEnd } from "./reopened.ts"

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** Failed tries of one nudge on one channel before the next channel is asked. */
export const SEND_ATTEMPTS_MAX = 4

/** Waits between tries of one nudge: short at first, then long enough for an outage to end. */
const RETRY_DELAYS_MS: readonly number[] = [5 * 60_000, 15 * 60_000, 60 * 60_000]

/** What `alertTeam` adds to every playbook: the team hears of a case when it opens. */
const TEAM_ALERT: PlaybookStep = { day: 0, channel: "slack", incentive: null }

export type Action =
  | { readonly kind: "plan_nudge"; readonly nudge: Nudge }
  | { readonly kind: "suppress_nudge"; readonly nudgeId: string; readonly reason: SuppressionReason }
  /** A planned nudge waits longer, or no longer. */
  | { readonly kind: "move_nudge"; readonly nudge: Nudge }

/** What reaching this customer depends on, beyond the state: who they are with, and what the deployment can send. */
export interface ReachableChannels {
  readonly provider: ProviderName
  readonly configured: readonly ChannelName[]
}

/** Plans nudges for open cases that have none, and puts aside the planned ones that must not go out any more. */
export function decide(
  state: CustomerState,
  nudges: readonly Nudge[],
  settings: CompanySettings,
  reach: ReachableChannels,
  now: Instant,
): Action[] {
  return [...state.cases.flatMap((recoveryCase) => planCase(recoveryCase)), ...resumed(), ...suppressions(), ...moves()]

  function planCase(recoveryCase: CaseState): Action[] {
    // Nothing is planned for the past. Live news of the case makes it a live one, and it is planned for from then on.
    if (recoveryCase.status !== "open" || recoveryCase.knownFrom === "history") return []
    const own = nudges.filter(
      (nudge) => nudge.step !== null && (nudge.caseId === recoveryCase.id || isOfRenumbered(nudge, recoveryCase)),
    )
    // The team's steps stand apart: that they are planned says nothing about those for the member.
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
   * Announcements of leaving are counted, and one that is told late renumbers those after it. What the member heard of
   * this subscription since the announcement was about it, whatever its number was then.
   */
  function isOfRenumbered(nudge: Nudge, { kind, subscriptionId, openedAt }: CaseState): boolean {
    if (kind !== "cancellation") return false
    const other = state.cases.find((candidate) => candidate.id === nudge.caseId)
    const isSibling = other?.kind === kind && other.subscriptionId === subscriptionId
    return isSibling && mayHaveBeenDelivered(nudge) && nudge.sentAt !== null && nudge.sentAt >= openedAt
  }

  /** What is planned behind a pause says so: when the pause ends early, it is moved back. */
  function planStep(recoveryCase: CaseState, step: PlaybookStep, opened: Instant, pause: Pause | null): Nudge {
    const anchor = pause === null ? opened : latest(opened, pause.until)
    const usable = channelsFor(state, settings, reach, step.channel)
    const channel = usable[0] ?? step.channel ?? settings.channelOrder[0] ?? "email"
    const wished = new Date(Date.parse(anchor) + step.day * DAY_MS).toISOString()
    const nudge: Nudge = {
      id: nudgeId(recoveryCase.id, step.day, channel),
      caseId: recoveryCase.id,
      step: step.day,
      channel,
      status: "planned",
      reason: pause?.reason ?? null,
      incentive: step.incentive,
      dueAt: nextContactTime(wished, channel, state, settings),
      attempts: 0,
      sentAt: null,
    }
    const obstacle = stopReason(nudge) ?? (usable.length > 0 ? null : "no_address")
    return obstacle === null ? nudge : { ...nudge, status: "suppressed", reason: obstacle }
  }

  /** Messages that were put aside when their case closed, and the case is open again. */
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

  /** Messages of open cases whose reminders wait, or wait no longer. */
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
 * Whether a nudge may go out at this moment, judged by what is known now. `others` are all other nudges of the customer,
 * `person` the other customers with the same address. The rules are those of `contact-policy.ts`, in their order.
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

/** Quiet hours and pauses put a message off and never stop one for good. */
function suppressionOf(reason: ContactReason): SuppressionReason {
  if (reason === "quiet_hours" || reason === "payment_in_progress" || reason === "collection_paused") {
    throw new Error(`${reason} only defers`)
  }
  return reason
}

/**
 * Whether this customer may get an incentive now: once per person and period, over all customers and cases. Another nudge that is on
 * its way with one, or was lost on the way, counts as given.
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
 * The same step on the next channel that can reach the member, after this one failed for good; null when all were tried.
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
  const stem = stemOf(nudge)
  const tried = [nudge, ...others].filter((other) => stemOf(other) === stem).map((other) => other.channel)
  const channel = channelsFor(state, settings, reach, null).find((candidate) => !tried.includes(candidate))
  if (channel === undefined) return null
  return {
    ...nudge,
    id: `${stem}.${channel}`,
    channel,
    status: "planned",
    reason: null,
    dueAt: nextContactTime(now, channel, state, settings),
    attempts: 0,
    sentAt: null,
  }
}

/** What a nudge shares with the same message on other channels: its case and step, or its case and click. */
const stemOf = ({ id }: Nudge): string => id.slice(0, id.lastIndexOf("."))

/** When a nudge is tried again after so many failed tries; null when it was tried often enough. */
export function retryAt(attempts: number, retryAfterMs: number | null, now: Instant): Instant | null {
  if (attempts >= SEND_ATTEMPTS_MAX) return null
  const delayMs = Math.max(retryAfterMs ?? 0, RETRY_DELAYS_MS[attempts - 1] ?? HOUR_MS)
  return new Date(Date.parse(now) + delayMs).toISOString()
}

/**
 * Waits for an address that the facts tell of and the contact does not hold yet: the event that brought it is about to be
 * processed, or waits for its next try, which is made for about four hours.
 */
const ADDRESS_RETRY_DELAYS_MS: readonly number[] = [
  15_000,
  60_000,
  ...[5, 15, 60, 60, 60, 60].map((minutes) => minutes * 60_000),
]

/**
 * When a nudge is tried again whose address is not there yet, after so many tries; null: when the state knows of no such
 * address, or it was waited for long enough.
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
  const wished: MemberChannel[] = fixed === null ? [] : [fixed]
  const order = [...wished, ...settings.channelOrder.filter((channel) => channel !== fixed)]
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
