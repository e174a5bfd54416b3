/**
 * The open cases of a person and the messages about them, over all customers of a company that share an address. They are
 * one conversation: the conditions here keep it to one sequence of messages. Pure.
 */
import type { Instant } from "../../facts.ts"
import { assignmentOf, type CaseKind, type CaseState, owedMinorOf, type SubscriptionState } from "../../state.ts"
import { declineAdvice } from "../decline-codes.ts"
import type { ContactContext, ContactState } from "./contact-context.ts"
import { isToMember, mayHaveBeenDelivered, type Nudge, timeOf } from "./nudges.ts"

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** An older case whose next message is due within this time also covers the younger ones. */
const COVERED_WINDOW_MS = 72 * HOUR_MS
/** At most one message a day about cases that are open together. */
const MESSAGE_INTERVAL_MS = DAY_MS
/** Messages about a case of another kind belong to the conversation if they are not older than this. */
const CROSS_KIND_WINDOW_MS = 7 * DAY_MS
/** A subscription bought within this time before a cancellation, or at any time after it, replaces the canceled one. */
const REPURCHASE_WINDOW_MS = 30 * DAY_MS

interface OwnedCase {
  readonly state: ContactState
  readonly nudges: readonly Nudge[]
  readonly case: CaseState
}

/** The cases of the person, over all customers. */
function allCases({ state, nudges, person }: Pick<ContactContext, "state" | "nudges" | "person">): OwnedCase[] {
  return [{ state, nudges }, ...person.others].flatMap((owner) =>
    owner.state.cases.map((one) => ({ state: owner.state, nudges: owner.nudges, case: one })),
  )
}

const isLive = ({ status, knownFrom }: CaseState): boolean => status === "open" && knownFrom === undefined

/** Whether the case is in the control group. */
export const isInHoldout = (state: ContactState, { id }: CaseState): boolean =>
  assignmentOf(state, id)?.arm === "held_out"

/** Whether no message may mention the failed payment of this case, because of its decline code. */
export const isSilent = ({ kind, declineCode }: CaseState): boolean =>
  kind === "payment" && declineAdvice(declineCode).ask === "silent"

/** The kinds of case that come before a case of this kind in the same conversation. */
const PRECEDING_KINDS: Readonly<Record<CaseKind, readonly CaseKind[]>> = {
  payment: [],
  cancellation: ["payment"],
  at_risk: ["payment", "cancellation"],
}

/** Whether another open case of the person has priority over this one. */
export const hasPrecedingCase = (context: ContactContext): boolean =>
  allCases(context).some(({ case: other }) => precedes(other, context.recoveryCase))

function precedes(other: CaseState, recoveryCase: CaseState): boolean {
  // An at-risk case waits for every open bill; a cancellation does not wait for a bill that no message may mention.
  const isMentionable = recoveryCase.kind === "at_risk" || !isSilent(other)
  return (
    other.id !== recoveryCase.id &&
    PRECEDING_KINDS[recoveryCase.kind].includes(other.kind) &&
    isLive(other) &&
    isMentionable
  )
}

const isRunning = ({ status, cancelAt, endedAt, paused }: SubscriptionState): boolean =>
  (status === "active" || status === "trialing") && cancelAt === null && endedAt === null && paused === null

/** Whether the person has a running subscription that replaces the one of the case. */
export function hasRepurchased({ state, recoveryCase, person }: ContactContext): boolean {
  const { subscriptionId, kind, openedAt } = recoveryCase
  if (subscriptionId === null) return false
  const own = Object.hasOwn(state.subscriptions, subscriptionId) ? state.subscriptions[subscriptionId] : undefined
  const running = [state, ...person.others.map((other) => other.state)]
    .flatMap((one) => Object.values(one.subscriptions))
    .filter((subscription) => subscription.id !== subscriptionId && isRunning(subscription))
  // A bill is still owed when something else is bought: only the same product, bought and paid later, replaces it.
  if (kind === "payment") {
    return running.some(
      (one) => one.startedAt !== null && one.startedAt >= openedAt && one.hasPaid && isSameProduct(one, own),
    )
  }
  const earliest = new Date(Date.parse(openedAt) - REPURCHASE_WINDOW_MS).toISOString()
  return running.some(
    (one) =>
      one.startedAt !== null && one.startedAt >= earliest && (own?.startedAt == null || one.startedAt > own.startedAt),
  )
}

function isSameProduct(a: SubscriptionState, b: SubscriptionState | undefined): boolean {
  const productsOf = (one: SubscriptionState | undefined) =>
    (one?.items ?? []).flatMap(({ productId }) => (productId === null ? [] : [productId]))
  const [first, second] = [productsOf(a), productsOf(b)]
  return first.length === 0 || second.length === 0 || first.some((product) => second.includes(product))
}

/** Whether a later step of the case was sent, or is due as well. */
export function isSuperseded({ nudge, nudges, now }: ContactContext): boolean {
  return nudges.some(
    (other) =>
      other.caseId === nudge.caseId &&
      other.step !== null &&
      nudge.step !== null &&
      other.step > nudge.step &&
      isToMember(other) &&
      (mayHaveBeenDelivered(other) || (other.status === "planned" && other.dueAt <= now)),
  )
}

/** Open cases of the person of the same kind that opened before this one. */
function olderOpenCases(context: ContactContext): OwnedCase[] {
  const { recoveryCase } = context
  const key = (one: CaseState) => `${one.openedAt}|${one.id}`
  return allCases(context).filter(
    ({ case: other }) => other.kind === recoveryCase.kind && other.status === "open" && key(other) < key(recoveryCase),
  )
}

/** Whether an older open case of the same kind is in the control group. */
export const isConversationHeldOut = (context: ContactContext): boolean =>
  olderOpenCases(context).some(({ state, case: older }) => isInHoldout(state, older) && isLive(older))

/** Whether an older open case of the same kind has a message due soon. */
export function isCovered(context: ContactContext): boolean {
  const windowEnd = new Date(Date.parse(context.now) + COVERED_WINDOW_MS).toISOString()
  return olderOpenCases(context).some(({ nudges, case: older }) =>
    nudges.some(
      (nudge) =>
        nudge.caseId === older.id &&
        nudge.step !== null &&
        isToMember(nudge) &&
        (nudge.status === "sending" || (nudge.status === "planned" && nudge.dueAt <= windowEnd)),
    ),
  )
}

/** Messages about other cases of the person, with the case; null once the state has dropped it. */
function* messagesAboutOtherCases(
  context: ContactContext,
): Generator<{ readonly message: Nudge; readonly other: CaseState | null }> {
  const { state, nudges, person, recoveryCase } = context
  for (const owner of [{ state, nudges }, ...person.others]) {
    const cases = new Map(owner.state.cases.map((one) => [one.id, one]))
    for (const message of owner.nudges) {
      if (message.caseId === recoveryCase.id || !isToMember(message) || !mayHaveBeenDelivered(message)) continue
      yield { message, other: cases.get(message.caseId) ?? null }
    }
  }
}

/** Whether another case was open while this one was. */
const overlaps = (other: CaseState, { openedAt }: CaseState): boolean =>
  other.status === "open" || (other.closedAt !== null && other.closedAt >= openedAt)

/** Whether this step, or a later one, was sent about another case of the conversation. */
export function isAlreadySent(context: ContactContext): boolean {
  const { nudge, recoveryCase, now } = context
  const { step } = nudge
  if (step === null || step <= 0) return false
  const since = new Date(Date.parse(recoveryCase.openedAt) - CROSS_KIND_WINDOW_MS).toISOString()
  for (const { message, other } of messagesAboutOtherCases(context)) {
    if (message.step === null || message.step < step) continue
    const at = timeOf(message, now)
    if (other === null) {
      // The state has dropped the case. A message sent while this case was open belongs to the conversation.
      if (message.caseId.startsWith(`${recoveryCase.kind}_`) && at >= recoveryCase.openedAt) return true
    } else if (overlaps(other, recoveryCase) && (other.kind === recoveryCase.kind || at >= since)) return true
  }
  return false
}

/** Whether this step of an earlier cancellation case of the same subscription was sent within a week. */
export function isRepeatedCancellation({ nudge, nudges, state, recoveryCase, now }: ContactContext): boolean {
  const { kind, subscriptionId, id } = recoveryCase
  if (kind !== "cancellation") return false
  const since = new Date(Date.parse(now) - CROSS_KIND_WINDOW_MS).toISOString()
  const episodes = state.cases.filter((one) => one.kind === kind && one.subscriptionId === subscriptionId)
  return nudges.some(
    (other) =>
      other.caseId !== id &&
      other.step === nudge.step &&
      isToMember(other) &&
      mayHaveBeenDelivered(other) &&
      timeOf(other, now) > since &&
      episodes.some((episode) => episode.id === other.caseId),
  )
}

/** The end of the day after the last message about a case that is open together with this one; null: there is none. */
export function dailyLimitUntil(context: ContactContext): Instant | null {
  const times = [...messagesAboutOtherCases(context)].flatMap(({ message, other }) =>
    other !== null && overlaps(other, context.recoveryCase) ? [Date.parse(timeOf(message, context.now))] : [],
  )
  return times.length === 0 ? null : new Date(Math.max(...times) + MESSAGE_INTERVAL_MS).toISOString()
}

/** The open bills that a message about a payment includes: all of the person's that a message may mention. */
export function openBillsOf({
  state,
  recoveryCase,
  person,
}: Pick<ContactContext, "state" | "recoveryCase" | "person">): readonly CaseState[] {
  if (recoveryCase.kind !== "payment") return []
  const isIncluded = ({ state: owner, case: one }: OwnedCase): boolean =>
    one.id === recoveryCase.id ||
    (one.kind === "payment" && isLive(one) && !isInHoldout(owner, one) && !isSilent(one) && !owner.profile.isDeleted)
  return allCases({ state, nudges: [], person })
    .filter(isIncluded)
    .map((owned) => owned.case)
}

/** The totals of several open bills, sorted by currency; bills without an amount are only counted. */
export function totalsByCurrency(bills: readonly CaseState[]): {
  readonly invoiceCount: number
  readonly totals: readonly { readonly totalMinor: number; readonly currency: string }[]
} {
  const byCurrency = Map.groupBy(
    bills.filter((bill) => bill.currency !== null && owedMinorOf(bill) > 0),
    (bill) => bill.currency ?? "",
  )
  const totals = [...byCurrency].map(([currency, billsInCurrency]) => ({
    totalMinor: billsInCurrency.reduce((sum, bill) => sum + owedMinorOf(bill), 0),
    currency,
  }))
  return { invoiceCount: bills.length, totals: totals.sort((a, b) => (a.currency < b.currency ? -1 : 1)) }
}
