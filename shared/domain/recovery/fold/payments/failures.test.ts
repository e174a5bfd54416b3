import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import type { Fact } from "../../../facts.ts"
import { findCase, paymentOf } from "../../../state.ts"
import { rebuild } from "../../fold.ts"

const { paymentFailed } = make
const paymentAfter = (...facts: readonly Fact[]) => paymentOf(rebuild(facts), "in_1")
const BARE = { at: on(-30), invoiceId: "in_0" }
const caseAfter = (...facts: readonly Fact[]) => findCase(rebuild(facts), "payment_in_1")

describe("the amounts of a bill are stated by its own failures", () => {
  const statement = { amountMinor: 900, paidMinor: 100, creditedMinor: 50 }
  const first = paymentFailed({ at: on(1), amountMinor: 1_000 })

  test.each([
    ["with an attempt", { attempt: 2, chargeId: "ch_1" }],
    ["without an attempt or a charge, as at Whop", { attempt: null }],
  ])("%s", (_, given) => {
    expect(paymentAfter(first, paymentFailed({ at: on(2), ...statement, ...given }))).toMatchObject({
      ...{ paidPartMinor: 100, creditedMinor: 50 },
    })
  })

  test.each([
    ["a charge that names its invoice", { chargeId: "ch_1" }],
    ["a payment intent that names its invoice", { paymentIntentId: "pi_1" }],
  ])("and not by those of %s", (_, given) => {
    const charge = paymentFailed({ at: on(2), attempt: null, ...statement, ...given })
    expect(paymentAfter(first, charge)).not.toHaveProperty("paidPartMinor")
    expect(paymentAfter(first, charge)).not.toHaveProperty("creditedMinor")
    expect(caseAfter(first, charge)).toMatchObject({ amountMinor: 1_000 })
  })

  test.each([
    ["an amount without a currency", { amountMinor: 500, currency: null }],
    ["a currency without an amount", { amountMinor: null, currency: "usd" }],
  ])("and not where they state %s", (_, given) => {
    expect(paymentAfter(first, paymentFailed({ at: on(2), attempt: 2, ...given }))).toMatchObject({
      ...{ amountMinor: 1_000, currency: "usd" },
    })
    expect(caseAfter(first, paymentFailed({ at: on(2), attempt: 2, ...given }))).toMatchObject({ amountMinor: 1_000 })
    expect(paymentAfter(paymentFailed({ at: on(2), ...given }))).toMatchObject({ amountMinor: 0, currency: null })
  })

  test("while a charge's amount counts where the invoice states none", () => {
    const unknown = paymentFailed({ at: on(1), paymentIntentId: "pi_1", amountMinor: null, currency: null })
    const charge = make.chargeFailed({ at: on(1, "10:00:01"), paymentIntentId: "pi_1", chargeId: "ch_1" })
    expect(paymentAfter(unknown, charge)).toMatchObject({ amountMinor: 1_999, currency: "usd" })
    const known = paymentFailed({ at: on(1), paymentIntentId: "pi_1", amountMinor: 500 })
    expect(paymentAfter(known, charge)).toMatchObject({ amountMinor: 500 })
  })
})

test("an invoice keeps the ids of all its charges", () => {
  const facts = ["ch_1", "ch_2"].map((chargeId, index) =>
    paymentFailed({ at: on(index + 1), attempt: index + 1, chargeId, paymentIntentId: "pi_1" }),
  )
  expect(paymentAfter(...facts)?.refs).toEqual(["ch_1", "ch_2", "pi_1"])
  expect(paymentAfter(...facts, make.paymentSucceeded({ at: on(3), chargeId: "ch_3" }))?.refs).toEqual([
    ...["ch_1", "ch_2", "ch_3", "pi_1"],
  ])
})

test("a voided invoice does not fail again", () => {
  const voided = make.invoiceVoided({ at: on(2) })
  expect(paymentAfter(paymentFailed({ at: on(1) }), voided, paymentFailed({ at: on(3), attempt: 2 }))).toMatchObject({
    status: "voided",
    failedAt: on(1),
  })
})

test("a refusal of the last minutes is added to a lost case, and not to a recovered one", () => {
  const late = (day: number) => paymentFailed({ at: on(day, "10:00:05"), attempt: 2, declineCode: "expired_card" })
  const facts = [paymentFailed({ at: on(1) }), make.paymentSucceeded({ at: on(2) })]
  expect(caseAfter(...facts, late(2))).toEqual(caseAfter(...facts))
  const lost = [paymentFailed({ at: on(1) }), make.invoiceUncollectible({ at: on(2) })]
  expect(caseAfter(...lost, late(2))).toMatchObject({ status: "lost", declineCode: "expired_card" })
})

describe("the first bill above zero", () => {
  const start = (given: object = {}) => make.subscription("subscription_started", { at: on(-40), ...given })
  const zero = make.paymentSucceeded({ at: on(-30), invoiceId: "in_0", amountMinor: 0 })

  test.each([
    ["after a bill of zero is a failed sale", [start(), zero], false],
    ["after a bill of zero at the start of a trial is an ordinary bill", [start({ trialEnd: on(-30) }), zero], true],
    [
      "after a failed bill of zero is an ordinary bill",
      [start(), make.paymentFailed({ ...BARE, amountMinor: 0 })],
      true,
    ],
    [
      "after a bill of an unknown amount is an ordinary bill",
      [start(), make.paymentSucceeded({ ...BARE, amountMinor: null, currency: null })],
      true,
    ],
  ] as const)("%s", (_, facts, isOpen) => {
    expect(caseAfter(...facts, paymentFailed({ at: on(1) })) !== undefined).toBe(isOpen)
  })
})

describe("how a bill was paid", () => {
  const paid = (given: object = {}) => make.paymentSucceeded({ at: on(2), ...given })

  test("is out of band once any event says so", () => {
    expect(paymentAfter(paid({ how: "out_of_band" }), paid({ at: on(3) }))?.how).toBe("out_of_band")
    expect(paymentAfter(paid(), paid({ at: on(3), how: "out_of_band" }))?.how).toBe("out_of_band")
  })

  test("is kept when its charge is reported, whose own success settles no invoice", () => {
    const charge = make.chargeSucceeded({ at: on(3), chargeId: "ch_1", paymentIntentId: "pi_1" })
    const settled = paymentAfter(paid({ paymentIntentId: "pi_1", how: "collected" }), charge)
    expect(settled).toMatchObject({ status: "succeeded", how: "collected", paidAt: on(2), refs: ["ch_1", "pi_1"] })
    const open = paymentAfter(paymentFailed({ at: on(1), paymentIntentId: "pi_1" }), charge)
    expect(open).toMatchObject({ invoiceId: "in_1", status: "failed", refs: ["ch_1", "pi_1"], paidAt: null })
  })
})
