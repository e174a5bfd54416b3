/**
 * Facts: what happened, normalized over providers and free of personal data. The ledger is an append-only list of them.
 * A fact uses the provider's ids; names, e-mail addresses and phone numbers are stored separately, as a `ContactChange`.
 * Over 300 lines: a new kind of fact needs its fields and its rank, and both are here.
 */

/** ISO 8601 UTC with milliseconds (`Date.toISOString()`), so that text order is time order. */
export type Instant = string

/** Billing providers whose events become facts. */
export const PROVIDERS = ["stripe", "whop"] as const
export type ProviderName = (typeof PROVIDERS)[number]

/** Ways to reach a member, and `slack` to reach the team. */
export const CHANNELS = ["email", "sms", "push", "dm", "slack"] as const
export type ChannelName = (typeof CHANNELS)[number]

/** Stripe's subscription statuses; Whop's are mapped onto them. `unknown` stands for a status of a newer API version. */
export type SubscriptionStatus =
  | "incomplete"
  | "incomplete_expired"
  | "trialing"
  | "active"
  | "past_due"
  | "paused"
  | "unpaid"
  | "canceled"
  | "unknown"

/** One price of a subscription. Amounts are minor units of the subscription's `currency`, before discounts and tax. */
export interface SubscriptionItem {
  readonly priceId: string | null
  readonly productId: string | null
  readonly unitAmountMinor: number | null
  readonly quantity: number
  readonly interval: "day" | "week" | "month" | "year" | null
  readonly intervalCount: number
  readonly usageType: "licensed" | "metered"
}

/** A subscription as the provider reported it at that moment. */
export interface SubscriptionSnapshot {
  readonly subscriptionId: string
  readonly status: SubscriptionStatus
  readonly currency: string | null
  readonly items: readonly SubscriptionItem[]
  readonly startedAt: Instant | null
  readonly currentPeriodEnd: Instant | null
  readonly trialEnd: Instant | null
  /** When the subscription will end; null while no end is set. `endBy` says who asked for it. */
  readonly cancelAt: Instant | null
  /** Who set the end, as far as the event states it (`intent.ts`). Absent: no end is set, or the event predates this field. */
  readonly endBy?: EndBy
  readonly endedAt: Instant | null
  /** `requested`: collection stopped on purpose. `payment_failure`: the provider paused it because it could not collect. */
  readonly paused: "requested" | "payment_failure" | null
  /** When a requested pause ends by itself; absent where the event names no date. */
  readonly pauseEndsAt?: Instant
}

/** `member`: the member asked to cancel. `other`: a fixed term, a schedule, the operator or the provider. */
export type EndBy = "member" | "other"

/**
 * The subscription before the change that an event reports (Stripe's `previous_attributes`): only the fields that changed.
 * It orders two snapshots of the same second. Absent: the event does not state it.
 */
export type PreviousAttributes = Partial<
  Pick<
    SubscriptionSnapshot,
    "status" | "items" | "currentPeriodEnd" | "trialEnd" | "cancelAt" | "endBy" | "paused" | "pauseEndsAt"
  >
>

/** The period that a bill covers. */
export interface ServicePeriod {
  readonly start: Instant
  readonly end: Instant
}

/** Details of an invoice besides its amount. Each is absent where the event does not state it. */
export interface BillDetails {
  /** What has been paid of the invoice. */
  readonly paidMinor?: number
  /** What credit notes have taken off the invoice. */
  readonly creditedMinor?: number
  /** `one_off`: the invoice belongs to no subscription. `change`: it is for a change of plan. */
  readonly billing?: "one_off" | "change"
  /** The invoice is sent to the member, who pays it manually; nothing is charged automatically. */
  readonly collection?: "manual"
  readonly period?: ServicePeriod
}

/** An amount owed or paid: integer minor units with the ISO 4217 currency in lower case. */
export interface Money {
  readonly amountMinor: number
  readonly currency: string
}

/** An amount that an event may omit, or state in a form that cannot be parsed: then both are null, otherwise neither. */
export interface StatedMoney {
  readonly amountMinor: number | null
  readonly currency: string | null
}

export const UNKNOWN_MONEY: StatedMoney = { amountMinor: null, currency: null }

/** The ids that identify one payment; each is null when the event does not state it. */
export interface PaymentRefs {
  readonly invoiceId: string | null
  readonly subscriptionId: string | null
  readonly chargeId: string | null
  readonly paymentIntentId: string | null
}

/** Why a subscription ended. */
export type EndReason = "requested" | "payment_failed" | "payment_disputed" | "policy" | "unknown"

/** What happened, as reported by providers. */
export type ProviderFactBody =
  | {
      readonly kind: "customer_seen"
      /** Absent: the event does not state it. Null or false: the event states that there is none. */
      readonly hasEmail?: boolean
      readonly hasPhone?: boolean
      readonly timeZone?: string | null
      readonly locale?: string | null
      readonly deleted?: boolean
    }
  | { readonly kind: "subscription_started"; readonly subscription: SubscriptionSnapshot }
  | {
      readonly kind: "subscription_changed" | "subscription_paused" | "subscription_resumed"
      readonly subscription: SubscriptionSnapshot
      readonly replaced?: PreviousAttributes
      /** Fetched from the provider's API, because two snapshots of one second contradicted each other. */
      readonly fetched?: true
    }
  | {
      readonly kind: "cancellation_announced"
      readonly subscription: SubscriptionSnapshot
      readonly reason: string | null
      readonly replaced?: PreviousAttributes
    }
  | {
      readonly kind: "subscription_ended"
      readonly subscription: SubscriptionSnapshot
      readonly reason: EndReason
      readonly fetched?: true
    }
  | { readonly kind: "trial_ending"; readonly subscription: SubscriptionSnapshot }
  | ({
      readonly kind: "payment_failed"
      /** The provider's attempt number of the invoice; null where the event (for example a charge) has none. */
      readonly attempt: number | null
      /** The most specific decline or error code of the event, in the provider's spelling. */
      readonly declineCode: string | null
      /** When the provider tries again; null: no further attempt is planned; absent: the event does not state it. */
      readonly nextAttemptAt?: Instant | null
      /** True for the invoice that starts a subscription: a failed sale, not churn. */
      readonly isFirstInvoice: boolean
      /** When the invoice was created; absent where the event does not state it. */
      readonly issuedAt?: Instant
    } & BillDetails &
      PaymentRefs &
      StatedMoney)
  | ({
      /** A payment was started and its result takes days: a bank debit, or a voucher that has not been paid yet. */
      readonly kind: "payment_pending"
      /** The provider's name of the payment method; null when the event does not state it. */
      readonly method: string | null
      /** Until when a voucher can be paid; null when the event names no date. */
      readonly expiresAt: Instant | null
    } & PaymentRefs &
      StatedMoney)
  | ({
      /** A payment was canceled before it had a result; no attempt has failed. */
      readonly kind: "payment_canceled"
    } & PaymentRefs)
  | ({
      /** The current amount of an open invoice: `amountMinor` is what remains to be paid. */
      readonly kind: "invoice_changed"
    } & BillDetails &
      PaymentRefs &
      Money)
  | ({
      /** A credit note on an unpaid invoice: it reduces what is owed, unless it is voided. */
      readonly kind: "invoice_credited"
      readonly creditNoteId: string
      readonly isVoided: boolean
    } & PaymentRefs &
      Money)
  | ({
      /** Part of an invoice was paid, and the rest is still owed. */
      readonly kind: "invoice_part_paid"
      readonly partId: string
    } & PaymentRefs &
      Money)
  | ({
      /** `invoiceId` is the new revision of the invoice `replaces`. */
      readonly kind: "invoice_reissued"
      readonly replaces: string
    } & PaymentRefs)
  | ({
      readonly kind: "payment_succeeded"
      /** `collected` by the provider, or `out_of_band`: marked as paid elsewhere. */
      readonly how: "collected" | "out_of_band"
    } & Pick<BillDetails, "billing" | "period"> &
      PaymentRefs &
      StatedMoney)
  | ({ readonly kind: "payment_action_required" } & PaymentRefs & StatedMoney)
  | ({
      readonly kind: "payment_refunded"
      // `amountMinor` is the total refunded, so that repeating the fact changes nothing.
      /** The refund that the event is about, and its amount. */
      readonly refundId?: string
      readonly refundMinor?: number
      /** The amount of the refunded charge: identifies the invoice where no id does. */
      readonly chargeMinor?: number
    } & PaymentRefs &
      Money)
  | ({
      /** A refund that failed: the money was not returned. */
      readonly kind: "refund_failed"
      readonly refundId: string
    } & PaymentRefs &
      Money)
  | ({
      readonly kind: "dispute_opened"
      readonly disputeId: string
      readonly reason: string | null
      /** An inquiry asks before money moves; only a chargeback takes money back. */
      readonly isInquiry: boolean
    } & PaymentRefs &
      StatedMoney)
  | ({
      readonly kind: "dispute_closed"
      readonly disputeId: string
      readonly outcome: "won" | "lost" | "withdrawn"
    } & PaymentRefs &
      StatedMoney)
  | { readonly kind: "payment_method_added"; readonly paymentMethodId: string }
  | { readonly kind: "payment_method_updated_by_provider"; readonly paymentMethodId: string }
  | ({ readonly kind: "invoice_voided" } & PaymentRefs)
  | ({ readonly kind: "invoice_uncollectible" } & PaymentRefs)
  | {
      readonly kind: "usage_recorded"
      /** What was counted, as the sender names it: `logins`, `api_calls`, `active_days`. */
      readonly meter: string
      /** The amount since the previous record; not negative. */
      readonly quantity: number
      readonly subscriptionId: string | null
    }
  | {
      readonly kind: "ticket_opened"
      readonly ticketId: string
      /** The customer complains, as classified by the sender of the signal; the text of a ticket is never stored. */
      readonly isNegative: boolean
    }
  | {
      readonly kind: "ticket_closed"
      readonly ticketId: string
      /** Whether the customer was dissatisfied at the end; null: not asked. */
      readonly isNegative: boolean | null
    }

/** Why a nudge is not sent. */
export type SuppressionReason =
  | "case_closed"
  | "opted_out"
  | "silent_decline_code"
  | "no_address"
  | "superseded"
  | "frequency_cap"
  | "customer_deleted"
  | "history"
  | "held_out"
  | "other_case"
  | "same_conversation"
  | "bought_again"
  /** The case was found by `npm run rebuild` too long after it opened. */
  | "found_late"
  | "invoice_too_old"
  /** The customer exceeds a limit, and an operator reviews it first. */
  | "quarantined"

/** The arm of a case in the experiment: nudged according to the playbook, or held out so that lift can be measured. */
export type Arm = "treated" | "held_out"

/** What happened because of us, or in response to us. */
export type InternalFactBody =
  | {
      /** The assignment of a case to an arm, made when it opened; `percentage` is the share held out at that time. */
      readonly kind: "case_assigned"
      readonly caseId: string
      readonly arm: Arm
      readonly percentage: number
    }
  | {
      /** Which words of a compared template a case gets, drawn before its first message with that template. */
      readonly kind: "variant_assigned"
      readonly caseId: string
      readonly templateId: string
      readonly experimentId: string
      /** The name of the variant; `control`: the template's own words. */
      readonly variant: string
    }
  | {
      /** By its score and the policy, contact is worth its cost; opens the case `caseId`. */
      readonly kind: "risk_detected"
      readonly caseId: string
      readonly subscriptionId: string
      /** The probability that the member cancels within the model's horizon without contact. */
      readonly probability: number
      /** By how much contact is expected to lower it, in probability; and whether that was learned or assumed. */
      readonly uplift: number
      readonly upliftSource: "learned" | "assumed"
      readonly expectedValueMinor: number
      readonly predictionId: string
      readonly modelVersion: string
      /** The score uses what was known at this moment. */
      readonly asOf: Instant
      /** The end of the horizon: a member who is still subscribed then has stayed. */
      readonly until: Instant
    }
  | {
      readonly kind: "risk_passed"
      readonly caseId: string
      /** `fell`: the score is well below the one that opened the case. `stayed`: the horizon has ended. */
      readonly why: "fell" | "stayed"
    }
  | ({
      readonly kind: "nudge_planned"
      readonly dueAt: Instant
      /** Sent manually although the case is held out. */
      readonly overridesHoldout?: true
    } & NudgeRef)
  | ({
      readonly kind: "nudge_sent"
      readonly providerMessageId: string | null
    } & SentWith &
      NudgeRef)
  | ({ readonly kind: "nudge_failed"; readonly reason: string; readonly isUnknown: boolean } & NudgeRef)
  | ({ readonly kind: "nudge_suppressed"; readonly reason: SuppressionReason } & NudgeRef)
  | { readonly kind: "link_clicked"; readonly caseId: string; readonly nudgeId: string | null }
  | {
      readonly kind: "opted_out"
      readonly caseId: string | null
      /** `address`: another customer with the same address opted out. */
      readonly via: "one_click" | "page" | "operator" | "channel" | "address"
    }
  | {
      readonly kind: "incentive_applied"
      readonly caseId: string
      readonly incentive: Incentive
      readonly providerReceiptId: string | null
    }
  | { readonly kind: "case_closed_by_operator"; readonly caseId: string; readonly note: string | null }
  /** A payment case without any news for `LAPSE_DAYS`. */
  | { readonly kind: "case_lapsed"; readonly caseId: string }
  /** The snapshots of a subscription contradict each other, and the provider's API has none of that id. */
  | { readonly kind: "subscription_not_found"; readonly subscriptionId: string }

/** A discount on the next invoices, or free days; applied through the provider's API. */
export type Incentive =
  | { readonly kind: "discount"; readonly percentOff: number; readonly months: number }
  | { readonly kind: "free_days"; readonly days: number }

/** One saved version of a company's template. */
export interface TemplateRef {
  readonly id: string
  readonly version: number
  /** The variant that went out; absent: the case was not part of a comparison. */
  readonly variant?: string
}

/** What of the company's own a message was made with. */
export interface SentWith {
  /** Its words; absent: the shipped ones. */
  readonly template?: TemplateRef
  /** The version of its branding; absent: none. */
  readonly branding?: number
}

/** The nudge that a fact is about. `step` is the day offset of its playbook step, null when it was sent manually. */
export interface NudgeRef {
  readonly nudgeId: string
  readonly caseId: string
  readonly step: number | null
  readonly channel: ChannelName
}

export type FactBody = ProviderFactBody | InternalFactBody
export type FactKind = FactBody["kind"]

/** The origin of a fact that was not received live: an import of the provider's past. */
export type FactOrigin = "history"

/** A fact in the ledger: unique by id, ordered by (occurredAt, rank of its kind, id). */
export type Fact = FactBody & {
  readonly id: string
  readonly occurredAt: Instant
  /** Absent: live. It is stored with the body, so that a rebuild gives the same state. */
  readonly origin?: FactOrigin
}

/**
 * The order of facts of the same second (Stripe's `created` has a resolution of one second): causes before effects, and
 * terminal facts last, so that a fact of the same second never reopens what has ended.
 */
const RANK: Readonly<Record<FactKind, number>> = {
  customer_seen: 0,
  usage_recorded: 5,
  ticket_opened: 6,
  ticket_closed: 7,
  payment_method_added: 10,
  payment_method_updated_by_provider: 11,
  subscription_started: 20,
  trial_ending: 21,
  subscription_changed: 22,
  subscription_paused: 23,
  cancellation_announced: 24,
  subscription_resumed: 25,
  subscription_not_found: 26,
  invoice_reissued: 28,
  payment_pending: 29,
  payment_action_required: 30,
  payment_failed: 31,
  payment_canceled: 32,
  invoice_part_paid: 35,
  invoice_credited: 36,
  invoice_changed: 37,
  payment_succeeded: 40,
  invoice_uncollectible: 45,
  invoice_voided: 46,
  payment_refunded: 50,
  dispute_opened: 51,
  dispute_closed: 52,
  refund_failed: 53,
  subscription_ended: 60,
  risk_detected: 65,
  risk_passed: 66,
  case_lapsed: 67,
  variant_assigned: 68,
  case_assigned: 69,
  incentive_applied: 70,
  nudge_planned: 71,
  nudge_suppressed: 72,
  nudge_failed: 73,
  nudge_sent: 74,
  link_clicked: 75,
  opted_out: 76,
  case_closed_by_operator: 77,
}

/** Rank of a kind among facts of the same instant; stored with the fact so that the database sorts in the same order. */
export const rankOf = (kind: FactKind): number => RANK[kind]

/** The later of two moments. */
export const laterOf = (a: Instant, b: Instant): Instant => (a > b ? a : b)

/** The position of a fact in the ledger. */
export interface LedgerPosition {
  readonly occurredAt: Instant
  readonly rank: number
  readonly id: string
}

export const positionOf = (fact: Fact): LedgerPosition => ({
  occurredAt: fact.occurredAt,
  rank: rankOf(fact.kind),
  id: fact.id,
})

/** Negative when `a` comes before `b`. Ids are compared by code unit, as Postgres does under the C collation. */
export function comparePositions(a: LedgerPosition, b: LedgerPosition): number {
  if (a.occurredAt !== b.occurredAt) return a.occurredAt < b.occurredAt ? -1 : 1
  if (a.rank !== b.rank) return a.rank - b.rank
  if (a.id === b.id) return 0
  return a.id < b.id ? -1 : 1
}

/** Facts in ledger order, each id once. */
export function inLedgerOrder(facts: readonly Fact[]): Fact[] {
  const byId = new Map(facts.map((fact) => [fact.id, fact]))
  return [...byId.values()].sort((a, b) => comparePositions(positionOf(a), positionOf(b)))
}
