import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { overLimitFacts } from "../../../../test/support/events/arbitrary-facts.ts"
import * as make from "../../../../test/support/events/facts.ts"
import type { Fact } from "../../facts.ts"
import { EMPTY_STATE, findCase, paymentOf } from "../../state.ts"
import { fold, rebuild } from "../fold.ts"
import { BOUNDS, type DroppedCase } from "./bounds.ts"
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

describe("the size of a state", () => {
  /** With ids of 255 characters, the longest that are accepted. */
  const BYTES_MAX_LONG_IDS = 4 * 1024 * 1024
  /** With ids as providers make them. */
  const BYTES_MAX = 512 * 1024

  test("is bounded whatever the facts", () => {
    fc.assert(
      fc.property(overLimitFacts, (facts) => {
        expect(JSON.stringify(rebuild(facts)).length).toBeLessThan(BYTES_MAX)
      }),
      { numRuns: 6 },
    )
  })

  test("is bounded for a flood of every kind, with the longest ids", () => {
    const long = (prefix: string, index: number) => `${prefix}_${index}_`.padEnd(255, "x")
    const facts = times(3_000, (index) => {
      const refs = { invoiceId: long("in", index % 400), subscriptionId: long("sub", index % 300) }
      return [
        make.subscription("subscription_changed", { at: at(index * SECOND), subscriptionId: refs.subscriptionId }),
        make.paymentFailed({ at: at(index * SECOND), ...refs, attempt: index, chargeId: long("ch", index) }),
        make.cancellationAnnounced({ at: at(index * SECOND), subscriptionId: refs.subscriptionId }),
        make.linkClicked({ at: at(index * DAY), caseId: long("case", index) }),
        make.nudgeSent({ at: at(index * SECOND), caseId: long("case", index) }),
        make.caseAssigned({ at: at(index * SECOND), caseId: long("case", index) }),
        make.incentiveApplied({ at: at(index * SECOND), caseId: long("case", index) }),
        ...(index % 3 === 0 ? [make.paymentSucceeded({ at: at(index * SECOND + 1), ...refs })] : []),
      ]
    })
    expect(JSON.stringify(rebuild(facts)).length).toBeLessThan(BYTES_MAX_LONG_IDS)
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
