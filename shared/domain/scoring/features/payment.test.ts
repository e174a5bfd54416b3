import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import { viewOn } from "../../../../test/support/events/ledger.ts"
import type { Fact } from "../../facts.ts"
import { paymentFeatures } from "./payment.ts"

const NOW = 400
const featuresOf = (...facts: readonly Fact[]) => paymentFeatures(viewOn(NOW, facts))
/** A failed attempt so many days ago; each invoice has an id of its own. */
const failed = (daysAgo: number, given: Partial<Parameters<typeof make.paymentFailed>[0]> = {}) =>
  make.paymentFailed({ at: on(NOW - daysAgo), invoiceId: `in_${daysAgo}`, ...given })
const paid = (daysAgo: number, invoiceId: string, amountMinor = 1_999) =>
  make.paymentSucceeded({ at: on(NOW - daysAgo), invoiceId, amountMinor })

test("a customer without payments has no failures, and no share of them", () => {
  expect(featuresOf()).toEqual({
    payments: 0,
    failed_invoices_30d: 0,
    failed_invoices_90d: 0,
    failed_attempts_30d: 0,
    unrecovered_invoices_30d: 0,
    unrecovered_invoices_90d: 0,
    recovered_invoices_90d: 0,
    failure_share_365d: null,
    days_since_failure: null,
    new_card_needed: 0,
    new_card_90d: 0,
    refunds_180d: 0,
    disputes_365d: 0,
    price_class: null,
  })
})

describe("payments", () => {
  test("are invoices that were paid, with an amount", () => {
    expect(featuresOf(paid(80, "in_a"), paid(50, "in_b"), paid(20, "in_free", 0), failed(5)).payments).toBe(2)
  })

  test("count as failed for 30 and for 90 days, the last of them included", () => {
    expect(featuresOf(failed(91), failed(90), failed(31), failed(30), failed(1))).toMatchObject({
      failed_invoices_30d: 2,
      failed_invoices_90d: 4,
    })
    expect(featuresOf(paid(3, "in_a"))).toMatchObject({ failed_invoices_30d: 0, failed_invoices_90d: 0 })
  })

  test("are open while they are failed or written off, and recovered once they are paid", () => {
    expect(
      featuresOf(
        ...[failed(60), failed(20), failed(10), failed(9), failed(8)],
        make.invoiceUncollectible({ at: on(NOW - 5), invoiceId: "in_20" }),
        make.invoiceVoided({ at: on(NOW - 5), invoiceId: "in_9" }),
        paid(2, "in_8"),
      ),
    ).toMatchObject({ unrecovered_invoices_30d: 2, unrecovered_invoices_90d: 3, recovered_invoices_90d: 1 })
  })

  test("that failed long ago are not recovered recently", () => {
    expect(featuresOf(failed(91), paid(80, "in_91"))).toMatchObject({ recovered_invoices_90d: 0 })
  })
})

describe("failed attempts", () => {
  const byInvoice = (attempt: number) => failed(10 - attempt, { invoiceId: "in_1", attempt })
  const byCharge = (daysAgo: number) => make.chargeFailed({ at: on(NOW - daysAgo) })

  test.each<[string, readonly Fact[], number]>([
    ["are counted by the invoice", [byInvoice(1), byInvoice(2), byInvoice(3)], 3],
    [
      "are counted once, where invoice and charge both report them",
      [byInvoice(1), byInvoice(2), byCharge(9), byCharge(8)],
      2,
    ],
    ["are counted by the charge, where it reports more", [byInvoice(1), byCharge(9), byCharge(8)], 2],
    [
      "are the charge's, where they have an invoice and no number",
      [byInvoice(1), failed(9, { invoiceId: "in_1", attempt: null })],
      1,
    ],
    ["are the charge's, where they have a number and no invoice", [byInvoice(1), failed(9, { invoiceId: null })], 1],
    ["count for 30 days", [failed(30), failed(31)], 1],
  ])("%s", (_, facts, expected) => {
    expect(featuresOf(...facts).failed_attempts_30d).toBe(expected)
  })
})

describe("the share of the year's invoices that failed", () => {
  test.each<[string, readonly Fact[], number | null]>([
    [
      "counts those that were paid after all",
      [paid(9, "in_a"), paid(8, "in_b"), paid(7, "in_c"), failed(5), paid(4, "in_5")],
      0.25,
    ],
    ["is none where all were paid at once", [paid(9, "in_a")], 0],
    ["is all where all failed", [failed(9)], 1],
    ["goes back a year", [paid(365, "in_a"), failed(366), failed(10)], 0.5],
    ["counts a paid invoice by its failure", [failed(366), paid(300, "in_366"), paid(1, "in_a")], 0],
    ["is unknown without an invoice in the year", [failed(366)], null],
  ])("%s", (_, facts, share) => {
    expect(featuresOf(...facts).failure_share_365d).toBe(share)
  })
})

describe("a new card is needed", () => {
  const lost = (given: Partial<Parameters<typeof make.paymentFailed>[0]> = {}) =>
    failed(10, { declineCode: "lost_card", ...given })

  test.each<[string, readonly Fact[], 0 | 1]>([
    ["after a decline that the provider does not retry", [lost()], 1],
    ["but not after one that it retries", [failed(10, { declineCode: "insufficient_funds" })], 0],
    ["but not after a later decline that it retries", [lost(), failed(5, { declineCode: "insufficient_funds" })], 0],
    ["where the card was replaced before the decline", [make.cardAdded({ at: on(NOW - 11) }), lost()], 1],
    ["but not once a card was added", [lost(), make.cardAdded({ at: on(NOW - 10) })], 0],
    ["but not once the provider has updated it", [lost(), make.cardUpdatedByProvider({ at: on(NOW - 9) })], 0],
    ["but not once the invoice is paid", [lost(), paid(5, "in_10")], 0],
    ["while only another invoice is paid", [lost(), paid(5, "in_other")], 1],
    ["where the decline names no invoice", [lost({ invoiceId: null })], 1],
    ["where the decline names an invoice that is not known", [lost({ invoiceId: "constructor", amountMinor: 0 })], 1],
  ])("%s", (_, facts, expected) => {
    expect(featuresOf(...facts).new_card_needed).toBe(expected)
  })

  test("and is new for 90 days, whoever replaced it", () => {
    expect(featuresOf(make.cardAdded({ at: on(NOW - 90) })).new_card_90d).toBe(1)
    expect(featuresOf(make.cardUpdatedByProvider({ at: on(NOW - 3) })).new_card_90d).toBe(1)
    expect(featuresOf(make.cardAdded({ at: on(NOW - 91) })).new_card_90d).toBe(0)
  })
})

test("the last failure is the one whose days are counted", () => {
  expect(featuresOf(failed(40), failed(12)).days_since_failure).toBe(12)
})

describe("refunds and disputes", () => {
  const refund = (daysAgo: number, refs: { readonly invoiceId?: string | null; readonly chargeId?: string | null }) =>
    make.refunded({ at: on(NOW - daysAgo), amountMinor: 500, invoiceId: null, ...refs })

  test.each<[string, readonly Fact[], number]>([
    [
      "count once for each invoice",
      [refund(9, { invoiceId: "in_a" }), refund(8, { invoiceId: "in_a", chargeId: "ch_2" })],
      1,
    ],
    ["count by invoice", [refund(9, { invoiceId: "in_a" }), refund(8, { invoiceId: "in_b" })], 2],
    [
      "count once for each charge, where they name no invoice",
      [refund(9, { chargeId: "ch_1" }), refund(8, { chargeId: "ch_1" })],
      1,
    ],
    ["count one by one, where they name neither", [refund(9, {}), refund(8, {})], 2],
    ["count for 180 days", [refund(180, { invoiceId: "in_a" }), refund(181, { invoiceId: "in_b" })], 1],
    ["count from the first of an invoice", [refund(181, { invoiceId: "in_a" }), refund(20, { invoiceId: "in_a" })], 0],
  ])("of refunds: they %s", (_, facts, expected) => {
    expect(featuresOf(...facts).refunds_180d).toBe(expected)
  })

  test("a dispute counts once, for a year", () => {
    const dispute = (daysAgo: number, disputeId: string) => make.disputeOpened({ at: on(NOW - daysAgo), disputeId })
    expect(
      featuresOf(dispute(366, "dp_a"), dispute(365, "dp_b"), dispute(9, "dp_b"), dispute(3, "dp_c")).disputes_365d,
    ).toBe(2)
  })
})

test("the price class is that of the main subscription", () => {
  const subscription = make.subscription("subscription_started", { at: on(NOW - 9) })
  expect(featuresOf(subscription).price_class).toBe("up_to_30")
})
