/**
 * The state of one customer: the same for the same set of facts, in any order of arrival. `outreach` is what we did; no
 * other field depends on it, so our own receipts need no refold.
 * Over 300 lines: the types refer to each other and are stored together, as one JSON document.
 */
import {
  type Arm,
  type ChannelName,
  type EndBy,
  type EndReason,
  type FactOrigin,
  type Incentive,
  type Instant,
  type LedgerPosition,
  laterOf,
  type PreviousAttributes,
  type ServicePeriod,
  type SubscriptionItem,
  type SubscriptionStatus,
} from "./facts.ts"

export interface Profile {
  readonly hasEmail: boolean
  readonly hasPhone: boolean
  readonly timeZone: string | null
  readonly locale: string | null
  readonly isDeleted: boolean
  readonly cardAddedAt: Instant | null
  readonly cardUpdatedByProviderAt: Instant | null
}

export interface SubscriptionState {
  readonly id: string
  readonly status: SubscriptionStatus
  readonly currency: string | null
  readonly items: readonly SubscriptionItem[]
  readonly startedAt: Instant | null
  readonly currentPeriodEnd: Instant | null
  readonly trialEnd: Instant | null
  readonly cancelAt: Instant | null
  readonly endedAt: Instant | null
  readonly endReason: EndReason | null
  readonly paused: "requested" | "payment_failure" | null
  /** Who asked for the end at `cancelAt`, and when a requested pause ends; absent where no event states it. */
  readonly endBy?: EndBy
  readonly pauseEndsAt?: Instant
  /** The announced end belongs to a change of plan: another subscription had just been started. */
  readonly isSwitch?: true
  /** The plan was free at some time, and nothing has ever been paid: the first bill above zero is a sale. */
  readonly wasFree?: true
  /** The changes of the latest second, to order its snapshots; absent where no event stated previous attributes. */
  readonly second?: SameSecondChanges
  /** Two snapshots of this second contradict each other, and their order is unknown: the provider's API has to be called. */
  readonly unsettledAt?: Instant
  /** A payment above zero has succeeded: from then on, losing the subscription is churn. */
  readonly hasPaid: boolean
  /** How many of its closed cancellation cases were dropped (see `fold/bounds.ts`); absent for none. */
  readonly droppedEpisodes?: number
}

/** What the events of one second changed, each as before and after; `base` is the subscription before that second. */
export interface SameSecondChanges {
  readonly at: Instant
  readonly base: PreviousAttributes
  readonly changes: readonly { readonly from: PreviousAttributes; readonly to: PreviousAttributes }[]
}

export type PaymentStatus = "failed" | "succeeded" | "voided" | "uncollectible"

/** One bill: an invoice at Stripe, a payment at Whop. */
export interface PaymentState {
  readonly invoiceId: string
  readonly subscriptionId: string | null
  readonly status: PaymentStatus
  /** Zero while the amount is not known; see `currency`. */
  readonly amountMinor: number
  /** Null: no event stated an amount that could be parsed. */
  readonly currency: string | null
  /** Ids of its charges and payment intents, sorted. */
  readonly refs: readonly string[]
  readonly isFirstInvoice: boolean
  readonly needsAuthentication: boolean
  readonly declineCode: string | null
  readonly failedAt: Instant | null
  readonly paidAt: Instant | null
  readonly how: "collected" | "out_of_band" | null
  readonly refundedMinor: number
  /** The largest refund total that a charge reported, and the refunds with events of their own, by id. */
  readonly refundTotalMinor?: number
  readonly refunds?: Readonly<Record<string, { readonly amountMinor: number; readonly hasFailed: boolean }>>
  /** The disputed amounts that were withdrawn, by dispute; absent: none, or the whole payment of an older state. */
  readonly disputes?: Readonly<Record<string, number>>
  /** What had been paid and credited of the invoice when it last stated its amount; absent: nothing. */
  readonly paidPartMinor?: number
  readonly creditedMinor?: number
  /** Credit notes and part payments with events of their own, by id. */
  readonly credits?: Readonly<Record<string, number>>
  readonly parts?: Readonly<Record<string, number>>
  readonly billing?: "one_off" | "change"
  readonly collection?: "manual"
  readonly period?: ServicePeriod
  /** When the invoice was created, and when the provider tries again; absent where no event states it, null: never. */
  readonly issuedAt?: Instant
  readonly nextAttemptAt?: Instant | null
  readonly voidedAt?: Instant
  /** The invoice that replaces this one. */
  readonly reissuedAs?: string
}

/** A payment whose result takes days: a bank debit in progress, or a voucher that can still be paid. */
export interface PendingPayment {
  /** Null: no event links it to an invoice. */
  readonly invoiceId: string | null
  readonly refs: readonly string[]
  /** Null: no event states the amount. */
  readonly amountMinor: number | null
  readonly currency: string | null
  readonly since: Instant
  /** When it times out. */
  readonly until: Instant
}

export type CaseKind = "payment" | "cancellation" | "at_risk"
export type CaseStatus = "open" | "recovered" | "lost" | "reversed"

/** Why a case was closed, according to the provider's facts; `causeOf` decides what it is credited to. */
export type CloseReason =
  | "paid"
  | "resumed"
  | "provider_gave_up"
  | "voided"
  | "uncollectible"
  | "subscription_ended"
  | "dispute"
  | "closed_by_operator"
  | "risk_fell"
  | "stayed"
  | "cancellation_announced"
  | "waived"
  | "refunded"
  | "switched"
  | "lapsed"

export interface CaseState {
  readonly id: string
  readonly kind: CaseKind
  readonly status: CaseStatus
  readonly subscriptionId: string | null
  readonly invoiceId: string | null
  /** Zero while the amount is not known; see `currency`. */
  readonly amountMinor: number
  /** Null: the amount at stake is not known. */
  readonly currency: string | null
  /** What remains to be paid, where a part was paid since the case opened; absent: all of `amountMinor`. */
  readonly remainingMinor?: number
  /** What had been paid of the invoice before the case opened; absent: nothing. */
  readonly paidBeforeMinor?: number
  /** The invoice belongs to no subscription. Absent: it does. */
  readonly billing?: "one_off"
  /** The member pays it manually. Absent: it is charged automatically. */
  readonly collection?: "manual"
  readonly declineCode: string | null
  readonly needsAuthentication: boolean
  /** Failed attempts reported by invoice events, and those reported by charge events; most attempts are reported by both. */
  readonly invoiceFailures: readonly string[]
  readonly chargeFailures: readonly string[]
  readonly openedAt: Instant
  readonly closedAt: Instant | null
  readonly closeReason: CloseReason | null
  /** What was paid, while the case is recovered; zero after a chargeback. */
  readonly recoveredMinor: number
  /** Who replaced the card between the opening and the payment; null: nobody did. */
  readonly newCard: "by_provider" | "by_member" | null
  readonly disputeId: string | null
  /** The last news other than a failure: its amounts changed, or it needs authentication. */
  readonly heardAt?: Instant
  /** All its failures and announcements were imported: nobody is nudged for the past. Absent once one was live. */
  readonly knownFrom?: FactOrigin
  /** Of an `at_risk` case: the probability of leaving when it opened, and the end of the horizon. */
  readonly risk?: { readonly probability: number; readonly until: Instant }
}

/** A charge or payment intent whose invoice is not known yet (since 2025-03-31 Stripe's charges do not name it). */
export interface UnmatchedPayment {
  readonly outcome: "failed" | "succeeded"
  readonly refs: readonly string[]
  /** Null where the event states no amount; then only ids match it to an invoice. */
  readonly amountMinor: number | null
  readonly currency: string | null
  readonly declineCode: string | null
  readonly at: Instant
  readonly origin?: FactOrigin
}

export interface OutreachContact {
  readonly id: string
  readonly caseId: string
  readonly channel: ChannelName
  readonly at: Instant
}

/** The assignment of a case to an arm: the first one counts, so that it does not change with the percentage. */
export interface Assignment {
  readonly id: string
  readonly caseId: string
  readonly arm: Arm
  readonly percentage: number
  readonly at: Instant
}

/** The variant of a template that a case gets: the first assignment of a comparison counts. */
export interface VariantAssignment {
  readonly id: string
  readonly caseId: string
  readonly experimentId: string
  readonly variant: string
  readonly at: Instant
}

/** The clicks of one case on one day (UTC): the last and, where there were more, the first. */
export interface Click {
  /** The id of the last one. */
  readonly id: string
  readonly caseId: string
  readonly at: Instant
  readonly firstAt?: Instant
}

/** Assignments, messages sent, clicks and incentives: the newest of each, within `OUTREACH_BOUNDS`. */
export interface Outreach {
  /** Absent while no case is assigned, as in states stored before the hold-out existed. */
  readonly assignments?: readonly Assignment[]
  /** Absent while no case is part of a comparison of templates. */
  readonly variants?: readonly VariantAssignment[]
  readonly sent: readonly OutreachContact[]
  readonly clicks: readonly Click[]
  readonly incentives: readonly {
    readonly id: string
    readonly caseId: string
    readonly incentive: Incentive
    readonly at: Instant
  }[]
  readonly optedOutAt: Instant | null
}

/** The total usage of one meter, and the time of its last record. */
export interface UsageState {
  readonly total: number
  readonly at: Instant
}

export interface CustomerState {
  readonly profile: Profile
  readonly subscriptions: Readonly<Record<string, SubscriptionState>>
  readonly payments: Readonly<Record<string, PaymentState>>
  /** In the order in which they were opened. */
  readonly cases: readonly CaseState[]
  readonly loose: readonly UnmatchedPayment[]
  /** Payments in progress. Absent while there are none. */
  readonly pending?: readonly PendingPayment[]
  /** By meter. Absent while no usage was recorded. */
  readonly usage?: Readonly<Record<string, UsageState>>
  readonly outreach: Outreach
  /**
   * How often something was not added because the state is at its bound; absent: never. The customer then needs an
   * operator's attention.
   */
  readonly refused?: { readonly cases?: number; readonly subscriptions?: number }
  /** The last folded fact that is not outreach; null at the beginning. */
  readonly position: LedgerPosition | null
}

export const EMPTY_STATE: CustomerState = {
  profile: {
    hasEmail: false,
    hasPhone: false,
    timeZone: null,
    locale: null,
    isDeleted: false,
    cardAddedAt: null,
    cardUpdatedByProviderAt: null,
  },
  subscriptions: {},
  payments: {},
  cases: [],
  loose: [],
  outreach: { sent: [], clicks: [], incentives: [], optedOutAt: null },
  position: null,
}

/** How many attempts of the provider failed: the larger of the counts from invoices and from charges. */
export const failureCountOf = (recoveryCase: CaseState): number =>
  Math.max(recoveryCase.invoiceFailures.length, recoveryCase.chargeFailures.length)

/** What remains to be paid in this case. */
export const owedMinorOf = ({ remainingMinor, amountMinor }: CaseState): number => remainingMinor ?? amountMinor

/** True for a failed payment whose decline reason is not known yet. */
export const isDeclineReasonMissing = ({ kind, declineCode, needsAuthentication }: CaseState): boolean =>
  kind === "payment" && declineCode === null && !needsAuthentication

/**
 * The entry of that id. Ids come from outside: `constructor` must not find an inherited property.
 */
const entryOf = <T>(record: Readonly<Record<string, T>>, id: string | null): T | undefined =>
  id !== null && Object.hasOwn(record, id) ? record[id] : undefined

/** The payment of an invoice, if it is known. */
export const paymentOf = (state: Pick<CustomerState, "payments">, invoiceId: string | null): PaymentState | undefined =>
  entryOf(state.payments, invoiceId)

/** The subscription with that id, if it is known. */
export const subscriptionOf = (
  state: Pick<CustomerState, "subscriptions">,
  subscriptionId: string | null,
): SubscriptionState | undefined => entryOf(state.subscriptions, subscriptionId)

/** The total usage of a meter; 0 if none was recorded. */
export const usedOf = ({ usage }: Pick<CustomerState, "usage">, meter: string): number =>
  entryOf(usage ?? {}, meter)?.total ?? 0

/** When a customer started to pay for a subscription: after the trial, if there was one; null: not known. */
export const payingSince = ({ startedAt, trialEnd }: SubscriptionState): Instant | null =>
  startedAt === null ? null : laterOf(startedAt, trialEnd ?? startedAt)

/** The case with that id, if the state has it. */
export const findCase = (state: CustomerState, caseId: string): CaseState | undefined =>
  state.cases.find((candidate) => candidate.id === caseId)

/** The assignment of a case; undefined for one that opened before the hold-out existed, or was not assigned then: it counts as treated. */
export const assignmentOf = (
  { outreach }: { readonly outreach: Pick<Outreach, "assignments"> },
  caseId: string,
): Assignment | undefined => outreach.assignments?.find((assignment) => assignment.caseId === caseId)

/** True for a case of the control group: it gets no nudge and no incentive. */
export const isHeldOut = (state: CustomerState, caseId: string): boolean =>
  assignmentOf(state, caseId)?.arm === "held_out"
