/**
 * decide(state, nudges, settings, now) → actions: what should happen, as values. Deciding twice gives the same actions,
 * and deciding after they are carried out gives none.
 */
import { declineAdvice } from "./decline-codes.ts"
import type { ChannelName, Instant, ProviderName, SuppressionReason } from "./facts.ts"
import { isInvoiceTooOld } from "./invoice-age.ts"
import { isPutAsideForNow, mayHaveBeenSeen, type Nudge, nudgeId } from "./nudges.ts"
import { isQuiet, isTimeZone, nextAllowed } from "./quiet-hours.ts"
import type { CompanySettings, MemberChannel, PlaybookStep } from "./settings.ts"
import { type CaseState, type CustomerState, isHeldOut } from "./state.ts"

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

/** What reaching this customer depends on, beyond the state: who they are with, and what the deployment can send. */
export interface Reach {
  readonly provider: ProviderName
  readonly configured: readonly ChannelName[]
}

/** Plans nudges for open cases that have none, and puts aside the planned ones that must not go out any more. */
export function decide(
  state: CustomerState,
  nudges: readonly Nudge[],
  settings: CompanySettings,
  reach: Reach,
  now: Instant,
): Action[] {
  return [...state.cases.flatMap((recoveryCase) => planCase(recoveryCase)), ...suppressions()]

  function planCase(recoveryCase: CaseState): Action[] {
    // Nothing is planned for the past. Live news of the case makes it a live one, and it is planned for from then on.
    if (recoveryCase.status !== "open" || recoveryCase.knownFrom === "history") return []
    const own = nudges.filter(
      (nudge) => nudge.step !== null && (nudge.caseId === recoveryCase.id || isOfRenumbered(nudge, recoveryCase)),
    )
    // The team's steps stand apart: that they are planned says nothing about those for the member.
    const isPlanned = (isForTeam: boolean) =>
      own.some((nudge) => (nudge.channel === "slack") === isForTeam && !isPutAsideForNow(nudge))
    const anchor = recoveryCase.openedAt > now ? recoveryCase.openedAt : now
    const playbook = [...settings.playbooks[recoveryCase.kind], ...(settings.alertTeam ? [TEAM_ALERT] : [])]
    const steps = playbook.filter((step) => !isPlanned(step.channel === "slack"))
    return steps.flatMap((step) => {
      const nudge = planStep(recoveryCase, step, anchor)
      const isUnchanged = own.some((present) => present.id === nudge.id && present.reason === nudge.reason)
      return isUnchanged ? [] : [{ kind: "plan_nudge" as const, nudge }]
    })
  }

  /**
   * Announcements of leaving are counted, and one that is told late renumbers those after it. What the member heard of
   * this subscription since the announcement was about it, whatever its number was then.
   */
  function isOfRenumbered(nudge: Nudge, { kind, subscriptionId, openedAt }: CaseState): boolean {
    const other = state.cases.find((candidate) => candidate.id === nudge.caseId)
    const isSibling = kind === "cancellation" && other?.kind === kind && other.subscriptionId === subscriptionId
    return isSibling && mayHaveBeenSeen(nudge) && nudge.sentAt !== null && nudge.sentAt >= openedAt
  }

  function planStep(recoveryCase: CaseState, step: PlaybookStep, anchor: Instant): Nudge {
    const usable = channelsFor(state, settings, reach, step.channel)
    const channel = usable[0] ?? step.channel ?? settings.channelOrder[0] ?? "email"
    const wished = new Date(Date.parse(anchor) + step.day * DAY_MS).toISOString()
    const obstacle =
      silence(state, recoveryCase) ??
      heldOut(state, recoveryCase) ??
      (step.channel === "slack" ? null : tooOld(state, recoveryCase, settings)) ??
      (usable.length > 0 ? null : "no_address")
    return {
      id: nudgeId(recoveryCase.id, step.day, channel),
      caseId: recoveryCase.id,
      step: step.day,
      channel,
      status: obstacle === null ? "planned" : "suppressed",
      reason: obstacle,
      incentive: step.incentive,
      dueAt: outsideQuietHours(wished, channel, state, settings),
      attempts: 0,
      sentAt: null,
    }
  }

  function suppressions(): Action[] {
    return nudges.flatMap((nudge) => {
      if (nudge.status !== "planned") return []
      const reason = stopReason(state, nudge, settings)
      return reason === null ? [] : [{ kind: "suppress_nudge" as const, nudgeId: nudge.id, reason }]
    })
  }
}

export type SendDecision =
  | { readonly kind: "send" }
  | { readonly kind: "suppress"; readonly reason: SuppressionReason }
  | { readonly kind: "defer"; readonly until: Instant; readonly reason: "quiet_hours" | "frequency_cap" }

/**
 * Whether a nudge may go out at this moment, judged by what is known now. `others` are all other nudges of the customer.
 * A person's click passes by the quiet hours, never by consent, the case's end or the frequency cap.
 */
export function decideSend(
  state: CustomerState,
  nudge: Nudge,
  others: readonly Nudge[],
  settings: CompanySettings,
  now: Instant,
): SendDecision {
  const stop = stopReason(state, nudge, settings)
  if (stop !== null) return { kind: "suppress", reason: stop }
  if (nudge.channel === "slack") return { kind: "send" }

  // After an outage several steps of a case are due together: the latest says it all.
  const isSuperseded = others.some(
    (other) =>
      other.caseId === nudge.caseId &&
      other.step !== null &&
      nudge.step !== null &&
      other.step > nudge.step &&
      other.channel !== "slack" &&
      (mayHaveBeenSeen(other) || (other.status === "planned" && other.dueAt <= now)),
  )
  if (isSuperseded) return { kind: "suppress", reason: "superseded" }

  if (nudge.step !== null) {
    const allowedAt = outsideQuietHours(now, nudge.channel, state, settings)
    if (allowedAt > now) return { kind: "defer", until: allowedAt, reason: "quiet_hours" }
  }
  const freeAt = capFreeAt(others, settings, now)
  if (freeAt === null) return { kind: "send" }
  return nudge.step === null
    ? { kind: "suppress", reason: "frequency_cap" }
    : { kind: "defer", until: outsideQuietHours(freeAt, nudge.channel, state, settings), reason: "frequency_cap" }
}

/**
 * Whether this customer may get an incentive now: once per customer and period, over all cases. Another nudge that is on
 * its way with one, or was lost on the way, counts as given.
 */
export function mayGiveIncentive(
  state: CustomerState,
  others: readonly Nudge[],
  settings: CompanySettings,
  now: Instant,
): boolean {
  const since = new Date(Date.parse(now) - settings.incentivePeriodDays * DAY_MS).toISOString()
  const mayHaveBeenGiven = (other: Nudge) =>
    other.incentive !== null &&
    (other.status === "sending" || (other.status === "unknown" && (other.sentAt ?? other.dueAt) > since))
  return !state.outreach.incentives.some((given) => given.at > since) && !others.some(mayHaveBeenGiven)
}

/**
 * The same step on the next channel that can reach the member, after this one failed for good; null when all were tried.
 */
export function fallbackFor(
  state: CustomerState,
  nudge: Nudge,
  others: readonly Nudge[],
  settings: CompanySettings,
  reach: Reach,
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
    dueAt: outsideQuietHours(now, channel, state, settings),
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

/** Channels that can reach the member now, best first; a fixed channel of the playbook comes before the order. */
export function channelsFor(
  state: CustomerState,
  settings: CompanySettings,
  reach: Reach,
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

/** Why nothing at all is to be said in this case, or null. */
function silence(state: CustomerState, recoveryCase: CaseState): SuppressionReason | null {
  if (recoveryCase.status !== "open") return "case_closed"
  if (state.outreach.optedOutAt !== null) return "opted_out"
  if (state.profile.isDeleted) return "customer_deleted"
  if (recoveryCase.kind === "payment" && declineAdvice(recoveryCase.declineCode).ask === "silent") {
    return "silent_decline_code"
  }
  // A bill or a leaving is the nearer thing to speak of, and has a playbook of its own.
  const isNearer = ({ kind, status, knownFrom }: CaseState): boolean =>
    kind !== "at_risk" && status === "open" && knownFrom === undefined
  return recoveryCase.kind === "at_risk" && state.cases.some(isNearer) ? "other_case" : null
}

function stopReason(state: CustomerState, nudge: Nudge, settings: CompanySettings): SuppressionReason | null {
  const recoveryCase = state.cases.find((candidate) => candidate.id === nudge.caseId)
  if (recoveryCase === undefined) return "case_closed"
  const silent = silence(state, recoveryCase)
  // A person may still write by hand; that a held-out case is meant was asked for when the message was planned.
  if (silent !== null || nudge.step === null) return silent
  const old = nudge.channel === "slack" ? null : tooOld(state, recoveryCase, settings)
  return heldOut(state, recoveryCase) ?? old ?? (recoveryCase.knownFrom === "history" ? "history" : null)
}

const tooOld = (state: CustomerState, recoveryCase: CaseState, settings: CompanySettings): SuppressionReason | null =>
  isInvoiceTooOld(state, recoveryCase, settings) ? "invoice_too_old" : null

const heldOut = (state: CustomerState, { id }: CaseState): SuppressionReason | null =>
  isHeldOut(state, id) ? "held_out" : null

/**
 * The first moment from `at` on when this channel may be used. Where the member's zone is not known, or is none that
 * exists, the company's stands in for channels that make a noise; an e-mail waits quietly in its box.
 */
function outsideQuietHours(
  at: Instant,
  channel: ChannelName,
  { profile }: CustomerState,
  settings: CompanySettings,
): Instant {
  const own = profile.timeZone !== null && isTimeZone(profile.timeZone) ? profile.timeZone : null
  const isSilentGuess = own === null && channel === "email"
  if (channel === "slack" || isSilentGuess || settings.quietHours === null) return at
  const zone = own ?? settings.timeZone
  return isQuiet(at, settings.quietHours, zone) ? nextAllowed(at, settings.quietHours, zone) : at
}

/** When the frequency caps next allow a message; null: now. */
function capFreeAt(others: readonly Nudge[], settings: CompanySettings, now: Instant): Instant | null {
  // What is on its way right now may have been due long ago, when an outage held it up.
  const timeOf = ({ status, sentAt, dueAt }: Nudge): Instant => sentAt ?? (status === "sending" ? now : dueAt)
  const sentTimes = others
    .filter((other) => other.channel !== "slack" && mayHaveBeenSeen(other))
    .map((other) => Date.parse(timeOf(other)))
    .sort((a, b) => b - a)
  const freeTimes = settings.frequencyCaps.map((cap) => {
    const oldestThatCounts = sentTimes[cap.max - 1]
    return oldestThatCounts === undefined ? 0 : oldestThatCounts + cap.hours * HOUR_MS
  })
  const freeAt = Math.max(0, ...freeTimes)
  return freeAt > Date.parse(now) ? new Date(freeAt).toISOString() : null
}
