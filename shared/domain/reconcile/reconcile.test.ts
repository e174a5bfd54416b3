import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import type { Fact, SubscriptionSnapshot } from "../facts.ts"
import { fold } from "../recovery/fold.ts"
import { EMPTY_STATE } from "../state.ts"
import {
  DELIVERY_GRACE_MS,
  duplicateKeyOf,
  fullWindow,
  hasEnded,
  historyCutoff,
  recentWindow,
  subscriptionDifferences,
} from "./reconcile.ts"

const NOW = "2026-03-31T12:00:00.000Z"

describe("the window of a pass", () => {
  test("starts a day ago where nothing was compared yet, and has no gap", () => {
    expect(recentWindow(null, NOW, 30)).toEqual({ from: "2026-03-30T12:00:00.000Z", until: NOW, gap: null })
  })

  test("starts an hour before the last one ended, however long ago that was", () => {
    expect(recentWindow("2026-03-31T11:45:00.000Z", NOW, 30).from).toBe("2026-03-31T10:45:00.000Z")
    expect(recentWindow("2026-03-05T12:00:00.000Z", NOW, 30)).toMatchObject({
      from: "2026-03-05T11:00:00.000Z",
      gap: null,
    })
  })

  test("has a gap only from where the last comparison ended to where the list starts", () => {
    expect(recentWindow("2026-02-01T00:00:00.000Z", NOW, 30)).toEqual({
      from: "2026-03-01T12:00:00.000Z",
      until: NOW,
      gap: { from: "2026-02-01T00:00:00.000Z", to: "2026-03-01T12:00:00.000Z" },
    })
    // Only the overlap is older than the list.
    expect(recentWindow("2026-03-01T12:30:00.000Z", NOW, 30)).toMatchObject({
      from: "2026-03-01T12:00:00.000Z",
      gap: null,
    })
    expect(recentWindow("2025-01-01T00:00:00.000Z", NOW, null).gap).toBeNull()
  })

  test("never starts after its end when the clock was set back", () => {
    expect(recentWindow("2026-05-01T00:00:00.000Z", NOW, 30)).toMatchObject({
      from: "2026-03-31T11:00:00.000Z",
      until: NOW,
    })
  })

  test("has a gap where nothing was compared yet and the list is shorter than a day", () => {
    expect(recentWindow(null, NOW, 0.5).gap).toEqual({
      from: "2026-03-30T12:00:00.000Z",
      to: "2026-03-31T00:00:00.000Z",
    })
  })

  test("has no gap where the list starts exactly where the last comparison ended", () => {
    const listStart = "2026-03-01T12:00:00.000Z"
    expect(recentWindow(listStart, NOW, 30).gap).toBeNull()
    expect(fullWindow(listStart, NOW, 30).gap).toBeNull()
  })

  test("of a full pass is 30 days where the list has no bound", () => {
    expect(fullWindow(null, NOW, null)).toEqual({ from: "2026-03-01T12:00:00.000Z", until: NOW, gap: null })
    expect(fullWindow(null, NOW, 7).from).toBe("2026-03-24T12:00:00.000Z")
  })

  test("leaves webhooks two minutes for their delivery", () => {
    expect(DELIVERY_GRACE_MS).toBe(120_000)
  })

  test("of a full pass is the whole list, or what was requested", () => {
    expect(fullWindow(null, NOW, 30)).toEqual({ from: "2026-03-01T12:00:00.000Z", until: NOW, gap: null })
    expect(fullWindow("2026-03-20T00:00:00.000Z", NOW, 30)).toMatchObject({
      from: "2026-03-20T00:00:00.000Z",
      gap: null,
    })
    expect(fullWindow("2026-01-20T00:00:00.000Z", NOW, 30).gap).toEqual({
      from: "2026-01-20T00:00:00.000Z",
      to: "2026-03-01T12:00:00.000Z",
    })
  })
})

test("duplicates of one fact share their key, other facts do not", () => {
  const one = make.paymentFailed({ at: make.on(0), declineCode: "insufficient_funds" })
  const other = make.paymentFailed({ at: make.on(0, "10:00:05") })
  expect(duplicateKeyOf(one)).toEqual(duplicateKeyOf(other))
  expect(duplicateKeyOf(one)).not.toEqual(duplicateKeyOf(make.paymentFailed({ at: make.on(0), attempt: 2 })))
  expect(duplicateKeyOf(make.refunded({ at: make.on(0), amountMinor: 5 }))).not.toEqual(
    duplicateKeyOf(make.refunded({ at: make.on(0), amountMinor: 6 })),
  )
  expect(duplicateKeyOf(make.customerSeen({ at: make.on(0) }))).toBeNull()
})

describe("a fact is identified by", () => {
  const at = make.on(0)
  test.each<[string, Fact, ReturnType<typeof duplicateKeyOf>]>([
    ["invoice and attempt, if it failed", make.paymentFailed({ at, attempt: 2 }), { invoiceId: "in_1", attempt: 2 }],
    ["invoice, if it was paid", make.paymentSucceeded({ at }), { invoiceId: "in_1" }],
    ["invoice, if it was voided", make.invoiceVoided({ at }), { invoiceId: "in_1" }],
    ["invoice, if it was written off", make.invoiceUncollectible({ at }), { invoiceId: "in_1" }],
    [
      "invoice and amount, if it was refunded",
      make.refunded({ at, amountMinor: 5 }),
      { invoiceId: "in_1", amountMinor: 5 },
    ],
    ["dispute, if it was opened", make.disputeOpened({ at }), { disputeId: "dp_1" }],
    ["dispute and outcome, if it was closed", make.disputeClosed({ at }), { disputeId: "dp_1", outcome: "won" }],
    ["nothing, if it is of another kind", make.cardAdded({ at }), null],
  ])("%s", (_, fact, key) => {
    expect(duplicateKeyOf(fact)).toStrictEqual(key)
  })
})

test("a subscription has ended once its end is recorded", () => {
  const began = make.subscription("subscription_started", { at: make.on(0) })
  expect(hasEnded(EMPTY_STATE, "sub_1")).toBe(false)
  expect(hasEnded(fold([began]), "sub_1")).toBe(false)
  expect(hasEnded(fold([began, make.subscriptionEnded({ at: make.on(3) })]), "sub_1")).toBe(true)
})

describe("the differences of a subscription", () => {
  const known = fold([
    make.subscription("subscription_started", { at: make.on(0), startedAt: make.on(0), currentPeriodEnd: make.on(30) }),
  ])
  const differencesTo = (provided: Parameters<typeof make.subscription>[1]) =>
    subscriptionDifferences(known, "sub_1", [make.subscription("subscription_changed", provided)]).map(
      ({ field, ours, theirs }) => `${field}: ${ours} → ${theirs}`,
    )

  test("are listed by field, with both values", () => {
    expect(differencesTo({ at: make.on(5), status: "past_due" })).toEqual(["status: active → past_due"])
    expect(differencesTo({ at: make.on(5), cancelAt: make.on(30) })).toEqual([`cancelAt: null → ${make.on(30)}`])
    expect(differencesTo({ at: make.on(5), items: [{ ...make.MONTHLY, quantity: 2 }] })).toEqual([
      "items: 1×price_1@1999/1month → 2×price_1@1999/1month",
    ])
  })

  test.each<[string, Partial<SubscriptionSnapshot>, string]>([
    ["currency", { currency: "eur" }, "usd → eur"],
    ["startedAt", { startedAt: make.on(1) }, `${make.on(0)} → ${make.on(1)}`],
    ["currentPeriodEnd", { currentPeriodEnd: make.on(60) }, `${make.on(30)} → ${make.on(60)}`],
    ["trialEnd", { trialEnd: make.on(14) }, `null → ${make.on(14)}`],
    ["paused", { paused: "requested" }, "null → requested"],
  ])("include %s", (field, given, change) => {
    expect(differencesTo({ at: make.on(5), ...given })).toEqual([`${field}: ${change}`])
  })

  test("include the end, whose time is not compared", () => {
    const end = make.subscriptionEnded({ at: make.on(5), endedAt: make.on(4) })
    expect(subscriptionDifferences(known, "sub_1", [end])).toContainEqual({
      ...{ subscriptionId: "sub_1", field: "endedAt", ours: null, theirs: make.on(4) },
    })
    const resumed = make.subscription("subscription_resumed", { at: make.on(9) })
    expect(subscriptionDifferences(fold([end], known), "sub_1", [resumed])).toContainEqual({
      ...{ subscriptionId: "sub_1", field: "endedAt", ours: make.on(4), theirs: null },
    })
    const other = make.subscriptionEnded({ at: make.on(9), endedAt: make.on(3) })
    expect(subscriptionDifferences(fold([end], known), "sub_1", [other])).toEqual([])
  })

  test("describe items by quantity, price, amount, period and how usage is billed, in the order of the text", () => {
    const { MONTHLY } = make
    const items = [
      { ...MONTHLY, priceId: "price_2", unitAmountMinor: 5, usageType: "metered" as const },
      { ...MONTHLY, priceId: null, unitAmountMinor: null, interval: null },
    ]
    const [first, second] = [items, items.toReversed()].map((given) => differencesTo({ at: make.on(5), items: given }))
    expect(first).toEqual(["items: 1×price_1@1999/1month → 1×?@?/1? 1×price_2@5/1month metered"])
    expect(second).toEqual(first)
  })

  test("are none for a subscription that neither side knows", () => {
    expect(subscriptionDifferences(EMPTY_STATE, "sub_1", [])).toEqual([])
    expect(subscriptionDifferences(known, "sub_2", [])).toEqual([])
    expect(subscriptionDifferences(known, "sub_1", [])).toEqual([])
  })

  test("do not include a date that stands for the time of reading, where we have one", () => {
    expect(differencesTo({ at: make.on(5), currentPeriodEnd: make.on(5) })).toEqual([])
    expect(differencesTo({ at: make.on(5), trialEnd: make.on(5) })).toEqual([`trialEnd: null → ${make.on(5)}`])
    const facts = [
      make.subscription("subscription_changed", { at: make.on(5), currentPeriodEnd: make.on(6) }),
      make.subscription("subscription_changed", { at: make.on(6), currentPeriodEnd: make.on(5) }),
    ]
    expect(subscriptionDifferences(known, "sub_1", facts)).toMatchObject([{ field: "currentPeriodEnd" }])
  })

  test("do not include what the provider leaves out", () => {
    expect(
      differencesTo({ at: make.on(5), currentPeriodEnd: null, trialEnd: null, startedAt: null, currency: null }),
    ).toEqual([])
    expect(differencesTo({ at: make.on(5), items: [] })).toEqual([])
    expect(differencesTo({ at: make.on(5), items: [{ ...make.MONTHLY, unitAmountMinor: null }] })).toEqual([])
  })

  test("of an unknown subscription are all given fields", () => {
    const facts = [make.subscription("subscription_changed", { at: make.on(5) })]
    expect(subscriptionDifferences(EMPTY_STATE, "sub_1", facts).map(({ field, ours }) => [field, ours])).toEqual([
      ["status", null],
      ["currency", null],
      ["items", null],
    ])
  })

  test("do not include the time of reading, where the provider gives no time", () => {
    const end = (day: number) => make.subscriptionEnded({ at: make.on(day) })
    expect(subscriptionDifferences(fold([end(3)]), "sub_1", [end(4)])).toEqual([])
  })
})

describe("a listed event", () => {
  const now = new Date("2026-03-20T12:00:00Z")
  const day = (n: number) => new Date(`2026-03-${String(n).padStart(2, "0")}T00:00:00Z`)
  test.each([
    ["before the company's first event", { beganAt: day(10), importedUntil: null }, "2026-03-10T00:00:00.000Z"],
    ["but never within the last three days", { beganAt: day(20), importedUntil: null }, "2026-03-17T12:00:00.000Z"],
    [
      "nor within them where no event was ever received",
      { beganAt: null, importedUntil: null },
      "2026-03-17T12:00:00.000Z",
    ],
    ["before the end of the imported period", { beganAt: day(10), importedUntil: day(19) }, "2026-03-19T00:00:00.000Z"],
    [
      "before the first event also where an import ended earlier",
      { beganAt: day(10), importedUntil: day(2) },
      "2026-03-10T00:00:00.000Z",
    ],
  ])("is history %s", (_, begun, expected) => {
    expect(historyCutoff(begun, now)).toBe(expected)
  })
})
