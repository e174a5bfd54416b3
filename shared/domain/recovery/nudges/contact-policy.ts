/**
 * Who may be contacted, and when: one table of rules. Customers of a company who share an address are one person, and the
 * open cases of a person are one conversation (`conversation.ts`). Pure; `decide.ts` applies the table when it plans and
 * when it sends.
 */

import type { Instant, SuppressionReason } from "../../facts.ts"
import type { ContactContext } from "./contact-context.ts"
import { frequencyCapUntil, nextContactTime } from "./contact-times.ts"
import {
  dailyLimitUntil,
  hasPrecedingCase,
  hasRepurchased,
  isAlreadySent,
  isConversationHeldOut,
  isCovered,
  isInHoldout,
  isRepeatedCancellation,
  isSilent,
  isSuperseded,
} from "./conversation.ts"
import { isInvoiceTooOld } from "./invoice-age.ts"
import { type Pause, pauseOf } from "./pause.ts"

/** Null: the rule does not apply. `until` is for rules that defer. */
type Finding = { readonly until: Instant | null } | null

const APPLIES: Finding = { until: null }
const when = (applies: boolean): Finding => (applies ? APPLIES : null)
const until = (at: Instant | null, now: Instant): Finding => (at !== null && at > now ? { until: at } : null)

export type ContactReason = SuppressionReason | "quiet_hours" | Pause["reason"]

/** One row of the table. */
export interface ContactRule {
  readonly rule: string
  /** `plan`: evaluated when the nudge is planned, at every later event, and when it is sent. `send`: only when it is sent. */
  readonly at: "plan" | "send"
  /** `step`: nudges of a playbook. `any`: also manual ones. */
  readonly nudges: "step" | "any"
  /** Whether the rule also applies to messages to the team's channel. */
  readonly isForTeam: boolean
  /** `defer` postpones a step; a manual message is refused instead. */
  readonly outcome: "suppress" | "defer"
  readonly reason: ContactReason
  readonly why: string
  readonly source: string
  readonly find: (context: ContactContext) => Finding
}

/** The rules in order: the first that applies decides. If none applies, the message is sent. */
export const CONTACT_RULES: readonly ContactRule[] = [
  {
    rule: "case_closed",
    ...{ at: "plan", nudges: "any", isForTeam: true, outcome: "suppress", reason: "case_closed" },
    why: "The case is recovered, lost or closed by an operator: there is nothing left to ask for.",
    source: "docs/decisions/0047-claim-decide-mark-send-record.md",
    find: ({ recoveryCase }) => when(recoveryCase.status !== "open"),
  },
  {
    rule: "opted_out",
    ...{ at: "plan", nudges: "any", isForTeam: true, outcome: "suppress", reason: "opted_out" },
    why: "A person who has opted out gets no messages, for any of their customers.",
    source: "docs/decisions/0063-opt-out-follows-address.md; RFC 8058; 47 CFR 64.1200(a)(10)",
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
    why: "The card is lost or stolen, or fraud is suspected: the reader of the message may not be the cardholder.",
    source: "docs.stripe.com/declines/codes",
    find: ({ recoveryCase }) => when(isSilent(recoveryCase)),
  },
  {
    rule: "other_case",
    ...{ at: "plan", nudges: "any", isForTeam: false, outcome: "suppress", reason: "other_case" },
    why: "One sequence at a time: an open bill comes before a cancellation, and both come before an at-risk case.",
    source: "docs/decisions/0067-case-kind-priority.md",
    find: (context) => when(hasPrecedingCase(context)),
  },
  {
    rule: "bought_again",
    ...{ at: "plan", nudges: "step", isForTeam: false, outcome: "suppress", reason: "bought_again" },
    why: "The person has bought another subscription that replaces this one.",
    source: "docs/decisions/0068-repurchase.md",
    find: (context) => when(hasRepurchased(context)),
  },
  {
    rule: "held_out",
    ...{ at: "plan", nudges: "step", isForTeam: true, outcome: "suppress", reason: "held_out" },
    why: "The case is in the control group.",
    source: "docs/decisions/0182-held-out-steps-visible.md",
    find: ({ state, recoveryCase }) => when(isInHoldout(state, recoveryCase)),
  },
  {
    rule: "history",
    ...{ at: "plan", nudges: "step", isForTeam: true, outcome: "suppress", reason: "history" },
    why: "All news of the case was imported; nobody is contacted about the past.",
    source: "docs/OPERATIONS.md, importing a company's past",
    find: ({ recoveryCase }) => when(recoveryCase.knownFrom === "history"),
  },
  {
    rule: "invoice_too_old",
    ...{ at: "plan", nudges: "step", isForTeam: false, outcome: "suppress", reason: "invoice_too_old" },
    why: "The invoice was older than the company's limit when its case opened; only a manual message is sent.",
    source: "company settings, invoiceAgeDaysMax",
    find: ({ state, recoveryCase, settings }) => when(isInvoiceTooOld(state, recoveryCase, settings)),
  },
  {
    rule: "quarantined",
    ...{ at: "send", nudges: "any", isForTeam: true, outcome: "defer", reason: "quarantined" },
    why: "The customer exceeds a limit (a test, an attack): an operator reviews it before any message is sent.",
    source: "docs/OPERATIONS.md, one customer with too many events",
    find: ({ person, now }) => until(person.quarantinedUntil ?? null, now),
  },
  {
    rule: "payment_in_progress",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "payment_in_progress" },
    why: "A bank debit or a voucher is in progress, and its result is not known yet.",
    source: "docs.stripe.com/payments/payment-intents/verifying-status",
    find: (context) => pausedBy("payment_in_progress", context),
  },
  {
    rule: "collection_paused",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "collection_paused" },
    why: "A pause of the subscription was requested; nothing is collected until it ends.",
    source: "docs.stripe.com/billing/subscriptions/pause-payment",
    find: (context) => pausedBy("collection_paused", context),
  },
  {
    rule: "superseded",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "superseded" },
    why: "After an outage several steps of a case are due together: only the latest is sent.",
    source: "docs/decisions/0045-plan-from-discovery.md",
    find: (context) => when(isSuperseded(context)),
  },
  {
    rule: "held_out_conversation",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "held_out" },
    why: "An older open case of the same kind is in the control group; a younger one must not contact it.",
    source: "docs/decisions/0069-holdout-and-persons.md",
    find: (context) => when(isConversationHeldOut(context)),
  },
  {
    rule: "covered",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "same_conversation" },
    why: "An older open case of the same kind has a message due within three days, which names the total.",
    source: "docs/decisions/0066-oldest-open-case-first.md",
    find: (context) => when(isCovered(context)),
  },
  {
    rule: "already_sent",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "same_conversation" },
    why: "Each reminder is sent once in a conversation; a further bill gets its first message only.",
    source: "docs/decisions/0066-oldest-open-case-first.md",
    find: (context) => when(isAlreadySent(context)),
  },
  {
    rule: "repeated_cancellation",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "suppress", reason: "same_conversation" },
    why: "The cancellation was taken back and announced again within a week: the same message has just been sent.",
    source: "docs/API.md, when a nudge is sent",
    find: (context) => when(isRepeatedCancellation(context)),
  },
  {
    rule: "one_per_day",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "same_conversation" },
    why: "Cases that are open together get one message a day.",
    source: "docs/decisions/0066-oldest-open-case-first.md",
    find: (context) => until(dailyLimitUntil(context), context.now),
  },
  {
    rule: "quiet_hours",
    ...{ at: "send", nudges: "step", isForTeam: false, outcome: "defer", reason: "quiet_hours" },
    why: "No messages at night, in the time zone of the person, taken from any of their customers that has one.",
    source: "47 CFR 64.1200(c)(1)",
    find: ({ state, person, nudge, settings, now }) =>
      until(nextContactTime(now, nudge.channel, state, settings, person), now),
  },
  {
    rule: "frequency_cap",
    ...{ at: "send", nudges: "any", isForTeam: false, outcome: "defer", reason: "frequency_cap" },
    why: "A person gets a limited number of messages in a period, over all customers, cases and channels.",
    source: "docs/decisions/0061-person-is-an-address.md; company settings, frequencyCaps",
    find: ({ nudges, person, settings, now }) =>
      until(frequencyCapUntil([...nudges, ...person.others.flatMap((other) => other.nudges)], settings, now), now),
  },
]

/** The first rule that applies, with its finding; null: the nudge may be planned, or sent. */
export function applyRules(
  at: "plan" | "send",
  context: ContactContext,
): { readonly rule: ContactRule; readonly until: Instant | null } | null {
  const isManual = context.nudge.step === null
  const isForTeam = context.nudge.channel === "slack"
  for (const rule of CONTACT_RULES) {
    if (at === "plan" && rule.at === "send") continue
    if ((isManual && rule.nudges === "step") || (isForTeam && !rule.isForTeam)) continue
    const found = rule.find(context)
    if (found !== null) return { rule, until: found.until }
  }
  return null
}

function pausedBy(reason: Pause["reason"], { state, recoveryCase, now }: ContactContext): Finding {
  const pause = pauseOf(state, recoveryCase, now)
  return pause?.reason === reason ? until(pause.until, now) : null
}
