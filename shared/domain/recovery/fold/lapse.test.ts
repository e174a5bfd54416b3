import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import type { CustomerState } from "../../state.ts"
import { rebuild } from "../fold.ts"
import { LAPSE_DAYS, lapsedBy, lapseTime, lapsingSince, lastNewsAt } from "./lapse.ts"

const { on, paymentFailed, paymentSucceeded, paymentPending } = make

const caseOf = (state: CustomerState) => {
  const [found] = state.cases
  if (!found) throw new Error("no case")
  return found
}

/** The ledger once the job has looked at it on that day. */
function lookedAt(facts: readonly Fact[], day: number): readonly Fact[] {
  const state = rebuild(facts)
  return [...facts, ...state.cases.flatMap(({ id }) => lapsedBy(state, id, on(day)) ?? [])]
}

const afterLook = (facts: readonly Fact[], day: number) => caseOf(rebuild(lookedAt(facts, day)))

describe("an open payment case lapses", () => {
  test("sixty days after the last news, and not before", () => {
    const facts = [paymentFailed({ at: on(0) }), paymentFailed({ at: on(5), attempt: 2 })]
    expect(lapseTime(rebuild(facts), caseOf(rebuild(facts)))).toBe(on(5 + LAPSE_DAYS))
    expect(lapsedBy(rebuild(facts), "payment_in_1", on(5 + LAPSE_DAYS, "09:59:59"))).toBeNull()
    expect(afterLook(facts, 65)).toMatchObject({ status: "lost", closeReason: "lapsed", closedAt: on(65) })
  })

  test.each<[string, Fact, number]>([
    ["a part that was paid", partPaid(), 70],
    ["a credit note", make.invoiceCredited({ at: on(10), amountMinor: 500 }), 70],
    ["a change of what the invoice asks for", make.invoiceChanged({ at: on(10), amountMinor: 900 }), 70],
    ["a request to authenticate", make.actionRequired({ at: on(10) }), 70],
    ["a bank debit in progress", paymentPending({ at: on(10), method: "sepa_debit" }), 91],
    ["a payment in progress that names no invoice", loosePending(), 91],
  ])("later for %s", (_, news, day) => {
    const facts = [paymentFailed({ at: on(0) }), news]
    expect(afterLook(facts, day - 1)).toMatchObject({ status: "open" })
    expect(afterLook(facts, day)).toMatchObject({ status: "lost", closeReason: "lapsed" })
  })

  test("not later for a payment in progress of another invoice", () => {
    const facts = [
      paymentFailed({ at: on(0) }),
      paymentPending({ at: on(10), method: "sepa_debit", invoiceId: "in_2" }),
    ]
    expect(afterLook(facts, 60)).toMatchObject({ status: "lost", closedAt: on(60) })
  })

  test("where the job looks for it: the cases without news since `lapsingSince`", () => {
    expect(lapsingSince(new Date(on(LAPSE_DAYS)))).toEqual(new Date(on(0)))
  })

  test("as each other case does, with a fact of its own", () => {
    const facts = [paymentFailed({ at: on(0) }), paymentFailed({ at: on(0), invoiceId: "in_2" })]
    const { cases } = rebuild(lookedAt(facts, 60))
    expect(cases.map(({ closeReason }) => closeReason)).toEqual(["lapsed", "lapsed"])
  })

  test("at the same time, whenever the job runs", () => {
    const facts = [paymentFailed({ at: on(0) })]
    expect(lapsedBy(rebuild(facts), "payment_in_1", on(90))).toEqual(lapsedBy(rebuild(facts), "payment_in_1", on(60)))
    expect(lookedAt(lookedAt(facts, 60), 90)).toEqual(lookedAt(facts, 60))
  })

  test.each([60, 80])("after the last fact of the ledger, of any case: one of day %s", (day) => {
    const facts = [paymentFailed({ at: on(0) }), make.customerSeen({ at: on(day), hasPhone: true })]
    const fact = lapsedBy(rebuild(facts), "payment_in_1", on(81))
    expect(fact).toMatchObject({ occurredAt: on(day).replace(".000Z", ".001Z") })
    expect(afterLook(facts, 81).status).toBe("lost")
  })

  test("not where earlier news arrives after the job: then it lapses sixty days after that news", () => {
    const late = paymentFailed({ at: on(30), attempt: 2 })
    const facts = [...lookedAt([paymentFailed({ at: on(0) })], 60), late]
    expect(caseOf(rebuild(facts))).toMatchObject({ status: "open" })
    expect(afterLook(facts, 90)).toMatchObject({ status: "lost", closeReason: "lapsed", closedAt: on(90) })
  })

  test("and a later payment still recovers it", () => {
    const facts = [...lookedAt([paymentFailed({ at: on(0) })], 60), paymentSucceeded({ at: on(61) })]
    expect(caseOf(rebuild(facts))).toMatchObject({ status: "recovered", recoveredMinor: 1_999, closedAt: on(61) })
  })
})

test("cases of other kinds and closed ones do not lapse", () => {
  const facts = [make.cancellationAnnounced({ at: on(0), cancelAt: on(400) }), paymentFailed({ at: on(0) })]
  const state = rebuild([...facts, paymentSucceeded({ at: on(1) })])
  expect(state.cases.map((entry) => lapseTime(state, entry))).toEqual([null, null])
  expect(state.cases.map((entry) => lastNewsAt(state, entry))).toContain(null)
  expect(state.cases.flatMap(({ id }) => lapsedBy(state, id, on(300)) ?? [])).toEqual([])
  const lapses = state.cases.map(({ id }): Fact => ({ kind: "case_lapsed", id, occurredAt: on(300), caseId: id }))
  expect(rebuild([...facts, paymentSucceeded({ at: on(1) }), ...lapses]).cases).toEqual(state.cases)
})

function partPaid(): Fact {
  return {
    ...{ kind: "invoice_part_paid", id: "part", occurredAt: on(10), partId: "p_1", amountMinor: 500, currency: "usd" },
    ...{ invoiceId: "in_1", subscriptionId: "sub_1", chargeId: null, paymentIntentId: null },
  }
}

function loosePending(): Fact {
  return paymentPending({ at: on(10), method: "sepa_debit", invoiceId: null, paymentIntentId: "pi_9" })
}
