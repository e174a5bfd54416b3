/** Builders of facts with defaults of one monthly customer. Over 300 lines: one builder for each kind of fact. */
import type {
  Fact,
  FactKind,
  Instant,
  PreviousAttributes,
  SubscriptionItem,
  SubscriptionSnapshot,
} from "../../../shared/domain/facts.ts"

type Body<K extends FactKind> = Omit<Extract<Fact, { kind: K }>, "kind" | "id" | "occurredAt">
type Given<K extends FactKind> = Partial<Body<K>> & Stamp

interface Stamp {
  readonly at: Instant
  /** Orders facts of one kind and second; without it facts are numbered as they are made. */
  readonly id?: string | undefined
}

/** A time in the test's month; day 0 is Monday, 2 March 2026. */
export const on = (day: number, time = "10:00:00"): Instant => {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(":").map(Number)
  return new Date(Date.UTC(2026, 2, 2 + day, hours, minutes, seconds)).toISOString()
}

let made = 0
const stamp = ({ at, id }: Stamp) => ({ id: id ?? `fact_${String(++made).padStart(6, "0")}`, occurredAt: at })

const BILL = {
  invoiceId: "in_1",
  subscriptionId: "sub_1",
  chargeId: null,
  paymentIntentId: null,
  amountMinor: 1_999,
  currency: "usd",
} as const

const REFS = { invoiceId: "in_1", subscriptionId: "sub_1", chargeId: null, paymentIntentId: null } as const
const WITHOUT_REFS = { ...BILL, invoiceId: null, subscriptionId: null } as const

/** A failed attempt reported by the invoice. */
export const paymentFailed = ({ at, id, ...given }: Given<"payment_failed">): Fact => ({
  kind: "payment_failed",
  ...BILL,
  attempt: 1,
  declineCode: null,
  isFirstInvoice: false,
  ...given,
  ...stamp({ at, id }),
})

/** A failed attempt reported by a charge or payment intent, which does not name its invoice since API version basil. */
export const chargeFailed = (given: Given<"payment_failed">): Fact =>
  paymentFailed({ ...WITHOUT_REFS, attempt: null, ...given })

export const paymentSucceeded = ({ at, id, ...given }: Given<"payment_succeeded">): Fact => ({
  kind: "payment_succeeded",
  ...BILL,
  how: "collected",
  ...given,
  ...stamp({ at, id }),
})

export const chargeSucceeded = (given: Given<"payment_succeeded">): Fact =>
  paymentSucceeded({ ...WITHOUT_REFS, ...given })

export const actionRequired = ({ at, id, ...given }: Given<"payment_action_required">): Fact => ({
  kind: "payment_action_required",
  ...BILL,
  ...given,
  ...stamp({ at, id }),
})

export const refunded = ({ at, id, ...given }: Given<"payment_refunded">): Fact => ({
  kind: "payment_refunded",
  ...BILL,
  ...given,
  ...stamp({ at, id }),
})

export const refundFailed = ({ at, id, ...given }: Given<"refund_failed">): Fact => ({
  kind: "refund_failed",
  ...BILL,
  refundId: "re_1",
  ...given,
  ...stamp({ at, id }),
})

export const paymentPending = ({ at, id, ...given }: Given<"payment_pending">): Fact => ({
  kind: "payment_pending",
  ...BILL,
  method: null,
  expiresAt: null,
  ...given,
  ...stamp({ at, id }),
})

export const paymentCanceled = ({ at, id, ...given }: Given<"payment_canceled">): Fact => ({
  kind: "payment_canceled",
  ...REFS,
  ...given,
  ...stamp({ at, id }),
})

export const subscriptionNotFound = ({ at, id, ...given }: Given<"subscription_not_found">): Fact => ({
  kind: "subscription_not_found",
  subscriptionId: "sub_1",
  ...given,
  ...stamp({ at, id }),
})

export const invoiceChanged = ({ at, id, ...given }: Given<"invoice_changed">): Fact => ({
  kind: "invoice_changed",
  ...BILL,
  ...given,
  ...stamp({ at, id }),
})

export const invoiceCredited = ({ at, id, ...given }: Given<"invoice_credited">): Fact => ({
  kind: "invoice_credited",
  ...BILL,
  creditNoteId: "cn_1",
  isVoided: false,
  ...given,
  ...stamp({ at, id }),
})

export const invoiceReissued = ({ at, id, ...given }: Given<"invoice_reissued">): Fact => ({
  kind: "invoice_reissued",
  ...REFS,
  replaces: "in_1",
  ...given,
  ...stamp({ at, id }),
})

export const caseLapsed = ({ at, id, ...given }: Given<"case_lapsed">): Fact => ({
  kind: "case_lapsed",
  caseId: NUDGE.caseId,
  ...given,
  ...stamp({ at, id }),
})

export const invoiceVoided = ({ at, id, ...given }: Given<"invoice_voided">): Fact => ({
  kind: "invoice_voided",
  ...REFS,
  ...given,
  ...stamp({ at, id }),
})

export const invoiceUncollectible = ({ at, id, ...given }: Given<"invoice_uncollectible">): Fact => ({
  kind: "invoice_uncollectible",
  ...REFS,
  ...given,
  ...stamp({ at, id }),
})

export const disputeOpened = ({ at, id, ...given }: Given<"dispute_opened">): Fact => ({
  kind: "dispute_opened",
  ...BILL,
  disputeId: "dp_1",
  reason: null,
  isInquiry: false,
  ...given,
  ...stamp({ at, id }),
})

export const disputeClosed = ({ at, id, ...given }: Given<"dispute_closed">): Fact => ({
  kind: "dispute_closed",
  ...BILL,
  disputeId: "dp_1",
  outcome: "won",
  ...given,
  ...stamp({ at, id }),
})

export const MONTHLY: SubscriptionItem = {
  priceId: "price_1",
  productId: "prod_1",
  unitAmountMinor: 1_999,
  quantity: 1,
  interval: "month",
  intervalCount: 1,
  usageType: "licensed",
}

type SubscriptionKind = Extract<Fact, { readonly subscription: SubscriptionSnapshot }>["kind"]
type SubscriptionGiven = Partial<SubscriptionSnapshot> & Stamp & { readonly replaced?: PreviousAttributes }

/** A fact of that kind about a subscription; the end and the scheduled cancellation have their own builders. */
export const subscription = (
  kind: Exclude<SubscriptionKind, "subscription_ended" | "cancellation_announced">,
  { at, id, replaced, ...given }: SubscriptionGiven,
): Fact => ({ kind, subscription: snapshot(given), ...(replaced && { replaced }), ...stamp({ at, id }) })

export const cancellationAnnounced = ({ at, id, replaced, ...given }: SubscriptionGiven): Fact => ({
  kind: "cancellation_announced",
  ...(replaced && { replaced }),
  subscription: snapshot({ cancelAt: on(30), ...given }),
  reason: null,
  ...stamp({ at, id }),
})

export const subscriptionEnded = ({ at, id, ...given }: SubscriptionGiven): Fact => ({
  kind: "subscription_ended",
  subscription: snapshot({ status: "canceled", ...given }),
  reason: "requested",
  ...stamp({ at, id }),
})

const snapshot = (given: Partial<SubscriptionSnapshot>): SubscriptionSnapshot => ({
  subscriptionId: "sub_1",
  status: "active",
  currency: "usd",
  items: [MONTHLY],
  startedAt: null,
  currentPeriodEnd: null,
  trialEnd: null,
  cancelAt: null,
  endedAt: null,
  paused: null,
  ...given,
})

export const customerSeen = ({ at, id, ...given }: Given<"customer_seen">): Fact => ({
  kind: "customer_seen",
  ...given,
  ...stamp({ at, id }),
})

export const cardAdded = ({ at, id }: Stamp): Fact => ({
  kind: "payment_method_added",
  paymentMethodId: "pm_1",
  ...stamp({ at, id }),
})

export const cardUpdatedByProvider = ({ at, id }: Stamp): Fact => ({
  kind: "payment_method_updated_by_provider",
  paymentMethodId: "pm_1",
  ...stamp({ at, id }),
})

const NUDGE = { nudgeId: "payment_in_1.0.email", caseId: "payment_in_1", step: 0, channel: "email" } as const

export const nudgeSent = ({ at, id, ...given }: Given<"nudge_sent">): Fact => ({
  kind: "nudge_sent",
  ...NUDGE,
  providerMessageId: null,
  ...given,
  ...stamp({ at, id }),
})

export const riskDetected = ({ at, id, ...given }: Given<"risk_detected">): Fact => ({
  kind: "risk_detected",
  caseId: "at_risk_sub_1",
  subscriptionId: "sub_1",
  probability: 0.3,
  uplift: 0.03,
  upliftSource: "assumed",
  expectedValueMinor: 200,
  predictionId: "prediction_1",
  modelVersion: "model_1",
  asOf: at,
  until: new Date(Date.parse(at) + 30 * 86_400_000).toISOString(),
  ...given,
  ...stamp({ at, id }),
})

export const riskPassed = ({ at, id, ...given }: Given<"risk_passed">): Fact => ({
  kind: "risk_passed",
  caseId: "at_risk_sub_1",
  why: "stayed",
  ...given,
  ...stamp({ at, id }),
})

export const caseAssigned = ({ at, id, ...given }: Given<"case_assigned">): Fact => ({
  kind: "case_assigned",
  caseId: NUDGE.caseId,
  arm: "held_out",
  percentage: 10,
  ...given,
  ...stamp({ at, id }),
})

export const variantAssigned = ({ at, id, ...given }: Given<"variant_assigned">): Fact => ({
  kind: "variant_assigned",
  caseId: NUDGE.caseId,
  templateId: "template_1",
  experimentId: "experiment_1",
  variant: "short",
  ...given,
  ...stamp({ at, id }),
})

export const linkClicked = ({ at, id, ...given }: Given<"link_clicked">): Fact => ({
  kind: "link_clicked",
  caseId: NUDGE.caseId,
  nudgeId: NUDGE.nudgeId,
  ...given,
  ...stamp({ at, id }),
})

export const optedOut = ({ at, id, ...given }: Given<"opted_out">): Fact => ({
  kind: "opted_out",
  caseId: null,
  via: "one_click",
  ...given,
  ...stamp({ at, id }),
})

export const incentiveApplied = ({ at, id, ...given }: Given<"incentive_applied">): Fact => ({
  kind: "incentive_applied",
  caseId: NUDGE.caseId,
  incentive: { kind: "discount", percentOff: 20, months: 2 },
  providerReceiptId: null,
  ...given,
  ...stamp({ at, id }),
})

export const closedByOperator = ({ at, id, ...given }: Given<"case_closed_by_operator">): Fact => ({
  kind: "case_closed_by_operator",
  caseId: NUDGE.caseId,
  note: null,
  ...given,
  ...stamp({ at, id }),
})
