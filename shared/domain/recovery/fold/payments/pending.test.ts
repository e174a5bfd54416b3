import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import type { Fact } from "../../../facts.ts"
import { rebuild } from "../../fold.ts"

const { paymentPending, paymentFailed, paymentSucceeded, chargeFailed } = make

const pendingAfter = (...facts: readonly Fact[]) => rebuild(facts).pending ?? []
const unnamed = (given: Parameters<typeof paymentPending>[0]) => paymentPending({ invoiceId: null, ...given })

describe("a payment in progress", () => {
  test("is kept with what is known of it, until its result is due", () => {
    expect(pendingAfter(paymentPending({ at: on(0), chargeId: "ch_1", method: "sepa_debit" }))).toEqual([
      { invoiceId: "in_1", refs: ["ch_1"], amountMinor: 1_999, currency: "usd", since: on(0), until: on(21) },
    ])
  })

  test("is one for all events that tell of it, from the first to the latest end", () => {
    const facts = [
      unnamed({ at: on(0), paymentIntentId: "pi_1", method: "sepa_debit" }),
      paymentPending({ at: on(1), chargeId: "ch_1", paymentIntentId: "pi_1", method: "card" }),
    ]
    const merged = { invoiceId: "in_1", refs: ["ch_1", "pi_1"], since: on(0), until: on(21) }
    expect(pendingAfter(...facts)).toMatchObject([merged])
    const again = unnamed({ at: on(2), paymentIntentId: "pi_1" })
    expect(pendingAfter(...facts, again)).toMatchObject([merged])
    expect(pendingAfter(paymentPending({ at: on(0) }), paymentPending({ at: on(1) }))).toHaveLength(1)
  })

  test("is another where neither a name nor an invoice is the same", () => {
    expect(pendingAfter(paymentPending({ at: on(0) }), paymentPending({ at: on(0), invoiceId: "in_2" }))).toHaveLength(
      2,
    )
    const intents = ["pi_1", "pi_2"].map((paymentIntentId) => unnamed({ at: on(0), paymentIntentId }))
    expect(pendingAfter(...intents)).toHaveLength(2)
  })

  test("belongs to the invoice of its payment intent, once that is known", () => {
    const facts = [
      paymentFailed({ at: on(0), paymentIntentId: "pi_1" }),
      unnamed({ at: on(1), paymentIntentId: "pi_1" }),
    ]
    expect(pendingAfter(...facts)).toMatchObject([{ invoiceId: "in_1" }])
  })

  test("is nothing for an invoice that is paid or voided", () => {
    expect(pendingAfter(paymentSucceeded({ at: on(0) }), paymentPending({ at: on(1) }))).toEqual([])
    const voided = [paymentFailed({ at: on(0) }), make.invoiceVoided({ at: on(1) })]
    expect(pendingAfter(...voided, paymentPending({ at: on(2) }))).toEqual([])
  })

  test("is one of the twenty newest", () => {
    const facts = Array.from({ length: 22 }, (_, n) =>
      paymentPending({ at: on(0, `10:00:${n + 10}`), invoiceId: `in_${n}` }),
    )
    expect(pendingAfter(...facts).map(({ invoiceId }) => invoiceId)).toEqual(
      Array.from({ length: 20 }, (_, n) => `in_${n + 2}`),
    )
  })
})

describe("a payment is in progress no more", () => {
  test("when its invoice, its charge or its intent tells of a result", () => {
    const pending = paymentPending({ at: on(0), chargeId: "ch_1", paymentIntentId: "pi_1" })
    expect(pendingAfter(pending, paymentFailed({ at: on(1) }))).toEqual([])
    expect(pendingAfter(pending, paymentSucceeded({ at: on(1) }))).toEqual([])
    expect(pendingAfter(pending, chargeFailed({ at: on(1), chargeId: "ch_1", amountMinor: 5 }))).toEqual([])
    expect(pendingAfter(pending, chargeFailed({ at: on(1), paymentIntentId: "pi_1", amountMinor: 5 }))).toEqual([])
    expect(pendingAfter(pending, chargeFailed({ at: on(1), chargeId: "ch_2", amountMinor: 5 }))).toHaveLength(1)
    expect(rebuild([pending, paymentFailed({ at: on(1) })])).not.toHaveProperty("pending")
  })

  test("when an invoice tells of the result of just that amount, and nothing ties the two", () => {
    const pending = unnamed({ at: on(0), paymentIntentId: "pi_1" })
    expect(pendingAfter(pending, paymentFailed({ at: on(1) }))).toEqual([])
    expect(pendingAfter(pending, paymentFailed({ at: on(1), amountMinor: 5 }))).toHaveLength(1)
    expect(pendingAfter(pending, paymentFailed({ at: on(1), currency: "eur" }))).toHaveLength(1)
    const other = paymentPending({ at: on(0), invoiceId: "in_2" })
    expect(pendingAfter(other, paymentFailed({ at: on(1) }))).toHaveLength(1)
    const unstated = { amountMinor: null, currency: null }
    expect(
      pendingAfter(
        unnamed({ at: on(0), paymentIntentId: "pi_1", ...unstated }),
        paymentFailed({ at: on(1), ...unstated }),
      ),
    ).toHaveLength(1)
    expect(pendingAfter(pending, chargeFailed({ at: on(1), chargeId: "ch_9" }))).toHaveLength(1)
  })

  test("when its result is overdue and something else is told", () => {
    const card = paymentPending({ at: on(0), method: "card" })
    const failedToo = (at: string) => paymentFailed({ at, invoiceId: "in_2" })
    expect(pendingAfter(card, failedToo(on(1)))).toHaveLength(1)
    expect(pendingAfter(card, failedToo(on(1, "10:00:01")))).toEqual([])
    expect(pendingAfter(card, paymentPending({ at: on(2), invoiceId: "in_2" }))).toMatchObject([{ invoiceId: "in_2" }])
  })
})
