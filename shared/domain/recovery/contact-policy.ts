/**
 * Who may be written to, and when: one table of rules. Customers of a company who share an address are one person, and
 * what a person has open is one conversation. Pure; `decide.ts` applies the table when it plans and when it sends.
 * Over 300 lines because the table and the conditions that its rows name are read together.
 */

import type { Instant, SuppressionReason } from "../facts.ts"
import type { CompanySettings } from "../settings.ts"
import {
  assignmentOf,
  type CaseKind,
  type CaseState,
  type CustomerState,
  owedMinorOf,
  type SubscriptionState,
} from "../state.ts"
import { declineAdvice } from "./decline-codes.ts"
import { isInvoiceTooOld } from "./invoice-age.ts"
import { mayHaveBeenDelivered, type Nudge } from "./nudges.ts"
import { type Pause, pauseOf } from "./pause.ts"
import { isQuiet, isTimeZone, nextAllowed } from "./quiet-hours.ts"

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** An older case whose next message is due within so long speaks for the younger ones. */
const COVERED_WINDOW_MS = 72 * HOUR_MS
/** At most one message a day about cases that are open together. */
const MESSAGE_INTERVAL_MS = DAY_MS
/** Messages about a case of another kind count as part of the conversation when they are not older than this. */
const CROSS_KIND_WINDOW_MS = 7 * DAY_MS
/** A subscription bought so long before a cancellation, or any time after it, replaces the canceled one. */
const REPURCHASE_WINDOW_MS = 30 * DAY_MS

/** The part of a customer's state that the rules read. */
export type ContactState = Pick<CustomerState, "profile" | "subscriptions" | "cases"> & {
  readonly outreach: Pick<CustomerState["outreach"], "assignments" | "optedOutAt" | "incentives">
}

/** Another customer of the company with an address of this one. */
export interface SharedCustomer {
  readonly customerId: string
  readonly state: ContactState
  readonly nudges: readonly Nudge[]
}

/** What is known of a person beyond the customer in hand. */
export interface Person {
  /** Customers who share an address; the latest changed ones where there are very many. */
  readonly others: readonly SharedCustomer[]
  /** One of the customers who share an address, whether listed or not, asked for no more messages. */
  readonly isOptedOut: boolean
  /** Until when the customer in hand is in quarantine; absent or past: in none. */
  readonly quarantinedUntil?: Instant | null
}

/** A customer whose addresses nobody else has. */
export const SINGLE_CUSTOMER: Person = { others: [], isOptedOut: false }

/** All that a rule may look at. */
export interface ContactContext {
  readonly state: ContactState & Pick<CustomerState, "payments" | "pending">
  readonly recoveryCase: CaseState
  readonly nudge: Nudge
  /** All other nudges of the customer. */
  readonly nudges: readonly Nudge[]
  readonly person: Person
  readonly settings: CompanySettings
  readonly now: Instant
}

/** Null: the rule does not apply. `until` is for rules that defer. */
type Finding = { readonly until: Instant | null } | null

const APPLIES: Finding = { until: null }
const when = (isSo: boolean): Finding => (isSo ? APPLIES : null)
const until = (at: Instant | null, now: Instant): Finding => (at !== null && at > now ? { until: at } : null)

export type ContactReason = SuppressionReason | "quiet_hours" | Pause["reason"]

/** One row of the table. */
export interface ContactRule {
  readonly rule: string
  /** `plan`: judged when the nudge is planned, on every event after that, and when it is sent. `send`: only then. */
  readonly at: "plan" | "send"
  /** `step`: nudges of a playbook. `any`: also one that a person sends by hand. */
  readonly nudges: "step" | "any"
  /** Whether messages to the team's channel fall under the rule. */
  readonly isForTeam: boolean
  /** `defer` puts a step off; a message sent by hand is refused instead. */
  readonly outcome: "suppress" | "defer"
  readonly reason: ContactReason
  readonly why: string
  readonly source: string
  readonly find: (situation: ContactContext) => Finding
}

/** The rules in their order: the first one that applies decides. Nothing applies: the message is sent. */
export const CONTACT_RULES: readonly ContactRule[] = [
  {
    rule: "case_closed",
    ...{ at: "plan", nudges: "any", isForTeam: true, outcome: "suppress", reason: "case_closed" },
    why: "Nothing is left to ask for once the case is recovered, lost or put aside.",
    source: "DESIGN.md, promise 3",
    find: ({ recoveryCase }) => when(recoveryCase.status !== "open"),
  },
  {
    rule: "opted_out",
    ...{ at: "plan", nudges: "any", isForTeam: true, outcome: "suppress", reason: "opted_out" },
    why: "Who asked for no more messages gets none, whichever of their customers the message was for.",
    source: "DESIGN.md, promises 3 and 12; RFC 8058; 47 CFR 64.1200(a)(10)",
    find: ({ state, person }) =>
      when(
        state.outreach.optedOutAt !== null ||
          person.isOptedOut ||
          person.others.some((other) => other.state.outreach.optedOutAt !== null),
      ),
  },
  {
    rule: "customer_deleted",
    ...{ at: "plan", nudges: "any", isForTeam: true, outcome: "suppress", reason: "customer_deleted" },
    why: "The business deleted the customer at the provider.",
    source: "Stripe: customer.deleted",
    find: ({ state }) => when(state.profile.isDeleted),
  },
  {
    rule: "silent_decline_code",
    ...{ at: "plan", nudges: "any", isForTeam: true, outcome: "suppress", reason: "silent_decline_code" },
    why: "A lost or stolen card, or suspected fraud, is not discussed with whoever reads the message.",
    source: "docs.stripe.com/declines/codes",
    find: ({ recoveryCase }) => when(isSilent(recoveryCase)),
  },
  {
    rule: "other_case",
    ...{ at: "plan", nudges: "any", isForTeam: false, outcome: "suppress", reason: "other_case" },
    why: "One campaign at a time: an open bill comes before a cancellation, and both before a predicted leaving.",
    source: "DESIGN.md, promise 12",
    find: (situation) => when(allCases(situation).some(({ case: other }) => isNearer(other, situation.recoveryCase))),
  },
  {
    rule: "bought_again",
    ...{ at: "plan", nudges: "step", isForTeam: false, outcome: "suppress", reason: "bought_again" },
    why: "The person has bought another subscription in place of this one: no goodbye and no request to keep it.",
    source: "DESIGN.md, promise 12",
    find: (situation) => when(hasRepurchased(situation)),
  },
  {
    rule: "held_out",
    ...{ at: "plan", nudges: "step", isForTeam: true, outcome: "suppress", reason: "held_out" },
    why: "The case is in the control group.",
    source: "DESIGN.md, section 2, hold-out",
    find: ({ state, recoveryCase }) => when(isOut(state, recoveryCase)),
  },
  {
    rule: "history",
    ...{ at: "plan", nudges: "step", isForTeam: true, outcome: "suppress", reason: "history" },
    why: "All news of the case was imported; nobody is written to for the past.",
    source: "docs/OPERATIONS.md, importing a company's past",
    find: ({ recoveryCase }) => when(recoveryCase.knownFrom === "history"),
  },
  {
    rule: "invoice_too_old",
    ...{ at: "plan", nudges: "step", isForTeam: false, outcome: "suppress", reason: "invoice_too_old" },
    why: "The invoice was older than the company's limit when its case opened: that is a matter for a person.",
    source: "company settings, invoiceAgeDaysMax",
    find: ({ state, recoveryCase, settings }) => when(isInvoiceTooOld(state, recoveryCase, settings)),
  },
  {
    rule: "quarantined",
    ...{ at: "send", nudges: "any", isForTeam: true, outcome: "defer", reason: "quarantined" },
    why: "The customer has more than a limit allows (a test, an attack): an operator looks at it before anybody gets a message.",
    source: "docs/OPERATIONS.md, one customer with too many events",
    find: ({ person, now }) => until(person.quarantinedUntil ?? null, now),
  },
  {
    rule: "payment_in_progress",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "payment_in_progress" },
    why: "A bank debit or a voucher is under way: its result is awaited.",
    source: "docs.stripe.com/payments/payment-intents/verifying-status",
    find: (situation) => pausedBy("payment_in_progress", situation),
  },
  {
    rule: "collection_paused",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "collection_paused" },
    why: "Somebody asked for a pause of the subscription, and nothing is collected until it ends.",
    source: "docs.stripe.com/billing/subscriptions/pause-payment",
    find: (situation) => pausedBy("collection_paused", situation),
  },
  {
    rule: "superseded",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "superseded" },
    why: "After an outage several steps of a case are due together: only the latest is sent.",
    source: "RELIABILITY.md, outages",
    find: (situation) => when(isSuperseded(situation)),
  },
  {
    rule: "held_out_conversation",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "held_out" },
    why: "An older open case of the same kind is in the control group; a younger one must not contact it.",
    source: "docs/decisions/0069-holdout-and-persons.md",
    find: (situation) =>
      when(olderOpenCases(situation).some(({ state, case: older }) => isOut(state, older) && isLive(older))),
  },
  {
    rule: "covered",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "same_conversation" },
    why: "An older open case of the same kind has a message due within three days, which names the total.",
    source: "DESIGN.md, promise 12",
    find: (situation) => when(isCovered(situation)),
  },
  {
    rule: "already_said",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "same_conversation" },
    why: "A reminder, and the last reminder, are sent once in a conversation; a further bill is told of once.",
    source: "DESIGN.md, promise 12",
    find: (situation) => when(isAlreadyNotified(situation)),
  },
  {
    rule: "said_before",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "same_conversation" },
    why: "Who takes a cancellation back and announces it again within a week was told the same a few days ago.",
    source: "DESIGN.md, promise 12",
    find: (situation) => when(wasSaidOfSubscription(situation)),
  },
  {
    rule: "one_a_day",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "same_conversation" },
    why: "Cases that are open together get one message a day.",
    source: "DESIGN.md, promise 12",
    find: (situation) => until(reusedUntil(situation), situation.now),
  },
  {
    rule: "quiet_hours",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "quiet_hours" },
    why: "Nobody is disturbed at night, in the zone of the person as far as any of their customers tells it.",
    source: "47 CFR 64.1200(c)(1)",
    find: ({ state, person, nudge, settings, now }) =>
      until(nextContactTime(now, nudge.channel, state, settings, person), now),
  },
  {
    rule: "frequency_cap",
    ...{ at: "send", nudges: "any", isForTeam: false, outcome: "defer", reason: "frequency_cap" },
    why: "A person gets so many messages in a time at most, over all customers, cases and channels.",
    source: "DESIGN.md, promises 3 and 12; company settings, frequencyCaps",
    find: ({ nudges, person, settings, now }) =>
      until(capFreeAt([...nudges, ...person.others.flatMap((other) => other.nudges)], settings, now), now),
  },
]

/** The first rule that applies, with its finding; null: the nudge may be planned, or sent. */
export function applyRules(
  at: "plan" | "send",
  situation: ContactContext,
): { readonly rule: ContactRule; readonly until: Instant | null } | null {
  const isByHand = situation.nudge.step === null
  const isForTeam = situation.nudge.channel === "slack"
  for (const rule of CONTACT_RULES) {
    if (at === "plan" && rule.at === "send") continue
    if ((isByHand && rule.nudges === "step") || (isForTeam && !rule.isForTeam)) continue
    const found = rule.find(situation)
    if (found !== null) return { rule, until: found.until }
  }
  return null
}

function pausedBy(reason: Pause["reason"], { state, recoveryCase, now }: ContactContext): Finding {
  const pause = pauseOf(state, recoveryCase, now)
  return pause?.reason === reason ? until(pause.until, now) : null
}

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

const isOut = (state: ContactState, { id }: CaseState): boolean => assignmentOf(state, id)?.arm === "held_out"

const isSilent = ({ kind, declineCode }: CaseState): boolean =>
  kind === "payment" && declineAdvice(declineCode).ask === "silent"

/** What comes before a case of this kind in the same conversation. */
const PRECEDING_KINDS: Readonly<Record<CaseKind, readonly CaseKind[]>> = {
  payment: [],
  cancellation: ["payment"],
  at_risk: ["payment", "cancellation"],
}

function isNearer(other: CaseState, recoveryCase: CaseState): boolean {
  // A predicted leaving stays silent beside any bill; a cancellation is still spoken of where the bill must not be.
  const isSpokenOf = recoveryCase.kind === "at_risk" || !isSilent(other)
  return (
    other.id !== recoveryCase.id &&
    PRECEDING_KINDS[recoveryCase.kind].includes(other.kind) &&
    isLive(other) &&
    isSpokenOf
  )
}

const isRunning = ({ status, cancelAt, endedAt, paused }: SubscriptionState): boolean =>
  (status === "active" || status === "trialing") && cancelAt === null && endedAt === null && paused === null

/** Whether the person has a running subscription that replaces the one of the case. */
function hasRepurchased({ state, recoveryCase, person }: ContactContext): boolean {
  const { subscriptionId, kind, openedAt } = recoveryCase
  if (subscriptionId === null) return false
  const own = Object.hasOwn(state.subscriptions, subscriptionId) ? state.subscriptions[subscriptionId] : undefined
  const running = [state, ...person.others.map((other) => other.state)]
    .flatMap((one) => Object.values(one.subscriptions))
    .filter((subscription) => subscription.id !== subscriptionId && isRunning(subscription))
  // A bill stays owed when something else is bought: only the same product, bought and paid later, replaces it.
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

const isToMember = ({ channel }: Nudge): boolean => channel !== "slack"

function isSuperseded({ nudge, nudges, now }: ContactContext): boolean {
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
function olderOpenCases(situation: ContactContext): OwnedCase[] {
  const { recoveryCase } = situation
  const key = (one: CaseState) => `${one.openedAt}|${one.id}`
  return allCases(situation).filter(
    ({ case: other }) => other.kind === recoveryCase.kind && other.status === "open" && key(other) < key(recoveryCase),
  )
}

function isCovered(situation: ContactContext): boolean {
  const soon = new Date(Date.parse(situation.now) + COVERED_WINDOW_MS).toISOString()
  return olderOpenCases(situation).some(({ nudges, case: older }) =>
    nudges.some(
      ({ caseId, step, channel, status, dueAt }) =>
        caseId === older.id &&
        step !== null &&
        channel !== "slack" &&
        (status === "sending" || (status === "planned" && dueAt <= soon)),
    ),
  )
}

/** Messages about other cases of the person, with the case as far as it is still known. */
function* saidElsewhere(
  situation: ContactContext,
): Generator<{ readonly message: Nudge; readonly other: CaseState | null }> {
  const { state, nudges, person, recoveryCase } = situation
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

const timeOf = ({ sentAt, dueAt, status }: Nudge, now: Instant): Instant =>
  // What is on its way right now may have been due long ago, when an outage held it up.
  sentAt ?? (status === "sending" ? now : dueAt)

function isAlreadyNotified(situation: ContactContext): boolean {
  const { nudge, recoveryCase, now } = situation
  const { step } = nudge
  if (step === null || step <= 0) return false
  const since = new Date(Date.parse(recoveryCase.openedAt) - CROSS_KIND_WINDOW_MS).toISOString()
  for (const { message, other } of saidElsewhere(situation)) {
    if (message.step === null || message.step < step) continue
    const at = timeOf(message, now)
    if (other === null) {
      // Closed long enough to have left the state; what was said while this case was open was said in one conversation.
      if (message.caseId.startsWith(`${recoveryCase.kind}_`) && at >= recoveryCase.openedAt) return true
    } else if (overlaps(other, recoveryCase) && (other.kind === recoveryCase.kind || at >= since)) return true
  }
  return false
}

/** Whether this step of an earlier case of the same kind and subscription went out within a week. */
function wasSaidOfSubscription({ nudge, nudges, state, recoveryCase, now }: ContactContext): boolean {
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

function reusedUntil(situation: ContactContext): Instant | null {
  const times = [...saidElsewhere(situation)].flatMap(({ message, other }) =>
    other !== null && overlaps(other, situation.recoveryCase) ? [Date.parse(timeOf(message, situation.now))] : [],
  )
  return times.length === 0 ? null : new Date(Math.max(...times) + MESSAGE_INTERVAL_MS).toISOString()
}

/**
 * The first moment from `at` on when this channel may be used. Where nobody knows the member's zone, or it is none that
 * exists, the company's stands in for channels that make a noise; an e-mail waits quietly in its box.
 */
export function nextContactTime(
  at: Instant,
  channel: Nudge["channel"],
  { profile }: Pick<ContactState, "profile">,
  settings: CompanySettings,
  person: Person = SINGLE_CUSTOMER,
): Instant {
  const known = [profile, ...person.others.map(({ state }) => state.profile)]
  const own = known.map(({ timeZone }) => timeZone).find((zone) => zone !== null && isTimeZone(zone)) ?? null
  const isSilentGuess = own === null && channel === "email"
  if (channel === "slack" || isSilentGuess || settings.quietHours === null) return at
  const zone = own ?? settings.timeZone
  return isQuiet(at, settings.quietHours, zone) ? nextAllowed(at, settings.quietHours, zone) : at
}

/** When the frequency caps next allow a message; null: now. */
function capFreeAt(others: readonly Nudge[], settings: CompanySettings, now: Instant): Instant | null {
  const sentTimes = others
    .filter((other) => isToMember(other) && mayHaveBeenDelivered(other))
    .map((other) => Date.parse(timeOf(other, now)))
    .sort((a, b) => b - a)
  const freeTimes = settings.frequencyCaps.map((cap) => {
    const oldestThatCounts = sentTimes[cap.max - 1]
    return oldestThatCounts === undefined ? 0 : oldestThatCounts + cap.hours * HOUR_MS
  })
  const freeAt = Math.max(0, ...freeTimes)
  return freeAt > Date.parse(now) ? new Date(freeAt).toISOString() : null
}

/** The open bills that a message about a payment speaks of: all of the person's that may be spoken of. */
export function openBillsOf({
  state,
  recoveryCase,
  person,
}: Pick<ContactContext, "state" | "recoveryCase" | "person">): readonly CaseState[] {
  if (recoveryCase.kind !== "payment") return []
  const isNamed = ({ state: owner, case: one }: OwnedCase): boolean =>
    one.id === recoveryCase.id ||
    (one.kind === "payment" && isLive(one) && !isOut(owner, one) && !isSilent(one) && !owner.profile.isDeleted)
  return allCases({ state, nudges: [], person })
    .filter(isNamed)
    .map((owned) => owned.case)
}

/** What several open bills come to, by currency, the largest number of bills first; bills without an amount are counted only. */
export function totalsByCurrency(bills: readonly CaseState[]): {
  readonly invoiceCount: number
  readonly totals: readonly { readonly totalMinor: number; readonly currency: string }[]
} {
  const byCurrency = Map.groupBy(
    bills.filter((bill) => bill.currency !== null && owedMinorOf(bill) > 0),
    (bill) => bill.currency ?? "",
  )
  const totals = [...byCurrency].map(([currency, ofOne]) => ({
    totalMinor: ofOne.reduce((sum, bill) => sum + owedMinorOf(bill), 0),
    currency,
  }))
  return { invoiceCount: bills.length, totals: totals.sort((a, b) => (a.currency < b.currency ? -1 : 1)) }
}
