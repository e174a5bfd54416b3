import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import type { Fact } from "../../../facts.ts"
import { findCase, paymentOf } from "../../../state.ts"
import { rebuild } from "../../fold.ts"

const failed = make.paymentFailed({ at: on(1), amountMinor: 1_000 })
const changed = (day: number, amountMinor: number, given: object = {}) =>
  make.invoiceChanged({ at: on(day), amountMinor, ...given })
const credited = (day: number, amountMinor: number, given: object = {}) =>
  make.invoiceCredited({ at: on(day), amountMinor, ...given })
const partPaid = (
  day: number,
  amountMinor: number,
  partId = "part_1",
  paymentIntentId: string | null = null,
): Fact => ({
  kind: "invoice_part_paid",
  ...{ invoiceId: "in_1", subscriptionId: "sub_1", partId, amountMinor, currency: "usd" },
  ...{ chargeId: null, paymentIntentId, id: `${partId}_${day}`, occurredAt: on(day) },
})
const stateAfter = (...facts: readonly Fact[]) => {
  const state = rebuild(facts)
  return { payment: paymentOf(state, "in_1"), entry: findCase(state, "payment_in_1") }
}

describe("an open invoice", () => {
  test.each([
    ["stated anew", [changed(2, 700)], 700, undefined],
    ["reduced by a credit note", [credited(2, 300)], 700, undefined],
    ["reduced by two credit notes", [credited(2, 300), credited(3, 200, { creditNoteId: "cn_2" })], 500, undefined],
    ["not reduced by one that is voided", [credited(2, 300), credited(3, 300, { isVoided: true })], 1_000, undefined],
    ["paid in part", [partPaid(2, 300)], 1_000, 700],
    ["credited and paid in part", [credited(2, 200), partPaid(3, 300)], 800, 500],
    ["paid in two parts", [partPaid(2, 300), partPaid(3, 200, "part_2")], 1_000, 500],
    ["stated with what had been credited before", [credited(2, 300), changed(3, 700)], 700, undefined],
    [
      "stated with its own credited amount",
      [credited(2, 300), changed(3, 900, { creditedMinor: 100 })],
      700,
      undefined,
    ],
    ["stated with what had been paid before", [partPaid(2, 300), changed(3, 700)], 1_000, 700],
    ["stated with its own paid amount", [partPaid(2, 300), changed(3, 900, { paidMinor: 100 })], 1_000, 700],
    ["stated with more paid than the parts", [partPaid(2, 300), changed(3, 500, { paidMinor: 500 })], 1_000, 500],
  ] as const)("is %s: the case follows", (_, facts, amountMinor, remainingMinor) => {
    const { entry } = stateAfter(failed, ...facts)
    expect(entry).toMatchObject({ status: "open", amountMinor, heardAt: facts.at(-1)?.occurredAt })
    expect(entry?.remainingMinor).toBe(remainingMinor)
    expect(Object.hasOwn(entry ?? {}, "remainingMinor")).toBe(remainingMinor !== undefined)
  })

  test("keeps what was paid before its case opened out of the case", () => {
    const paidBefore = make.paymentFailed({ at: on(1), amountMinor: 700, paidMinor: 300 })
    expect(stateAfter(paidBefore).entry).toMatchObject({ amountMinor: 700, paidBeforeMinor: 300 })
    expect(stateAfter(paidBefore, changed(2, 500, { paidMinor: 500 })).entry).toMatchObject({
      ...{ amountMinor: 700, remainingMinor: 500, paidBeforeMinor: 300 },
    })
  })

  test("stores only amounts above zero", () => {
    expect(stateAfter(failed, changed(2, 700)).payment).not.toHaveProperty("creditedMinor")
    expect(stateAfter(failed, changed(2, 700)).payment).not.toHaveProperty("paidPartMinor")
    expect(stateAfter(failed, changed(2, 700, { creditedMinor: 1, paidMinor: 2 })).payment).toMatchObject({
      ...{ creditedMinor: 1, paidPartMinor: 2 },
    })
  })
})

describe("an invoice of which nothing is owed", () => {
  const waived = credited(2, 1_000)

  test("and nothing was paid is waived: its case is lost", () => {
    const { payment, entry } = stateAfter(failed, waived)
    expect(payment).toMatchObject({ invoiceId: "in_1", status: "voided", amountMinor: 1_000 })
    expect(entry).toMatchObject({ status: "lost", closeReason: "waived", closedAt: on(2) })
  })

  test("is owed again when it states an amount", () => {
    expect(stateAfter(failed, changed(2, 0), changed(3, 400)).entry).toMatchObject({
      ...{ id: "payment_in_1", status: "open", closeReason: null, closedAt: null, amountMinor: 400 },
    })
    expect(stateAfter(failed, changed(2, 0), changed(3, 400)).payment?.status).toBe("failed")
  })

  test("stays waived while it states zero", () => {
    const { payment, entry } = stateAfter(failed, changed(2, 0), changed(3, 0))
    expect(payment?.status).toBe("voided")
    expect(entry).toMatchObject({ status: "lost", closeReason: "waived", closedAt: on(2) })
  })

  test("but of which a part was paid stays open until its own event", () => {
    expect(stateAfter(failed, partPaid(2, 1_000)).entry).toMatchObject({
      status: "open",
      amountMinor: 1_000,
      remainingMinor: 0,
    })
  })
})

describe("changes of an invoice", () => {
  const events = [changed(3, 10), credited(3, 10), partPaid(3, 10)]

  test("that is not known are nothing to us", () => {
    for (const event of events) expect(stateAfter(event)).toEqual({ payment: undefined, entry: undefined })
  })

  test.each([
    ["paid", make.paymentSucceeded({ at: on(2), amountMinor: 1_000 })],
    ["voided", make.invoiceVoided({ at: on(2) })],
  ])("that is %s change nothing", (_, end) => {
    for (const event of events) expect(stateAfter(failed, end, event)).toEqual(stateAfter(failed, end))
  })

  test("that is written off are stated, and leave its case lost", () => {
    const { payment, entry } = stateAfter(failed, make.invoiceUncollectible({ at: on(2) }), changed(3, 10))
    expect(payment).toMatchObject({ status: "uncollectible", amountMinor: 10 })
    expect(entry).toMatchObject({ status: "lost", closeReason: "uncollectible", amountMinor: 1_000 })
  })

  test("that has no case are stated", () => {
    const first = make.paymentFailed({ at: on(1), amountMinor: 1_000, isFirstInvoice: true })
    expect(stateAfter(first, changed(3, 10))).toMatchObject({ payment: { status: "failed", amountMinor: 10 } })
    expect(stateAfter(first, changed(3, 10)).entry).toBeUndefined()
    expect(stateAfter(first, credited(3, 10)).payment).toMatchObject({ credits: { cn_1: 10 } })
  })
})

describe("the payment of a part", () => {
  const partOn = (day: number) => partPaid(day, 300, "part_1", "pi_part")
  const paid = make.paymentSucceeded({ at: on(3), amountMinor: 1_000 })
  const ofPart = { invoiceId: null, subscriptionId: null, paymentIntentId: "pi_part", amountMinor: 300 }

  test.each([
    ["before the rest", [partOn(2), paid]],
    ["after the invoice", [paid, partOn(4)]],
  ])("that is refunded or disputed takes it from the recovery, where it is reported %s", (_, facts) => {
    expect(stateAfter(failed, ...facts, make.refunded({ at: on(5), ...ofPart })).entry).toMatchObject({
      ...{ status: "recovered", recoveredMinor: 700 },
    })
    expect(stateAfter(failed, ...facts, make.disputeOpened({ at: on(5), ...ofPart })).entry).toMatchObject({
      ...{ status: "recovered", recoveredMinor: 700 },
    })
  })
})
