import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { rebuild } from "../fold.ts"

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
})
