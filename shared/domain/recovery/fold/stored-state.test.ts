/** What is stored, field by field: a field that no event states is absent, so that a state takes no more room than it needs. */
import { expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import { EMPTY_STATE } from "../../state.ts"
import { rebuild } from "../fold.ts"

const PAYMENT = {
  invoiceId: "in_1",
  subscriptionId: "sub_1",
  status: "failed",
  amountMinor: 1_999,
  currency: "usd",
  refs: [],
  isFirstInvoice: false,
  needsAuthentication: false,
  declineCode: null,
  failedAt: on(1),
  paidAt: null,
  how: null,
  refundedMinor: 0,
}

const CASE = {
  id: "payment_in_1",
  kind: "payment",
  status: "open",
  subscriptionId: "sub_1",
  invoiceId: "in_1",
  amountMinor: 1_999,
  currency: "usd",
  declineCode: null,
  needsAuthentication: false,
  invoiceFailures: [`1@${on(1)}`],
  chargeFailures: [],
  openedAt: on(1),
  closedAt: null,
  closeReason: null,
  recoveredMinor: 0,
  newCard: null,
  disputeId: null,
}

const OF_SUBSCRIPTION = { ...CASE, invoiceId: null, invoiceFailures: [] }

const SUBSCRIPTION = {
  id: "sub_1",
  status: "active",
  currency: "usd",
  items: [make.MONTHLY],
  startedAt: null,
  currentPeriodEnd: null,
  trialEnd: null,
  cancelAt: null,
  endedAt: null,
  endReason: null,
  paused: null,
  hasPaid: false,
}

const started = make.subscription("subscription_started", { at: on(0), id: "s" })
const failed = make.paymentFailed({ at: on(1), id: "f" })

test("a failed invoice", () => {
  expect(rebuild([failed])).toStrictEqual({
    ...EMPTY_STATE,
    payments: { in_1: PAYMENT },
    cases: [CASE],
    position: { occurredAt: on(1), rank: expect.any(Number), id: "f" },
  })
})

test("a failed invoice with all details of its bill", () => {
  const details = {
    billing: "one_off",
    collection: "manual",
    period: { start: on(0), end: on(30) },
    issuedAt: on(0),
    nextAttemptAt: on(4),
  } as const
  const { payments, cases } = rebuild([
    make.paymentFailed({ at: on(1), subscriptionId: null, chargeId: "ch_1", declineCode: "expired_card", ...details }),
  ])
  expect(payments).toStrictEqual({
    in_1: { ...PAYMENT, ...details, subscriptionId: null, refs: ["ch_1"], declineCode: "expired_card" },
  })
  expect(cases).toStrictEqual([
    {
      ...CASE,
      ...{ subscriptionId: null, billing: "one_off", collection: "manual", declineCode: "expired_card" },
    },
  ])
})

test("a failed invoice of which a part was credited and a part paid before", () => {
  const { payments, cases } = rebuild([
    make.paymentFailed({ at: on(1), amountMinor: 1_000, creditedMinor: 200, paidMinor: 300 }),
  ])
  expect(payments.in_1).toStrictEqual({ ...PAYMENT, amountMinor: 1_000, creditedMinor: 200, paidPartMinor: 300 })
  expect(cases).toStrictEqual([{ ...CASE, amountMinor: 1_000, paidBeforeMinor: 300 }])
})

test("an invoice that is paid after its failure", () => {
  const { payments, cases } = rebuild([started, failed, make.paymentSucceeded({ at: on(2) })])
  expect(payments.in_1).toStrictEqual({ ...PAYMENT, status: "succeeded", paidAt: on(2), how: "collected" })
  expect(cases).toStrictEqual([
    { ...CASE, status: "recovered", closedAt: on(2), closeReason: "paid", recoveredMinor: 1_999 },
  ])
})

test("an invoice of which only its authentication is known", () => {
  const { payments, cases } = rebuild([make.actionRequired({ at: on(1), chargeId: "ch_1" })])
  expect(payments).toStrictEqual({
    in_1: { ...PAYMENT, failedAt: null, refs: ["ch_1"], needsAuthentication: true },
  })
  expect(cases).toStrictEqual([])
})

test("a subscription", () => {
  expect(rebuild([started]).subscriptions).toStrictEqual({ sub_1: SUBSCRIPTION })
})

test("a subscription with an end and a pause", () => {
  const { subscriptions } = rebuild([
    started,
    make.subscription("subscription_paused", {
      at: on(1),
      ...{ paused: "requested", pauseEndsAt: on(9), cancelAt: on(30), endBy: "member", startedAt: on(-9) },
    }),
  ])
  expect(subscriptions).toStrictEqual({
    sub_1: {
      ...SUBSCRIPTION,
      ...{ paused: "requested", pauseEndsAt: on(9), cancelAt: on(30), endBy: "member", startedAt: on(-9) },
    },
  })
})

test("a subscription that was free", () => {
  const items = [{ ...make.MONTHLY, unitAmountMinor: 0 }]
  const { subscriptions } = rebuild([make.subscription("subscription_started", { at: on(0), items })])
  expect(subscriptions).toStrictEqual({ sub_1: { ...SUBSCRIPTION, items, wasFree: true } })
})

test("a cancellation", () => {
  expect(rebuild([started, make.cancellationAnnounced({ at: on(1) })]).cases).toStrictEqual([
    { ...OF_SUBSCRIPTION, id: "cancellation_sub_1_1", kind: "cancellation" },
  ])
})

test("a member at risk", () => {
  expect(rebuild([started, make.riskDetected({ at: on(1), probability: 0.4 })]).cases).toStrictEqual([
    { ...OF_SUBSCRIPTION, id: "at_risk_sub_1", kind: "at_risk", risk: { probability: 0.4, until: on(31) } },
  ])
})

test("imported failures, and a live one after them", () => {
  const imported = make.paymentFailed({ at: on(1), origin: "history" })
  expect(rebuild([imported]).cases).toStrictEqual([
    { ...CASE, knownFrom: "history", invoiceFailures: [`imported 1@${on(1)}`] },
  ])
  const live = make.paymentFailed({ at: on(2), attempt: 2 })
  expect(rebuild([imported, live]).cases).toStrictEqual([
    { ...CASE, invoiceFailures: [`2@${on(2)}`, `imported 1@${on(1)}`] },
  ])
})
