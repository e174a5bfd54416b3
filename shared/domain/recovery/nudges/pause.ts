/**
 * When reminders of a bill are paused: while a payment is in progress, and while collection is paused on request. A pause
 * caused by a failed payment does not count: then only the member can act.
 */
import type { Instant } from "../../facts.ts"
import { type CaseState, type CustomerState, type PendingPayment, subscriptionOf } from "../../state.ts"
import type { Nudge } from "./nudges.ts"
import { mayHaveBeenDelivered } from "./nudges.ts"

const DAY_MS = 86_400_000

/** A pause without an end is checked again after this time. */
const OPEN_PAUSE_MS = 30 * DAY_MS

/** The part of a state that decides about a pause. */
type BillState = Pick<CustomerState, "cases" | "pending" | "subscriptions">

export interface Pause {
  readonly until: Instant
  readonly reason: "payment_in_progress" | "collection_paused"
}

/** Why reminders of this case are paused now, and until when; null: they are not. */
export function pauseOf(state: BillState, recoveryCase: CaseState, now: Instant): Pause | null {
  if (recoveryCase.kind !== "payment" || recoveryCase.status !== "open") return null
  const isOfOpenBill = ({ invoiceId }: PendingPayment): boolean =>
    invoiceId === null || state.cases.some((other) => other.status === "open" && other.invoiceId === invoiceId)
  // Open bills of a member are one conversation: while one is being paid, no message is sent about the others.
  const results = (state.pending ?? []).filter((entry) => entry.until > now && isOfOpenBill(entry))
  const inProgress = results.map(({ until }): Pause => ({ until, reason: "payment_in_progress" }))
  const requested = requestedPause(state, recoveryCase, now)
  const pauses = requested === null ? inProgress : [...inProgress, requested]
  return pauses.reduce<Pause | null>((last, pause) => (last !== null && last.until >= pause.until ? last : pause), null)
}

/** The payment in progress for this case; else one that is not linked to any bill. */
export function pendingOf(state: CustomerState, recoveryCase: CaseState): PendingPayment | null {
  if (recoveryCase.kind !== "payment" || recoveryCase.status !== "open") return null
  const pending = state.pending ?? []
  const own = pending.filter(({ invoiceId }) => invoiceId === recoveryCase.invoiceId)
  return own.at(-1) ?? pending.filter(({ invoiceId }) => invoiceId === null).at(-1) ?? null
}

function requestedPause(state: BillState, { subscriptionId, openedAt }: CaseState, now: Instant): Pause | null {
  const subscription = subscriptionOf(state, subscriptionId)
  if (subscription?.paused !== "requested" || subscription.endedAt !== null) return null
  const { pauseEndsAt } = subscription
  // The provider collects again from this date on, also when its event is missing.
  if (pauseEndsAt !== undefined) return pauseEndsAt > now ? { until: pauseEndsAt, reason: "collection_paused" } : null
  // Whole periods since the case opened, so that deciding again at another time gives the same date.
  const periods = Math.floor(Math.max(0, Date.parse(now) - Date.parse(openedAt)) / OPEN_PAUSE_MS) + 1
  const until = new Date(Date.parse(openedAt) + periods * OPEN_PAUSE_MS).toISOString()
  return { until, reason: "collection_paused" }
}

const PAUSE_REASONS: ReadonlySet<string | null> = new Set<Pause["reason"]>(["payment_in_progress", "collection_paused"])

/**
 * The due times of a case's planned messages that a pause moves: after its end, and forward again when it ended early. The
 * messages keep the distance of their steps. Only messages that move are listed.
 */
export function dueTimesAfterPause(
  nudges: readonly Nudge[],
  pause: Pause | null,
  now: Instant,
): readonly { readonly nudge: Nudge; readonly dueAt: Instant; readonly reason: Pause["reason"] | null }[] {
  const steps = nudges.filter(({ step, channel }) => step !== null && channel !== "slack")
  const planned = steps.filter(({ status }) => status === "planned").sort((a, b) => (a.step ?? 0) - (b.step ?? 0))
  if (pause === null && !planned.some(({ reason }) => PAUSE_REASONS.has(reason))) return []
  const delivered = steps.filter((nudge) => mayHaveBeenDelivered(nudge) && nudge.sentAt !== null)
  const last = delivered.sort((a, b) => ((a.sentAt ?? "") < (b.sentAt ?? "") ? -1 : 1)).at(-1)
  const earliest = pause?.until ?? now
  let before = last && { step: last.step ?? 0, dueAt: last.sentAt ?? now }
  return planned.flatMap((nudge) => {
    const step = nudge.step ?? 0
    const spaced = before === undefined ? earliest : daysAfter(before.dueAt, step - before.step)
    const dueAt = spaced > earliest ? spaced : earliest
    const moves = pause === null ? PAUSE_REASONS.has(nudge.reason) && dueAt < nudge.dueAt : nudge.dueAt < dueAt
    before = { step, dueAt: moves ? dueAt : nudge.dueAt }
    return moves ? [{ nudge, dueAt, reason: pause?.reason ?? null }] : []
  })
}

const daysAfter = (at: Instant, days: number): Instant =>
  new Date(Date.parse(at) + Math.max(0, days) * DAY_MS).toISOString()
