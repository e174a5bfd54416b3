/** Which payment a charge belongs to. Longer than 300 lines: the rules compete, so they are read together. */
import { describe, expect, test } from "vitest"
import * as make from "../../../../../test/support/events/facts.ts"
import { on } from "../../../../../test/support/events/facts.ts"
import type { Fact } from "../../../facts.ts"
import { failureCountOf, findCase, paymentOf } from "../../../state.ts"
import { rebuild } from "../../fold.ts"
import { addAttempt, addInvoiceFailure, failureTimes, mergeRefs, REFS_MAX } from "./payment-matching.ts"

const { paymentFailed, paymentSucceeded, chargeFailed, chargeSucceeded } = make

const caseAfter = (facts: readonly Fact[], invoiceId = "in_1") => {
  const found = findCase(rebuild(facts), `payment_${invoiceId}`)
  if (!found) throw new Error("no case was opened")
  return found
}
const refsAfter = (facts: readonly Fact[], invoiceId = "in_1") => paymentOf(rebuild(facts), invoiceId)?.refs

describe("a charge that names no invoice", () => {
  const failed = paymentFailed({ at: on(0) })
  const paid = [failed, paymentSucceeded({ at: on(1) })]

  test("belongs to the invoice that failed with the same amount at most ten minutes before or after", () => {
    for (const time of ["09:50:00", "10:00:00", "10:10:00"]) {
      const facts = [failed, chargeFailed({ at: on(0, time), chargeId: "ch_1" })]
      expect(refsAfter(facts)).toEqual(["ch_1"])
      expect(rebuild(facts).loose).toEqual([])
    }
    for (const time of ["09:49:59", "10:10:01"]) {
      const facts = [failed, chargeFailed({ at: on(0, time), chargeId: "ch_1" })]
      expect(refsAfter(facts)).toEqual([])
      expect(rebuild(facts).loose).toHaveLength(1)
    }
  })

  test.each([
    ["another amount", { amountMinor: 2_000 }],
    ["another currency", { currency: "eur" }],
    ["no amount", { amountMinor: null, currency: null }],
  ])("belongs to none with %s", (_, given) => {
    expect(refsAfter([failed, chargeFailed({ at: on(0), chargeId: "ch_1", ...given })])).toEqual([])
    const charged = chargeSucceeded({ at: on(1), chargeId: "ch_1", ...given })
    expect(refsAfter([...paid, charged])).toEqual([])
    expect(rebuild([...paid, charged]).loose).toHaveLength(1)
  })

  test("belongs to none whose outcome is another", () => {
    expect(refsAfter([failed, chargeSucceeded({ at: on(0), chargeId: "ch_1" })])).toEqual([])
    expect(refsAfter([...paid, chargeFailed({ at: on(1), chargeId: "ch_1" })])).toEqual([])
  })

  test("that failed belongs to no invoice that has been paid meanwhile", () => {
    const paidAtOnce = [failed, paymentSucceeded({ at: on(0, "10:01:00") })]
    const state = rebuild([...paidAtOnce, chargeFailed({ at: on(0, "10:02:00"), chargeId: "ch_1" })])
    expect(paymentOf(state, "in_1")?.refs).toEqual([])
    expect(state.loose).toMatchObject([{ refs: ["ch_1"] }])
  })

  test("is compared with the last failure of the invoice, not with the first", () => {
    const twice = [failed, paymentFailed({ at: on(3), attempt: 2 })]
    expect(refsAfter([...twice, chargeFailed({ at: on(3), chargeId: "ch_2" })])).toEqual(["ch_2"])
    const late = [
      ...twice,
      chargeFailed({ at: on(3), chargeId: "ch_2" }),
      chargeFailed({ at: on(0), chargeId: "ch_1" }),
    ]
    expect(refsAfter(late)).toEqual(["ch_1", "ch_2"])
  })

  test("goes to the nearest in time of the invoices that failed with one amount", () => {
    const facts = [
      paymentFailed({ at: on(0, "10:00:00"), invoiceId: "in_1" }),
      paymentFailed({ at: on(0, "10:05:00"), invoiceId: "in_2" }),
      chargeFailed({ at: on(0, "10:06:00"), chargeId: "ch_1" }),
    ]
    expect(refsAfter(facts, "in_1")).toEqual([])
    expect(refsAfter(facts, "in_2")).toEqual(["ch_1"])
    const nearFirst = [...facts.slice(0, 2), chargeFailed({ at: on(0, "10:07:00"), chargeId: "ch_2" })]
    expect(refsAfter([...facts, ...nearFirst.slice(2)], "in_1")).toEqual(["ch_2"])
  })

  test("goes to the first of two invoices that failed together, by id", () => {
    const together = ["in_2", "in_1", "in_3"].map((invoiceId) => paymentFailed({ at: on(0), invoiceId }))
    const facts = [...together, chargeFailed({ at: on(0, "10:00:01"), chargeId: "ch_1" })]
    expect(["in_1", "in_2", "in_3"].map((id) => refsAfter(facts, id))).toEqual([["ch_1"], [], []])
  })

  test("is no second charge of an attempt that has one: the next is another invoice's", () => {
    const together = ["in_1", "in_2"].map((invoiceId) => paymentFailed({ at: on(0), invoiceId }))
    const charges = ["ch_1", "ch_2", "ch_3"].map((chargeId, second) =>
      chargeFailed({ at: on(0, `10:00:0${second + 1}`), chargeId }),
    )
    const facts = [...together, ...charges]
    expect(refsAfter(facts, "in_1")).toEqual(["ch_1"])
    expect(refsAfter(facts, "in_2")).toEqual(["ch_2"])
    expect(rebuild(facts).loose).toMatchObject([{ refs: ["ch_3"] }])
  })

  test("that succeeded goes first to an invoice without a charge, else to the nearest one that has one", () => {
    const paidToo = paymentSucceeded({ at: on(1, "10:09:00"), invoiceId: "in_2" })
    const charges = [1, 2, 3].map((n) => chargeSucceeded({ at: on(1, `10:09:0${n}`), chargeId: `ch_${n}` }))
    expect(refsAfter([...paid, paidToo, ...charges.slice(0, 1)], "in_2")).toEqual(["ch_1"])
    expect(refsAfter([...paid, paidToo, ...charges.slice(0, 2)], "in_1")).toEqual(["ch_2"])
    expect(refsAfter([...paid, paidToo, ...charges], "in_2")).toEqual(["ch_1", "ch_3"])
  })

  test("gives its decline code to the invoice, and takes none away", () => {
    const declined = [failed, chargeFailed({ at: on(0), chargeId: "ch_1", declineCode: "expired_card" })]
    expect(paymentOf(rebuild(declined), "in_1")?.declineCode).toBe("expired_card")
    expect(caseAfter(declined)).toMatchObject({ declineCode: "expired_card", chargeFailures: ["ch_1"] })
    const known = [
      paymentFailed({ at: on(0), declineCode: "lost_card" }),
      chargeFailed({ at: on(0), chargeId: "ch_1" }),
    ]
    expect(caseAfter(known).declineCode).toBe("lost_card")
  })

  test("that was told live makes an imported case a live one", () => {
    const imported: Fact = { ...failed, origin: "history" }
    expect(caseAfter([imported]).knownFrom).toBe("history")
    expect(caseAfter([imported, chargeFailed({ at: on(0), chargeId: "ch_1" })])).not.toHaveProperty("knownFrom")
    const importedCharge: Fact = { ...chargeFailed({ at: on(0), chargeId: "ch_1" }), origin: "history" }
    expect(caseAfter([imported, importedCharge]).knownFrom).toBe("history")
  })

  test("that succeeded adds no attempt", () => {
    expect(caseAfter([...paid, chargeSucceeded({ at: on(1), chargeId: "ch_1" })]).chargeFailures).toEqual([])
  })
})

describe("charges that wait for their invoice", () => {
  const charge = (n: number, given: object = {}) =>
    chargeFailed({ at: on(0, `09:59:${String(n).padStart(2, "0")}`), chargeId: `ch_${n}`, ...given })
  const intent = (given: object = {}) => chargeFailed({ at: on(0, "09:59:00"), paymentIntentId: "pi_1", ...given })

  test("are kept with what they tell", () => {
    expect(rebuild([charge(1, { paymentIntentId: "pi_1", declineCode: "expired_card" })]).loose).toEqual([
      {
        outcome: "failed",
        refs: ["ch_1", "pi_1"],
        amountMinor: 1_999,
        currency: "usd",
        declineCode: "expired_card",
        at: on(0, "09:59:01"),
      },
    ])
    expect(rebuild([chargeSucceeded({ at: on(0), chargeId: "ch_1" })]).loose).toMatchObject([
      { outcome: "succeeded", declineCode: null },
    ])
    expect(rebuild([{ ...charge(1), origin: "history" }]).loose).toMatchObject([{ origin: "history" }])
  })

  test("are the twenty newest", () => {
    const { loose } = rebuild(Array.from({ length: 22 }, (_, n) => charge(n)))
    expect(loose.map(({ refs }) => refs[0])).toEqual(Array.from({ length: 20 }, (_, n) => `ch_${n + 2}`))
  })

  test("are one with their payment intent, named by the charge, with the decline code of either", () => {
    const told = [intent({ declineCode: "expired_card" }), charge(1, { paymentIntentId: "pi_1" })]
    expect(rebuild(told).loose).toMatchObject([{ refs: ["ch_1", "pi_1"], declineCode: "expired_card" }])
    const inTurn = [
      charge(1, { paymentIntentId: "pi_1", declineCode: "lost_card" }),
      { ...intent(), occurredAt: on(0, "09:59:05") },
    ]
    expect(rebuild(inTurn).loose).toMatchObject([{ refs: ["ch_1", "pi_1"], declineCode: "lost_card" }])
  })

  test("are two where one failed and the other succeeded", () => {
    const facts = [
      charge(1, { paymentIntentId: "pi_1" }),
      chargeSucceeded({ at: on(0), chargeId: "ch_2", paymentIntentId: "pi_1" }),
    ]
    expect(rebuild(facts).loose).toMatchObject([{ outcome: "failed" }, { outcome: "succeeded" }])
  })

  test("are live when either of their events was told live", () => {
    const [first, second] = [intent(), charge(1, { paymentIntentId: "pi_1" })]
    const originOf = (facts: readonly Fact[]) => rebuild(facts).loose.map(({ origin }) => origin)
    expect(
      originOf([
        { ...first, origin: "history" },
        { ...second, origin: "history" },
      ]),
    ).toEqual(["history"])
    expect(originOf([{ ...first, origin: "history" }, second])).toEqual([undefined])
    expect(originOf([first, { ...second, origin: "history" }])).toEqual([undefined])
  })

  test("are taken by the invoice that names them, whenever it comes and whatever it states", () => {
    const facts = [charge(1), charge(2, { declineCode: "expired_card" })]
    const state = rebuild([...facts, paymentFailed({ at: on(3), chargeId: "ch_2", amountMinor: 5 })])
    expect(state.loose).toMatchObject([{ refs: ["ch_1"] }])
    expect(paymentOf(state, "in_1")).toMatchObject({ refs: ["ch_2"], declineCode: "expired_card" })
  })

  test("are taken by the invoice that knows one of their names", () => {
    const facts = [
      charge(1, { paymentIntentId: "pi_1" }),
      paymentFailed({ at: on(3), chargeId: "ch_1", amountMinor: 5 }),
    ]
    expect(rebuild(facts).loose).toEqual([])
    expect(refsAfter(facts)).toEqual(["ch_1", "pi_1"])
  })

  test("are not taken by an invoice with another outcome", () => {
    const { loose } = rebuild([charge(1), paymentSucceeded({ at: on(0), chargeId: "ch_1" })])
    expect(loose).toMatchObject([{ outcome: "failed", refs: ["ch_1"] }])
  })

  test("are not taken by an invoice that names another charge", () => {
    const state = rebuild([charge(1), paymentFailed({ at: on(0), chargeId: "ch_9" })])
    expect(state.loose).toMatchObject([{ refs: ["ch_1"] }])
    expect(paymentOf(state, "in_1")?.refs).toEqual(["ch_9"])
  })

  test("are taken by an invoice that names none, by outcome, amount and time", () => {
    const failedCharge = [charge(1), paymentFailed({ at: on(0) })]
    expect(rebuild(failedCharge).loose).toEqual([])
    expect(refsAfter(failedCharge)).toEqual(["ch_1"])
    const paidCharge = [chargeSucceeded({ at: on(0), chargeId: "ch_1" }), paymentSucceeded({ at: on(0, "10:00:01") })]
    expect(refsAfter(paidCharge)).toEqual(["ch_1"])
    expect(refsAfter([charge(1), paymentSucceeded({ at: on(0) })])).toEqual([])
    expect(refsAfter([charge(1), paymentFailed({ at: on(0), amountMinor: 5 })])).toEqual([])
    expect(refsAfter([charge(1), paymentFailed({ at: on(0, "10:10:00") })])).toEqual([])
  })

  test("are not taken by the second event of an attempt that has its charge", () => {
    const facts = [
      charge(1),
      paymentFailed({ at: on(0, "10:00:00") }),
      chargeFailed({ at: on(0, "10:00:01"), chargeId: "ch_2" }),
      paymentFailed({ at: on(0, "10:00:02"), attempt: null }),
    ]
    expect(refsAfter(facts)).toEqual(["ch_1"])
    expect(rebuild(facts).loose).toMatchObject([{ refs: ["ch_2"] }])
    const nextAttempt = [...facts.slice(0, 3), paymentFailed({ at: on(0, "10:00:02"), attempt: 2 })]
    expect(refsAfter(nextAttempt)).toEqual(["ch_1", "ch_2"])
  })
})

describe("the invoice that a charge is known for", () => {
  test("is found by the charge or by the payment intent", () => {
    const failed = paymentFailed({ at: on(0), chargeId: "ch_1", paymentIntentId: "pi_1" })
    for (const refs of [{ chargeId: "ch_1" }, { chargeId: "ch_2", paymentIntentId: "pi_1" }]) {
      const later = chargeFailed({ at: on(3), declineCode: "expired_card", ...refs })
      expect(paymentOf(rebuild([failed, later]), "in_1")?.declineCode).toBe("expired_card")
    }
  })

  test("is the first by id where two name the same payment intent", () => {
    for (const ids of [
      ["in_1", "in_2"],
      ["in_2", "in_1"],
    ]) {
      const bills = ids.map((invoiceId, n) =>
        paymentFailed({ at: on(0), id: `${n}`, invoiceId, paymentIntentId: "pi_1" }),
      )
      const state = rebuild([...bills, chargeFailed({ at: on(3), paymentIntentId: "pi_1", declineCode: "lost_card" })])
      expect(["in_1", "in_2"].map((id) => paymentOf(state, id)?.declineCode)).toEqual(["lost_card", null])
    }
  })
})

describe("the names of one payment", () => {
  test("are sorted, each once", () => {
    expect(mergeRefs(["b"], ["a", "b"], ["c"])).toEqual(["a", "b", "c"])
    expect(mergeRefs(["b", "a"], [])).toEqual(["a", "b"])
    expect(mergeRefs(["a", "a"])).toEqual(["a"])
    expect(mergeRefs()).toEqual([])
  })

  test("stay the same list where nothing is new", () => {
    const known = ["a", "b"]
    expect(mergeRefs(known, ["b"], [])).toBe(known)
    const full = Array.from({ length: REFS_MAX }, (_, n) => `ref_${n + 10}`)
    expect(mergeRefs(full, ["ref_10"])).toBe(full)
  })

  test("are forty at most, the first ones by name", () => {
    const names = Array.from({ length: REFS_MAX }, (_, n) => `ref_${n + 10}`)
    expect(mergeRefs(names, ["ref_99", "ref_00"])).toEqual(["ref_00", ...names.slice(0, -1)])
    expect(mergeRefs([...names, "ref_99"])).toEqual(names)
  })
})

describe("attempts that charges tell of", () => {
  test("are named by the charge; the intent that stood for it gives way", () => {
    expect(addAttempt(["ch_1"], [])).toEqual(["ch_1"])
    expect(addAttempt(["ch_1"], ["ch_2", "pi_1"])).toEqual(["ch_1", "ch_2"])
    expect(addAttempt(["ch_1", "pi_1"], ["ch_2", "pi_1"])).toEqual(["ch_1", "ch_2"])
  })
})

describe("attempts that an invoice's own events tell of", () => {
  type Failed = Extract<Fact, { kind: "payment_failed" }>
  const failed = (attempt: number | null, time = "10:00:00") => paymentFailed({ at: on(0, time), attempt }) as Failed
  const imported = (attempt: number | null, time = "10:00:00"): Failed => ({
    ...failed(attempt, time),
    origin: "history",
  })
  const told = (...facts: readonly Failed[]) => facts.reduce<readonly string[]>(addInvoiceFailure, [])
  const at = (time: string) => on(0, time)

  test("are kept as number and time, imported ones marked", () => {
    expect(told(failed(1))).toEqual([`1@${at("10:00:00")}`])
    expect(told(failed(null))).toEqual([`@${at("10:00:00")}`])
    expect(told(imported(10))).toEqual([`imported 10@${at("10:00:00")}`])
    expect(failureTimes(told(imported(null), failed(2, "11:00:00")))).toEqual([at("11:00:00"), at("10:00:00")])
  })

  test("are one where one was imported and the other is its webhook, ten minutes apart at most: as the webhook tells it", () => {
    const webhook = [`1@${at("10:00:00")}`]
    expect(told(imported(1, "10:10:00"), failed(1))).toEqual(webhook)
    expect(told(imported(1, "09:50:00"), failed(1))).toEqual(webhook)
    expect(told(failed(1), imported(1, "10:10:00"))).toEqual(webhook)
    expect(told(failed(1), imported(null, "09:50:00"))).toEqual(webhook)
    expect(told(failed(1), imported(1, "10:10:01"))).toHaveLength(2)
    expect(told(imported(1, "09:49:59"), failed(1))).toHaveLength(2)
  })

  test("are two where both were imported, and one webhook replaces one of them", () => {
    expect(told(imported(1, "10:00:00"), imported(2, "10:08:00"))).toHaveLength(2)
    expect(told(imported(1, "10:00:00"), imported(2, "10:08:00"), failed(2, "10:08:00"))).toHaveLength(2)
  })

  test("are one where one has no number and is five seconds away at most: as the numbered one tells it", () => {
    const numbered = [`1@${at("10:00:00")}`]
    expect(told(failed(1), failed(null, "10:00:05"))).toEqual(numbered)
    expect(told(failed(null, "09:59:55"), failed(1))).toEqual(numbered)
    expect(told(failed(9), failed(null))).toEqual([`9@${at("10:00:00")}`])
    expect(told(failed(10), failed(null))).toEqual([`10@${at("10:00:00")}`])
    expect(told(failed(1), failed(null, "10:00:06"))).toHaveLength(2)
    expect(told(failed(null, "09:59:54"), failed(1))).toHaveLength(2)
    expect(told(imported(1), imported(null, "10:00:05"))).toEqual([`imported 1@${at("10:00:00")}`])
    expect(told(imported(null), imported(1, "10:00:05"))).toEqual([`imported 1@${at("10:00:05")}`])
  })

  test("are two where both are numbered, or neither is", () => {
    expect(told(failed(1), failed(2))).toHaveLength(2)
    expect(told(failed(null), failed(null, "10:00:01"))).toHaveLength(2)
  })

  test("count once in the case", () => {
    expect(failureCountOf(caseAfter([failed(1), failed(null, "10:00:05")]))).toBe(1)
  })
})
