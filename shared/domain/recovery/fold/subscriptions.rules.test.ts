import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { MONTHLY, on } from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { subscriptionOf } from "../../state.ts"
import { rebuild } from "../fold.ts"
import { recurringAmountMinor } from "./subscriptions.ts"

const announced = (given: Partial<Parameters<typeof make.cancellationAnnounced>[0]> = {}) =>
  make.cancellationAnnounced({ at: on(10), ...given })
const casesAfter = (...facts: readonly Fact[]) => rebuild(facts).cases
const subscriptionAfter = (...facts: readonly Fact[]) => subscriptionOf(rebuild(facts), "sub_1")

describe("a change of plan", () => {
  const other = (given: Partial<Parameters<typeof make.subscription>[1]>) =>
    make.subscription("subscription_started", { at: on(8), subscriptionId: "sub_2", startedAt: on(8), ...given })

  test.each([
    ["just before", { at: on(10, "09:59:59"), startedAt: on(10, "09:59:59") }],
    ["in the same second", { at: on(9), startedAt: on(10) }],
    ["as a trial", { status: "trialing" }],
    ["seven days before", { at: on(3), startedAt: on(3) }],
  ] as const)("is an end announced after another subscription was started %s", (_, given) => {
    expect(casesAfter(other(given), announced())).toEqual([])
  })

  test.each([
    ["more than seven days before", { at: on(2), startedAt: on(2) }],
    ["but is not paid", { status: "past_due" }],
    ["but is to end itself", { cancelAt: on(20), endBy: "other" }],
    ["at a time that is not known", { startedAt: null }],
    ["only later", { at: on(8), startedAt: on(11) }],
  ] as const)("is not an end announced where another subscription was started %s", (_, given) => {
    expect(casesAfter(other(given), announced())).toMatchObject([{ status: "open" }])
  })

  test("is not the start of the same subscription shortly before", () => {
    const own = make.subscription("subscription_started", { at: on(8), startedAt: on(8) })
    expect(casesAfter(own, announced())).toMatchObject([{ status: "open" }])
  })

  test("is not an end announced where the other subscription has ended", () => {
    const ended = make.subscriptionEnded({ at: on(9), subscriptionId: "sub_2", startedAt: on(8) })
    expect(casesAfter(other({}), ended, announced())).toMatchObject([{ status: "open" }])
  })

  test("stays one while the announcement is repeated, and keeps the rest of the subscription", () => {
    const repeated = make.subscription("subscription_changed", { at: on(30), cancelAt: on(40) })
    expect(casesAfter(other({}), announced(), repeated)).toEqual([])
    expect(subscriptionAfter(other({}), announced())).toMatchObject({ id: "sub_1", cancelAt: on(30), isSwitch: true })
  })

  const ended = make.subscriptionEnded({ at: on(30) })
  test.each([
    ["while the end is announced", [announced(), other({ at: on(12), startedAt: on(12) })], "recovered"],
    [
      "in the second of the announcement",
      [announced(), other({ at: on(10, "10:00:01"), startedAt: on(10) })],
      "recovered",
    ],
    ["seven days after the end", [announced(), ended, other({ at: on(37), startedAt: on(37) })], "recovered"],
    ["eight days after the end", [announced(), ended, other({ at: on(38), startedAt: on(38) })], "lost"],
    [
      "after the end, as its event alone tells",
      [announced(), ended, other({ at: on(32), startedAt: null })],
      "recovered",
    ],
    ["after the end, unpaid", [announced(), ended, other({ at: on(32), startedAt: on(32), status: "unpaid" })], "lost"],
    [
      "after the end, and is to end itself",
      [announced(), ended, other({ at: on(32), startedAt: on(32), cancelAt: on(60), endBy: "other" })],
      "lost",
    ],
    [
      "after an operator closed the case",
      [
        announced(),
        make.closedByOperator({ at: on(11), caseId: "cancellation_sub_1_1" }),
        other({ at: on(12), startedAt: on(12) }),
      ],
      "lost",
    ],
  ] as const)("closes the case as switched where the member starts another subscription %s", (_, facts, status) => {
    const [first] = casesAfter(...facts)
    expect(first?.status).toBe(status)
    expect(first?.closeReason === "switched").toBe(status === "recovered")
  })

  test("is not told by a snapshot of a subscription that does not say when it was started", () => {
    const seen = make.subscription("subscription_changed", { at: on(12), subscriptionId: "sub_2" })
    expect(casesAfter(announced(), seen)).toMatchObject([{ status: "open" }])
  })

  test("is not told by the subscription itself, started again after its end", () => {
    const again = make.subscription("subscription_started", { at: on(32), startedAt: on(32) })
    expect(casesAfter(announced(), ended, again)).toMatchObject([{ status: "lost", closeReason: "subscription_ended" }])
  })

  test("leaves a withdrawn announcement as it was", () => {
    const resumed = make.subscription("subscription_resumed", { at: on(11) })
    expect(casesAfter(announced(), resumed, other({ at: on(12), startedAt: on(12) }))).toMatchObject([
      { status: "recovered", closeReason: "resumed", closedAt: on(11) },
    ])
  })
})

describe("what a cancellation is worth", () => {
  const metered = [{ ...MONTHLY, usageType: "metered" as const }]
  const paid = (invoiceId: string, day: number, amountMinor: number, given: object = {}) =>
    make.paymentSucceeded({ at: on(day), invoiceId, amountMinor, ...given })

  test.each([
    ["one period by its prices, whatever was paid", [paid("in_1", 1, 500)], [MONTHLY], 1_999],
    ["what was last paid, where no price is known", [paid("in_1", 1, 500), paid("in_2", 5, 700)], metered, 700],
    ["what was last paid, in any order of invoices", [paid("in_1", 5, 700), paid("in_2", 1, 500)], metered, 700],
    ["the greater invoice of one second", [paid("in_1", 5, 500), paid("in_2", 5, 700)], metered, 700],
    ["nothing where nothing was paid", [], metered, 0],
    [
      "nothing where only another subscription was paid",
      [paid("in_1", 1, 500, { subscriptionId: "sub_2" })],
      metered,
      0,
    ],
    ["nothing where the payment failed", [make.paymentFailed({ at: on(1), amountMinor: 500 })], metered, 0],
  ] as const)("is %s", (_, facts, items, amountMinor) => {
    expect(casesAfter(...facts, announced({ items: [...items], currency: "eur" })).at(-1)).toMatchObject({
      kind: "cancellation",
      amountMinor,
      currency: amountMinor === 1_999 || amountMinor === 0 ? "eur" : "usd",
    })
  })

  test("counts licensed prices times quantity, within the safe integers", () => {
    const unknown = { ...MONTHLY, unitAmountMinor: null }
    const huge = { ...MONTHLY, unitAmountMinor: Number.MAX_SAFE_INTEGER, quantity: 2 }
    expect(recurringAmountMinor([{ ...MONTHLY, quantity: 2 }, unknown, ...metered])).toBe(3_998)
    expect(recurringAmountMinor([huge])).toBe(Number.MAX_SAFE_INTEGER)
  })
})

test("a cancellation case begins without a failure, a dispute or a payment method", () => {
  expect(casesAfter(announced())).toMatchObject([
    { needsAuthentication: false, declineCode: null, invoiceFailures: [], chargeFailures: [], disputeId: null },
  ])
})

describe("who asked for the end", () => {
  const term = make.subscription("subscription_started", { at: on(0), cancelAt: on(120) })

  test.each([
    ["a term that a start announces is fixed", [term], "other"],
    [
      "a start that names who asked for the end is taken at its word",
      [make.subscription("subscription_started", { at: on(0), cancelAt: on(120), endBy: "member" })],
      "member",
    ],
    [
      "a fixed term that a later event repeats stays fixed",
      [term, make.subscription("subscription_changed", { at: on(1), cancelAt: on(120), endBy: "member" })],
      "other",
    ],
    [
      "an announcement is the member's, also within a fixed term",
      [term, announced({ cancelAt: on(120), endBy: "member" })],
      "member",
    ],
    [
      "an end of a subscription without a term is the member's",
      [
        make.subscription("subscription_started", { at: on(0) }),
        make.subscription("subscription_changed", { at: on(1), cancelAt: on(30), endBy: "member" }),
      ],
      "member",
    ],
    [
      "an end by the member does not make a later one a fixed term",
      [announced({ endBy: "member" }), make.subscription("subscription_changed", { at: on(11), cancelAt: on(60) })],
      undefined,
    ],
  ] as const)("%s", (_, facts, endBy) => {
    expect(subscriptionAfter(...facts)?.endBy).toBe(endBy)
  })

  test("withdrawing a cancellation within a fixed term recovers its case, and no other event does", () => {
    const within = announced({ cancelAt: on(60), endBy: "member" })
    const back = (kind: "subscription_resumed" | "subscription_changed") =>
      make.subscription(kind, { at: on(20), cancelAt: on(120), endBy: "other" })
    expect(casesAfter(term, within, back("subscription_resumed"))).toMatchObject([{ closeReason: "resumed" }])
    expect(casesAfter(term, within, back("subscription_changed"))).toMatchObject([{ status: "open" }])
    const moved = make.subscription("subscription_resumed", { at: on(20), cancelAt: on(50), endBy: "member" })
    expect(casesAfter(term, within, moved)).toMatchObject([{ status: "open" }])
  })
})

describe("a subscription keeps", () => {
  const first = make.subscription("subscription_started", { at: on(0), currentPeriodEnd: on(30) })
  const later = (given: Partial<Parameters<typeof make.subscription>[1]>) =>
    make.subscription("subscription_changed", { at: on(1), ...given })
  const yearly = { ...MONTHLY, priceId: "price_2", unitAmountMinor: 9_900, interval: "year" as const, intervalCount: 2 }

  test("only the fields that were stated", () => {
    const known = subscriptionAfter(first)
    for (const field of ["endBy", "pauseEndsAt", "second", "unsettledAt", "wasFree", "droppedEpisodes", "isSwitch"])
      expect(known).not.toHaveProperty(field)
    expect(subscriptionAfter(make.subscription("subscription_started", { at: on(0), items: [] }))?.items).toEqual([])
  })

  test("the newest end of its period", () => {
    expect(subscriptionAfter(first, later({ currentPeriodEnd: on(60) }))?.currentPeriodEnd).toBe(on(60))
    expect(subscriptionAfter(first, later({}))?.currentPeriodEnd).toBe(on(30))
  })

  test.each([
    ["a new amount of a price", { ...MONTHLY, unitAmountMinor: 2_500 }, { ...MONTHLY, unitAmountMinor: 2_500 }],
    ["the amount of a price that comes without one", { ...MONTHLY, unitAmountMinor: null }, MONTHLY],
    [
      "the stated interval of a price without an amount",
      { ...MONTHLY, unitAmountMinor: null, interval: "week", intervalCount: 3 },
      { ...MONTHLY, interval: "week", intervalCount: 3 },
    ],
    [
      "the known interval and its count, where none is stated",
      { ...yearly, unitAmountMinor: null, interval: null, intervalCount: 1 },
      yearly,
    ],
    [
      "no amount of another price",
      { ...MONTHLY, priceId: "price_3", unitAmountMinor: null },
      {
        ...MONTHLY,
        priceId: "price_3",
        unitAmountMinor: null,
      },
    ],
  ] as const)("%s", (_, stated, kept) => {
    const known = make.subscription("subscription_started", { at: on(0), items: [MONTHLY, yearly] })
    expect(subscriptionAfter(known, later({ items: [stated] }))?.items).toEqual([kept])
  })

  test.each([
    ["a licensed price of zero", [{ ...MONTHLY, unitAmountMinor: 0 }], true],
    ["two licensed prices, one above zero", [{ ...MONTHLY, unitAmountMinor: 0 }, MONTHLY], undefined],
    ["a metered price of zero", [{ ...MONTHLY, unitAmountMinor: 0, usageType: "metered" }], undefined],
    ["no price", [], undefined],
  ] as const)("that it was free, which is for %s", (_, items, wasFree) => {
    const free = make.subscription("subscription_started", { at: on(0), items: [...items] })
    expect(subscriptionAfter(free)?.wasFree).toBe(wasFree)
  })

  test.each([
    ["paid", make.paymentSucceeded({ at: on(-1) }), true],
    ["paid for another subscription", make.paymentSucceeded({ at: on(-1), subscriptionId: "sub_2" }), false],
    ["paid nothing", make.paymentSucceeded({ at: on(-1), amountMinor: 0 }), false],
    ["failed", make.paymentFailed({ at: on(-1) }), false],
  ])("that it was paid for, which it is not unless an invoice of its own was: %s", (_, payment, hasPaid) => {
    expect(subscriptionAfter(payment, first)?.hasPaid).toBe(hasPaid)
  })
})

describe("when a subscription ends", () => {
  test("its payment and at-risk cases are lost, and a closed cancellation case stays as it was", () => {
    const facts = [
      make.paymentFailed({ at: on(1) }),
      announced({ at: on(2) }),
      make.subscription("subscription_resumed", { at: on(3) }),
      make.riskDetected({ at: on(4) }),
      make.subscriptionEnded({ at: on(5) }),
    ]
    expect(casesAfter(...facts).map(({ kind, status, closeReason }) => [kind, status, closeReason])).toEqual([
      ["payment", "lost", "subscription_ended"],
      ["cancellation", "recovered", "resumed"],
      ["at_risk", "lost", "subscription_ended"],
    ])
  })

  test("because the provider has given up, an announced cancellation stays open", () => {
    const unpaid = make.subscription("subscription_changed", { at: on(12), status: "unpaid", cancelAt: on(30) })
    expect(casesAfter(make.paymentFailed({ at: on(1) }), announced(), unpaid)).toMatchObject([
      { kind: "payment", status: "lost", closeReason: "provider_gave_up" },
      { kind: "cancellation", status: "open" },
    ])
  })
})

test("an announced end closes an open at-risk case, and leaves a closed one as it was", () => {
  const bought = make.subscription("subscription_started", { at: on(0) })
  const risk = make.riskDetected({ at: on(1) })
  expect(casesAfter(bought, risk, announced())).toMatchObject([
    { kind: "at_risk", status: "lost", closeReason: "cancellation_announced" },
    { kind: "cancellation", status: "open" },
  ])
  const passed = make.riskPassed({ at: on(2) })
  expect(casesAfter(bought, risk, passed, announced()).map(({ closeReason }) => closeReason)).toEqual(["stayed", null])
})

test("a cancellation opens for a member who is past due, and has been paying", () => {
  const paid = make.paymentSucceeded({ at: on(1) })
  expect(casesAfter(paid, announced({ status: "past_due", trialEnd: on(1) }))).toHaveLength(1)
  expect(casesAfter(announced({ status: "active", trialEnd: on(1) }))).toHaveLength(1)
})
