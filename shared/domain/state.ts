/**
 * What the ledger of one customer says now. Plain data, the same for the same set of facts whatever order they came in.
 * `outreach` is what we did ourselves; it never changes the rest, so our own receipts need no refold.
 */
import type {
  Arm,
  ChannelName,
  EndBy,
  EndReason,
  FactOrigin,
  Incentive,
  Instant,
  LedgerPosition,
  PreviousAttributes,
  ServicePeriod,
  SubscriptionItem,
  SubscriptionStatus,
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
  /** Whose wish the end at `cancelAt` is, and when a requested pause ends; absent where nobody said. */
  readonly endBy?: EndBy
  readonly pauseEndsAt?: Instant
  /** The end that is announced belongs to a change of plan: another subscription had just been started. */
  readonly isSwitch?: true
  /** The plan cost nothing when it was last free, and nothing was ever paid: the first real bill is a sale. */
  readonly wasFree?: true
  /** The changes of the latest second, to order its snapshots; absent where no event said what it replaced. */
  readonly second?: SameSecondChanges
  /** Two snapshots of this second contradict each other, and nothing says which is the later: the provider has to be asked. */
  readonly unsettledAt?: Instant
  /** A payment of more than nothing has succeeded: from here on, losing it is churn. */
  readonly hasPaid: boolean
  /** How many closed cancellation cases of it were dropped (see `fold/bounds.ts`); absent while none was. */
  readonly droppedEpisodes?: number
}

/** What the events of one second changed, each as before and after; `base` is what was so before that second. */
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
  /** Null: no event stated an amount that could be read. */
  readonly currency: string | null
  /** Ids of charges and payment intents that were seen for it, sorted. */
  readonly refs: readonly string[]
  readonly isFirstInvoice: boolean
  readonly needsAuthentication: boolean
  readonly declineCode: string | null
  readonly failedAt: Instant | null
  readonly paidAt: Instant | null
  readonly how: "collected" | "out_of_band" | null
  readonly refundedMinor: number
  /** The largest total of refunds that a charge told of, and the refunds that told of themselves, by id. */
  readonly refundTotalMinor?: number
  readonly refunds?: Readonly<Record<string, { readonly amountMinor: number; readonly hasFailed: boolean }>>
  /** What was paid and credited of the invoice when it last stated its amount; absent: nothing. */
  readonly paidPartMinor?: number
  readonly creditedMinor?: number
  /** Credit notes and part payments that told of themselves, by id. */
  readonly credits?: Readonly<Record<string, number>>
  readonly parts?: Readonly<Record<string, number>>
  readonly billing?: "one_off" | "change"
  readonly collection?: "manual"
  readonly period?: ServicePeriod
  /** When the invoice was made, and when the provider tries again; absent where nobody said, null: never. */
  readonly issuedAt?: Instant
  readonly nextAttemptAt?: Instant | null
  readonly voidedAt?: Instant
  /** The invoice that took this one's place. */
  readonly reissuedAs?: string
}

/** A payment whose result is days away: a bank debit under way, or a voucher that can still be paid. */
export interface PendingPayment {
  /** Null: no event has tied it to an invoice. */
  readonly invoiceId: string | null
  readonly refs: readonly string[]
  /** Null: no event says how much. */
  readonly amountMinor: number | null
  readonly currency: string | null
  readonly since: Instant
  /** From then on it counts as timed out. */
  readonly until: Instant
}

export type CaseKind = "payment" | "cancellation" | "at_risk"
export type CaseStatus = "open" | "recovered" | "lost" | "reversed"

/** Why a case was closed, as far as the provider's facts tell; who gets the credit is `causeOf`'s question. */
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
  /** What is still to be paid, where a part was paid since the case opened; absent: all of `amountMinor`. */
  readonly remainingMinor?: number
  /** What had been paid of the invoice before the case opened; absent: nothing. */
  readonly paidBeforeMinor?: number
  /** The invoice belongs to no subscription. Absent: it does. */
  readonly billing?: "one_off"
  /** The member pays it by hand. Absent: it is charged automatically. */
  readonly collection?: "manual"
  readonly declineCode: string | null
  readonly needsAuthentication: boolean
  /** Failed attempts that invoices told of, and those that charges told of; the same attempt is usually told twice. */
  readonly invoiceFailures: readonly string[]
  readonly chargeFailures: readonly string[]
  readonly openedAt: Instant
  readonly closedAt: Instant | null
  readonly closeReason: CloseReason | null
  /** What was paid, while the case stands as recovered; nothing is counted once a chargeback took it back. */
  readonly recoveredMinor: number
  /** Who put a new card in between the opening and the payment, if anybody did. */
  readonly newCard: "by_provider" | "by_member" | null
  readonly disputeId: string | null
  /** When it was last heard of in another way than by a failure: its amounts changed, or it waits for authentication. */
  readonly heardAt?: Instant
  /** All bad news of it was imported: nobody is nudged for the past. Absent once live news of it came. */
  readonly knownFrom?: FactOrigin
  /** Of an `at_risk` case: what was feared when it opened, and until when. */
  readonly risk?: { readonly probability: number; readonly until: Instant }
}

/** A charge or payment intent whose invoice is not known yet (since 2025-03-31 Stripe's charges do not name it). */
export interface UnmatchedPayment {
  readonly outcome: "failed" | "succeeded"
  readonly refs: readonly string[]
  /** Null where the event states no amount; then only ids pair it with an invoice. */
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

/** The draw of a case: the first one counts, so that it stays when the share changes. */
export interface Assignment {
  readonly id: string
  readonly caseId: string
  readonly arm: Arm
  readonly percentage: number
  readonly at: Instant
}

/** The clicks of one case on one day (UTC), of which the last and, where there were more, the first is kept. */
export interface Click {
  /** Of the last one. */
  readonly id: string
  readonly caseId: string
  readonly at: Instant
  readonly firstAt?: Instant
}

/** What was sent, clicked, given and drawn: the newest of each, within `OUTREACH_BOUNDS`. */
export interface Outreach {
  /** Absent while no case was drawn: what is stored from before there was a hold-out stays as it is. */
  readonly assignments?: readonly Assignment[]
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

/** How much of one meter was used in all, and when it was last told of. */
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
  /** By meter. Absent while nobody told of any use. */
  readonly usage?: Readonly<Record<string, UsageState>>
  readonly outreach: Outreach
  /**
   * How often something was not taken into the state because it holds as many as it may; absent while nothing was. The
   * customer needs a person's attention then.
   */
  readonly refused?: { readonly cases?: number; readonly subscriptions?: number }
  /** The last fact, outreach apart, that is folded in; null at the beginning. */
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

/** How often the provider tried and failed: the larger of what invoices and what charges tell. */
export const failureCountOf = (recoveryCase: CaseState): number =>
  Math.max(recoveryCase.invoiceFailures.length, recoveryCase.chargeFailures.length)

/** What the member is asked to pay in this case. */
export const owedMinorOf = ({ remainingMinor, amountMinor }: CaseState): number => remainingMinor ?? amountMinor

/** True for a failed payment that nobody has told the reason of yet. */
export const isDeclineReasonMissing = ({ kind, declineCode, needsAuthentication }: CaseState): boolean =>
  kind === "payment" && declineCode === null && !needsAuthentication

/**
 * The entry of that id. Ids are the provider's words: one such as `constructor` must not find what every object inherits.
 */
const entryOf = <T>(record: Readonly<Record<string, T>>, id: string | null): T | undefined =>
  id !== null && Object.hasOwn(record, id) ? record[id] : undefined

/** The payment of an invoice, if one is known. */
export const paymentOf = (state: Pick<CustomerState, "payments">, invoiceId: string | null): PaymentState | undefined =>
  entryOf(state.payments, invoiceId)

/** The subscription with that id, if one is known. */
export const subscriptionOf = (
  state: Pick<CustomerState, "subscriptions">,
  subscriptionId: string | null,
): SubscriptionState | undefined => entryOf(state.subscriptions, subscriptionId)

/** The case with that id, if the state has it. */
export const findCase = (state: CustomerState, caseId: string): CaseState | undefined =>
  state.cases.find((candidate) => candidate.id === caseId)

/** The draw of a case; undefined for one that opened before there was a hold-out, or that nobody saw open: it counts as treated. */
export const assignmentOf = (
  { outreach }: { readonly outreach: Pick<Outreach, "assignments"> },
  caseId: string,
): Assignment | undefined => outreach.assignments?.find((assignment) => assignment.caseId === caseId)

/** True for a case that gets no nudge and no incentive, so that the others can be compared with it. */
export const isHeldOut = (state: CustomerState, caseId: string): boolean =>
  assignmentOf(state, caseId)?.arm === "held_out"
