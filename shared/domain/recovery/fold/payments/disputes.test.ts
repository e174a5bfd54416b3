import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import type { Fact } from "../../../facts.ts"
import { fold, rebuild } from "../../fold.ts"

const { disputeClosed, disputeOpened, paymentFailed, paymentSucceeded } = make
const recovered = [paymentFailed({ at: on(0) }), paymentSucceeded({ at: on(1) })]
const casesAfter = (...facts: readonly Fact[]) => rebuild(facts).cases
const opened = disputeOpened({ at: on(5) })

describe("a chargeback", () => {
  test("reverses the recovery and its amount", () => {
    expect(casesAfter(...recovered, opened)).toMatchObject([
      { status: "reversed", closeReason: "dispute", closedAt: on(5), recoveredMinor: 0, disputeId: "dp_1" },
    ])
  })

  test.each(["won", "withdrawn"] as const)("that is %s restores the recovery", (outcome) => {
    const [before] = casesAfter(...recovered)
    expect(casesAfter(...recovered, opened, disputeClosed({ at: on(30), outcome }))).toEqual([
      { ...before, disputeId: "dp_1" },
    ])
  })

  test("that is lost stays", () => {
    expect(casesAfter(...recovered, opened, disputeClosed({ at: on(30), outcome: "lost" }))).toMatchObject([
      { status: "reversed", closedAt: on(5) },
    ])
  })

  test("that is lost reverses the recovery although its opening was not reported", () => {
    expect(casesAfter(...recovered, disputeClosed({ at: on(30), outcome: "lost" }))).toMatchObject([
      { status: "reversed" },
    ])
  })

  test("opened and won in one second leaves the recovery", () => {
    expect(casesAfter(...recovered, disputeClosed({ at: on(5), id: "1" }), opened)).toMatchObject([
      { status: "recovered" },
    ])
  })

  test("is not undone by a repeated event of the payment", () => {
    expect(casesAfter(...recovered, opened, paymentSucceeded({ at: on(6) }))).toMatchObject([
      { status: "reversed", recoveredMinor: 0 },
    ])
  })

  test("of a payment that never failed touches no case", () => {
    expect(casesAfter(paymentSucceeded({ at: on(1) }), opened)).toEqual([])
  })

  test("does not close a case that is open or lost", () => {
    expect(casesAfter(paymentFailed({ at: on(0) }), opened)).toMatchObject([{ status: "open" }])
  })
})

describe("a chargeback of a part", () => {
  const part = { amountMinor: 500 }
  const partly = disputeOpened({ at: on(5), ...part })
  const refunded = make.refunded({ at: on(6), amountMinor: 1_499 })

  test("takes only its amount, once, however often it is reported", () => {
    const again = [
      disputeOpened({ at: on(6), ...part }),
      disputeClosed({ at: on(7), outcome: "lost", ...part }),
      paymentSucceeded({ at: on(8) }),
    ]
    for (const facts of [[], again]) {
      expect(casesAfter(...recovered, partly, ...facts)).toMatchObject([
        { status: "recovered", closeReason: "paid", closedAt: on(1), recoveredMinor: 1_499, disputeId: "dp_1" },
      ])
    }
  })

  test("that is won gives it back", () => {
    expect(casesAfter(...recovered, partly, disputeClosed({ at: on(30), outcome: "won", ...part }))).toMatchObject([
      { status: "recovered", recoveredMinor: 1_999 },
    ])
  })

  test("reverses the recovery where the rest is refunded or disputed, and being won restores its part", () => {
    const second = disputeOpened({ at: on(6), disputeId: "dp_2", amountMinor: 1_499 })
    for (const rest of [refunded, second]) {
      expect(casesAfter(...recovered, partly, rest)).toMatchObject([
        { status: "reversed", closeReason: "dispute", closedAt: on(6), recoveredMinor: 0 },
      ])
      expect(casesAfter(...recovered, partly, rest, disputeClosed({ at: on(30), outcome: "won" }))).toMatchObject([
        { status: "recovered", closeReason: "paid", recoveredMinor: 500 },
      ])
    }
  })

  test.each([
    ["without an amount", { amountMinor: null, currency: null }],
    ["in another currency", { amountMinor: 500, currency: "eur" }],
  ])("is of the whole payment %s", (_, given) => {
    expect(casesAfter(...recovered, disputeOpened({ at: on(5), ...given }))).toMatchObject([
      { status: "reversed", closeReason: "dispute", recoveredMinor: 0 },
    ])
  })
})

test("an inquiry changes nothing, whether it is opened or closed", () => {
  const inquiry = [disputeOpened({ at: on(5), isInquiry: true }), disputeClosed({ at: on(9), outcome: "withdrawn" })]
  expect(casesAfter(...recovered, ...inquiry)).toEqual(casesAfter(...recovered))
})

describe("a dispute that names no invoice", () => {
  const byCharge = (chargeId: string) => disputeOpened({ at: on(5), invoiceId: null, subscriptionId: null, chargeId })
  const charge = make.chargeSucceeded({ at: on(1, "10:00:01"), chargeId: "ch_1" })

  test("finds the payment by its charge", () => {
    expect(casesAfter(...recovered, charge, byCharge("ch_1"))).toMatchObject([{ status: "reversed" }])
  })

  test("is not matched to another payment whose charge is known", () => {
    expect(casesAfter(...recovered, charge, byCharge("ch_2"))).toMatchObject([{ status: "recovered" }])
  })

  test("finds the only recovered payment of that amount whose charge is unknown", () => {
    expect(casesAfter(...recovered, byCharge("ch_2"))).toMatchObject([{ status: "reversed" }])
  })

  test("changes neither of two that match", () => {
    const second = { invoiceId: "in_2" }
    const both = [...recovered, paymentFailed({ at: on(0), ...second }), paymentSucceeded({ at: on(1), ...second })]
    expect(casesAfter(...both, byCharge("ch_2")).map(({ status }) => status)).toEqual(["recovered", "recovered"])
  })

  test("reverses the right one of two subscriptions of one price that were paid in the same second", () => {
    const bills = ["in_1", "in_2"].flatMap((invoiceId) => [
      paymentFailed({ at: on(0), invoiceId, paymentIntentId: `pi_${invoiceId}` }),
      paymentSucceeded({ at: on(1), invoiceId }),
      make.chargeSucceeded({ at: on(1), chargeId: `ch_${invoiceId}`, paymentIntentId: `pi_${invoiceId}` }),
    ])
    expect(casesAfter(...bills, byCharge("ch_in_2"))).toMatchObject([{ status: "recovered" }, { status: "reversed" }])
  })

  test.each([
    ["of another amount", { amountMinor: 500 }],
    ["in another currency", { currency: "eur" }],
  ])("changes no payment where it is %s", (_, given) => {
    const other = disputeOpened({ at: on(5), invoiceId: null, subscriptionId: null, chargeId: "ch_2", ...given })
    expect(casesAfter(...recovered, other)).toMatchObject([{ status: "recovered" }])
  })

  test("changes the only recovered payment of that amount, beside open ones, lost ones and members at risk", () => {
    const others = [
      make.subscription("subscription_started", { at: on(-1), subscriptionId: "sub_2" }),
      make.riskDetected({ at: on(-1), subscriptionId: "sub_2", caseId: "at_risk_sub_2" }),
      make.riskPassed({ at: on(0), caseId: "at_risk_sub_2" }),
      paymentFailed({ at: on(0), invoiceId: "in_2" }),
      paymentFailed({ at: on(0), invoiceId: "in_3" }),
      make.invoiceVoided({ at: on(1), invoiceId: "in_3" }),
    ]
    const free = disputeOpened({ at: on(6), invoiceId: null, subscriptionId: null, chargeId: "ch_3", amountMinor: 0 })
    expect(casesAfter(...others, ...recovered, byCharge("ch_2"), free).map(({ id, status }) => [id, status])).toEqual([
      ["at_risk_sub_2", "recovered"],
      ["payment_in_1", "reversed"],
      ["payment_in_2", "open"],
      ["payment_in_3", "lost"],
    ])
  })
})

test("each dispute that is won restores its own case", () => {
  const second = [paymentFailed({ at: on(0), invoiceId: "in_2" }), paymentSucceeded({ at: on(1), invoiceId: "in_2" })]
  const both = [opened, disputeOpened({ at: on(6), invoiceId: "in_2", disputeId: "dp_2" })]
  const won = disputeClosed({ at: on(9), outcome: "won", disputeId: "dp_2" })
  expect(casesAfter(...recovered, ...second, ...both, won).map(({ status }) => status)).toEqual([
    "reversed",
    "recovered",
  ])
})

test("a chargeback of a payment that was refunded in full is a dispute", () => {
  const refunded = make.refunded({ at: on(3) })
  expect(casesAfter(...recovered, refunded)).toMatchObject([{ status: "reversed", closeReason: "refunded" }])
  expect(casesAfter(...recovered, refunded, opened)).toMatchObject([{ closeReason: "dispute", closedAt: on(5) }])
})

describe("a dispute that was reported before disputed amounts were kept", () => {
  /** The state as it was stored then. */
  const stored = (closeReason: "dispute" | "refunded") => {
    const { cases, payments, ...state } = rebuild([...recovered, opened])
    const old = Object.entries(payments).map(([id, { disputes: _, ...payment }]) => [id, payment] as const)
    return { ...state, cases: cases.map((one) => ({ ...one, closeReason })), payments: Object.fromEntries(old) }
  }
  const won = (disputeId: string) => disputeClosed({ at: on(30), outcome: "won", disputeId })

  test("is won: the case is recovered again", () => {
    expect(fold([won("dp_1")], stored("dispute")).cases).toMatchObject([{ status: "recovered", recoveredMinor: 1_999 }])
  })

  test("is not the one that is won, or took nothing: the case stays as it is", () => {
    expect(fold([won("dp_2")], stored("dispute")).cases).toEqual(stored("dispute").cases)
    expect(fold([won("dp_1")], stored("refunded")).cases).toEqual(stored("refunded").cases)
  })
})

describe("a chargeback that nothing links to an invoice", () => {
  const none = { chargeId: null, paymentIntentId: null }
  const paid = [paymentFailed({ at: on(0), ...none }), paymentSucceeded({ at: on(1), ...none })]
  const another = [
    paymentFailed({ at: on(2), invoiceId: "in_2", ...none }),
    paymentSucceeded({ at: on(3), invoiceId: "in_2", ...none }),
  ]
  const unlinked = (given: object = {}) =>
    disputeOpened({ at: on(5), invoiceId: null, chargeId: "ch_9", paymentIntentId: null, ...given })
  const keptAfter = (...facts: readonly Fact[]) => casesAfter(...facts).map(({ recoveredMinor }) => recoveredMinor)

  test("is of the only recovered case of its amount", () => {
    expect(keptAfter(...paid, unlinked())).toEqual([0])
  })

  test("is of none where two match, or where amount or currency differ", () => {
    expect(keptAfter(...paid, ...another, unlinked())).toEqual([1_999, 1_999])
    expect(keptAfter(...paid, unlinked({ amountMinor: 500 }))).toEqual([1_999])
    expect(keptAfter(...paid, unlinked({ currency: "eur" }))).toEqual([1_999])
  })

  test("is of none where the payment has another charge", () => {
    expect(
      keptAfter(paymentFailed({ at: on(0) }), paymentSucceeded({ at: on(1), chargeId: "ch_1" }), unlinked()),
    ).toEqual([1_999])
  })
})
