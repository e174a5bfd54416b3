import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { type Fact, inLedgerOrder } from "../../facts.ts"
import { EMPTY_STATE, findCase, paymentOf } from "../../state.ts"
import { fold, rebuild } from "../fold.ts"
import { BOUNDS, type DroppedCase, newlyDropped } from "./bounds.ts"
import { OUTREACH_BOUNDS } from "./outreach.ts"

const SECOND = 1_000
const DAY = 86_400_000
const at = (ms: number) => new Date(Date.parse(make.on(0)) + ms).toISOString()
const times = (count: number, tell: (index: number) => Fact | Fact[]): Fact[] =>
  Array.from({ length: count }, (_, index) => tell(index)).flat()

const failed = (index: number) => make.paymentFailed({ at: at(index * SECOND), invoiceId: `in_${index}` })
const failedAndPaid = (index: number): Fact[] => [
  make.paymentFailed({ at: at(index * DAY), invoiceId: `in_${index}` }),
  make.paymentSucceeded({ at: at(index * DAY + SECOND), invoiceId: `in_${index}` }),
]

describe("open cases", () => {
  test("beyond the bound are not opened, and counted", () => {
    const state = rebuild(times(BOUNDS.openCases + 20, failed))
    expect(state.cases).toHaveLength(BOUNDS.openCases)
    expect(state.cases.at(0)?.id).toBe("payment_in_0")
    expect(findCase(state, `payment_in_${BOUNDS.openCases}`)).toBeUndefined()
    expect(state.refused).toEqual({ cases: 20 })
  })

  test("are all kept up to the bound, and nothing is refused", () => {
    const state = rebuild(times(BOUNDS.openCases, failed))
    expect(state.cases).toHaveLength(BOUNDS.openCases)
    expect(state).not.toHaveProperty("refused")
  })

  test("make room when they close: the next failure of an invoice opens its case", () => {
    const facts = times(BOUNDS.openCases + 1, failed)
    const refusedId = `in_${BOUNDS.openCases}`
    const later = [
      make.paymentSucceeded({ at: at(DAY), invoiceId: "in_0" }),
      make.paymentFailed({ at: at(2 * DAY), invoiceId: refusedId, attempt: 2 }),
    ]
    expect(findCase(rebuild([...facts, ...later]), `payment_${refusedId}`)).toMatchObject({ status: "open" })
  })
})

describe("closed cases", () => {
  const facts = times(BOUNDS.closedCases + 30, failedAndPaid)

  test("are dropped, the oldest first, and their payments stay for a while", () => {
    const state = rebuild(facts)
    expect(state.cases.map(({ id }) => id)).toEqual(
      times(BOUNDS.closedCases, (index) => failed(index + 30)).map(
        (fact) => `payment_${"invoiceId" in fact ? fact.invoiceId : ""}`,
      ),
    )
    expect(paymentOf(state, "in_29")).toMatchObject({ status: "succeeded" })
  })

  test("are returned when they are dropped, with their payments", () => {
    const dropped: DroppedCase[] = []
    fold(facts, EMPTY_STATE, dropped)
    expect(dropped.map(({ entry }) => entry.id)).toEqual(
      Array.from({ length: 30 }, (_, index) => `payment_in_${index}`),
    )
    expect(dropped[0]).toMatchObject({ entry: { status: "recovered" }, payment: { invoiceId: "in_0" } })
  })

  test("that are kept are still reversed by a dispute", () => {
    const invoiceId = `in_${BOUNDS.closedCases}`
    const disputed = make.disputeOpened({ at: at(500 * DAY), invoiceId })
    expect(findCase(rebuild([...facts, disputed]), `payment_${invoiceId}`)).toMatchObject({ status: "reversed" })
  })

  test("keep the numbers of cancellation cases: none is used twice", () => {
    const episodes = times(BOUNDS.closedCases + 10, (index) => [
      make.cancellationAnnounced({ at: at(index * DAY) }),
      make.subscription("subscription_resumed", { at: at(index * DAY + SECOND) }),
    ])
    const state = rebuild([...episodes, make.cancellationAnnounced({ at: at(400 * DAY) })])
    expect(state.cases.at(-1)).toMatchObject({ id: `cancellation_sub_1_${BOUNDS.closedCases + 11}`, status: "open" })
    expect(new Set(state.cases.map(({ id }) => id)).size).toBe(state.cases.length)
  })
})

describe("subscriptions", () => {
  test("that ended are dropped for new ones, the first to end first", () => {
    const facts = times(BOUNDS.subscriptions + 1, (index) =>
      index < 10
        ? make.subscriptionEnded({ at: at(index * SECOND), subscriptionId: `sub_${index}` })
        : make.subscription("subscription_started", { at: at(index * SECOND), subscriptionId: `sub_${index}` }),
    )
    const { subscriptions, refused } = rebuild(facts)
    expect(Object.hasOwn(subscriptions, "sub_9")).toBe(false)
    expect(Object.hasOwn(subscriptions, `sub_${BOUNDS.subscriptions}`)).toBe(true)
    expect(refused).toBeUndefined()
  })

  test("beyond the bound, where none has ended, are not added, and counted", () => {
    const facts = times(BOUNDS.subscriptions + 5, (index) =>
      make.subscription("subscription_started", { at: at(index * SECOND), subscriptionId: `sub_${index}` }),
    )
    const { subscriptions, refused } = rebuild(facts)
    expect(Object.keys(subscriptions)).toHaveLength(BOUNDS.subscriptions)
    expect(refused).toEqual({ subscriptions: 5 })
  })
})

describe("clicks", () => {
  test("of one case and day are one entry, with the first and the last", () => {
    const clicks = [5, 1, 9, 3].map((hour) => make.linkClicked({ at: at(hour * 3_600_000), id: `click_${hour}` }))
    expect(rebuild(clicks).outreach.clicks).toEqual([
      { id: "click_9", caseId: "payment_in_1", at: at(9 * 3_600_000), firstAt: at(3_600_000) },
    ])
  })

  test("of the newest days stay", () => {
    const { clicks } = rebuild(
      times(OUTREACH_BOUNDS.clickDays + 50, (day) => make.linkClicked({ at: at(day * DAY) })),
    ).outreach
    expect(clicks).toHaveLength(OUTREACH_BOUNDS.clickDays)
    expect(clicks.at(-1)?.at).toBe(at((OUTREACH_BOUNDS.clickDays + 49) * DAY))
  })
})

describe("parts of one invoice", () => {
  test("beyond the bound are not taken in, and do not cost more the more there are", () => {
    const state = rebuild([
      make.paymentFailed({ at: at(0), invoiceId: "in_1", amountMinor: 100_000 }),
      ...times(BOUNDS.partsOfInvoice + 20, (index) =>
        make.invoiceCredited({
          at: at(index * SECOND),
          invoiceId: "in_1",
          creditNoteId: `cn_${index}`,
          amountMinor: 1,
        }),
      ),
    ])
    expect(Object.keys(paymentOf(state, "in_1")?.credits ?? {})).toHaveLength(BOUNDS.partsOfInvoice)
    expect(findCase(state, "payment_in_1")).toMatchObject({ amountMinor: 100_000 - BOUNDS.partsOfInvoice })
  })
})

describe("the oldest are dropped", () => {
  const paid = (index: number, given: object = {}) =>
    make.paymentSucceeded({ at: at(index * DAY), invoiceId: `in_${index}`, ...given })
  const most = BOUNDS.barePayments + BOUNDS.barePaymentsSlack

  test("of payments without a case, once they exceed their bound and its slack", () => {
    expect(Object.keys(rebuild(times(most, paid)).payments)).toHaveLength(most)
    const { payments } = rebuild(times(most + 1, paid))
    expect(Object.keys(payments)).toEqual(times(BOUNDS.barePayments, (index) => paid(index + 31)).map(invoiceOf))
  })

  test("of them by when they were paid or, where they were not, failed", () => {
    // First invoices open no case.
    const unpaid = (index: number) =>
      make.paymentFailed({ at: at(index * DAY), invoiceId: `in_${index}`, isFirstInvoice: true })
    const facts = times(most + 1, (index) => (index % 2 === 0 ? paid(index) : unpaid(index)))
    const later = make.paymentSucceeded({ at: at(most * DAY), invoiceId: "in_1" })
    const { payments } = rebuild([...facts.slice(0, -1), later, ...facts.slice(-1)])
    expect(Object.hasOwn(payments, "in_1")).toBe(true)
    expect(Object.hasOwn(payments, "in_32")).toBe(true)
    expect(Object.hasOwn(payments, "in_30")).toBe(false)
  })

  test("of payments of one moment by their ids", () => {
    const facts = times(most + 1, (index) => paid(index, { at: at(0), invoiceId: `in_${9_000 - index}` }))
    const { payments } = rebuild(facts)
    expect(Object.keys(payments).sort()).toEqual(
      times(BOUNDS.barePayments, (index) => paid(index, { invoiceId: `in_${8_941 + index}` }))
        .map(invoiceOf)
        .sort(),
    )
  })

  test("of ended subscriptions, by when they ended and not when they came", () => {
    const ended = (index: number) =>
      make.subscriptionEnded({ at: at((1_000 - index) * DAY), subscriptionId: `sub_${index}` })
    const { subscriptions } = rebuild(times(BOUNDS.subscriptions + 1, ended))
    expect(Object.keys(subscriptions)).toHaveLength(BOUNDS.subscriptions + 1 - BOUNDS.subscriptionsSlack)
    expect(Object.hasOwn(subscriptions, `sub_${BOUNDS.subscriptions}`)).toBe(false)
    expect(Object.hasOwn(subscriptions, `sub_${BOUNDS.subscriptions - BOUNDS.subscriptionsSlack}`)).toBe(true)
  })

  test("of closed cases by when they closed, then by id, and never an open one", () => {
    const open = make.paymentFailed({ at: at(0), invoiceId: "in_open" })
    const long = make.paymentFailed({ at: at(0), invoiceId: "in_long" })
    const together = ["in_b", "in_a"].flatMap((invoiceId) => [
      make.paymentFailed({ at: at(DAY), invoiceId }),
      make.paymentSucceeded({ at: at(2 * DAY), invoiceId }),
    ])
    const rest = times(BOUNDS.closedCases - 1, (index) => failedAndPaid(index + 10))
    const end = make.paymentSucceeded({ at: at(900 * DAY), invoiceId: "in_long" })
    const dropped: DroppedCase[] = []
    const state = fold(inLedgerOrder([open, long, ...together, ...rest, end]), EMPTY_STATE, dropped)
    expect(dropped.map(({ entry }) => entry.id)).toEqual(["payment_in_a", "payment_in_b"])
    expect(findCase(state, "payment_in_open")).toMatchObject({ status: "open" })
    expect(findCase(state, "payment_in_long")).toMatchObject({ status: "recovered" })
  })
})

const invoiceOf = (fact: Fact): string => ("invoiceId" in fact ? (fact.invoiceId ?? "") : "")

describe("the numbers of cancellation cases", () => {
  const announced = (day: number) => make.cancellationAnnounced({ at: at(day * DAY) })

  test("do not count dropped cases of payments", () => {
    const state = rebuild([...times(BOUNDS.closedCases + 5, failedAndPaid), announced(400)])
    expect(state.cases.at(-1)?.id).toBe("cancellation_sub_1_1")
  })

  test("do not count a cancellation that was not opened because of the bound", () => {
    const state = rebuild([
      ...times(BOUNDS.openCases, failed),
      announced(1),
      make.paymentSucceeded({ at: at(2 * DAY), invoiceId: "in_0" }),
      announced(3),
    ])
    expect(state.cases.at(-1)).toMatchObject({ id: "cancellation_sub_1_1", openedAt: at(3 * DAY) })
    expect(state.refused).toEqual({ cases: 1 })
  })
})

test("prices of one subscription beyond the bound are ignored", () => {
  const items = Array.from({ length: BOUNDS.items + 1 }, (_, index) => ({ ...make.MONTHLY, priceId: `price_${index}` }))
  const stateWith = (count: number) =>
    rebuild([make.subscription("subscription_started", { at: at(0), items: items.slice(0, count) })]).subscriptions
  expect(stateWith(BOUNDS.items).sub_1?.items).toEqual(items.slice(0, BOUNDS.items))
  expect(stateWith(BOUNDS.items + 1).sub_1).toMatchObject({ id: "sub_1", items: items.slice(0, BOUNDS.items) })
})

describe("of the cases that a fold dropped, those are new", () => {
  const facts = times(BOUNDS.closedCases + 3, failedAndPaid)
  const dropped: DroppedCase[] = []
  fold(facts, EMPTY_STATE, dropped)
  const idsOf = (entries: readonly DroppedCase[]) => entries.map(({ entry }) => entry.id)
  const projected = (count: number) => rebuild(times(count, failedAndPaid))

  test("which the stored state still holds", () => {
    expect(idsOf(newlyDropped(projected(BOUNDS.closedCases), dropped))).toEqual(idsOf(dropped))
    expect(idsOf(newlyDropped(projected(BOUNDS.closedCases + 2), dropped))).toEqual(["payment_in_2"])
  })

  test("which it had not seen yet, where it is below its bound", () => {
    expect(idsOf(newlyDropped(EMPTY_STATE, dropped))).toEqual(idsOf(dropped))
    expect(idsOf(newlyDropped(projected(BOUNDS.closedCases - 1), dropped))).toEqual(idsOf(dropped))
  })

  test("but not those that it had dropped", () => {
    expect(newlyDropped(projected(BOUNDS.closedCases + 3), dropped)).toEqual([])
  })

  test("each once, as it was last", () => {
    const [first] = dropped
    if (first === undefined) throw new Error("nothing was dropped")
    const again = { ...first, entry: { ...first.entry, status: "reversed" as const } }
    expect(newlyDropped(EMPTY_STATE, [first, again])).toEqual([again])
  })

  test("and open ones only where the stored state holds them", () => {
    const [, entry] = rebuild(times(2, failed)).cases
    if (entry === undefined) throw new Error("no case is open")
    const refused = { entry, payment: undefined }
    expect(newlyDropped(rebuild(times(2, failed)), [refused])).toEqual([refused])
    expect(newlyDropped(EMPTY_STATE, [refused])).toEqual([])
  })
})
