import { describe, expect, test } from "vitest"
import { type Fact, inLedgerOrder, type SubscriptionSnapshot } from "../facts.ts"
import { fold, rebuild } from "../recovery/fold.ts"
import { EMPTY_STATE } from "../state.ts"
import { DEFAULT_MILESTONES, nextMilestoneAt, reachedByStep, reachedByTime } from "./milestones.ts"

const at = (day: number) => new Date(Date.UTC(2026, 0, 1) + day * 86_400_000).toISOString()

const subscription = (day: number, more: Partial<SubscriptionSnapshot> = {}): SubscriptionSnapshot => ({
  ...{ subscriptionId: "sub", status: "active", currency: "usd", items: [], startedAt: at(day) },
  ...{ currentPeriodEnd: null, trialEnd: null, cancelAt: null, endedAt: null, paused: null },
  ...more,
})

const started = (day: number, more: Partial<SubscriptionSnapshot> = {}): Fact => ({
  ...{ kind: "subscription_started", id: `started_${day}`, occurredAt: at(day) },
  subscription: subscription(day, more),
})

const paid = (day: number, more: { readonly amountMinor?: number; readonly origin?: "history" } = {}): Fact => ({
  ...{ kind: "payment_succeeded", id: `paid_${day}`, occurredAt: at(day), how: "collected", amountMinor: 900 },
  ...{ currency: "usd", invoiceId: `in_${day}`, subscriptionId: "sub", chargeId: null, paymentIntentId: null },
  ...more,
})

const ended = (day: number, began: number): Fact => ({
  ...{ kind: "subscription_ended", id: `ended_${day}`, occurredAt: at(day), reason: "requested" },
  subscription: subscription(began, { status: "canceled", endedAt: at(day) }),
})

const used = (day: number, quantity: number, meter = "logins", origin?: "history"): Fact => ({
  ...{ kind: "usage_recorded", id: `used_${day}_${meter}`, occurredAt: at(day), meter, quantity, subscriptionId: null },
  ...(origin && { origin }),
})

/** The milestones of a step, as `key@day`. */
function keysOf(earlier: readonly Fact[], later: readonly Fact[], day: number, isWhole = false) {
  const before = earlier.length === 0 ? null : rebuild(earlier)
  const facts = inLedgerOrder(isWhole ? [...earlier, ...later] : later)
  const state = isWhole ? rebuild(facts) : fold(facts, before ?? undefined)
  const reached = reachedByStep(
    { before, from: isWhole ? EMPTY_STATE : (before ?? EMPTY_STATE), state, facts },
    DEFAULT_MILESTONES,
    at(day),
  )
  return reached.map(({ key, reachedAt }) => `${key}@${(Date.parse(reachedAt) - Date.parse(at(0))) / 86_400_000}`)
}

describe("the first payment", () => {
  test("is a milestone, and the second is not", () => {
    expect(keysOf([started(0)], [paid(0)], 0)).toEqual(["first_payment@0"])
    expect(keysOf([started(0), paid(0)], [paid(30)], 30)).toEqual([])
  })

  test("that arrives late after another one is not a milestone", () => {
    expect(keysOf([started(0), paid(1)], [paid(0)], 1, true)).toEqual([])
  })

  test.each([
    ["costs nothing", [started(0)], [paid(0, { amountMinor: 0 })], 0],
    ["was imported", [started(0)], [paid(0, { origin: "history" })], 0],
    ["occurred long ago", [started(0)], [paid(0)], 8],
    ["is the first we see of an older customer", [started(0)], [paid(60)], 60],
  ] as const)("that %s is not a milestone", (_, earlier, later, day) => {
    expect(keysOf(earlier, later, day)).toEqual([])
  })

  test("after a long trial is a milestone", () => {
    const trial = { status: "trialing", trialEnd: at(60) } as const
    expect(keysOf([started(0, trial)], [paid(60)], 60)).toEqual(["first_payment@60"])
  })
})

describe("the first payment of a customer", () => {
  const step = (facts: readonly Fact[], settings = DEFAULT_MILESTONES, now = at(1)) =>
    reachedByStep(
      { before: null, from: EMPTY_STATE, state: rebuild(facts), facts: inLedgerOrder(facts) },
      settings,
      now,
    )

  test("has its time and no detail", () => {
    expect(step([started(0), paid(1)])).toEqual([
      { key: "first_payment", kind: "first_payment", reachedAt: at(1), detail: {} },
    ])
  })

  test("is the earliest one with an amount", () => {
    const reached = step([started(0), paid(0, { amountMinor: 0 }), paid(2), paid(1)], DEFAULT_MILESTONES, at(2))
    expect(reached.map(({ reachedAt }) => reachedAt)).toEqual([at(1)])
  })

  test("is the earliest one, though another invoice was there first", () => {
    const { kind: _, how: __, ...bill } = paid(0) as Extract<Fact, { kind: "payment_succeeded" }>
    const failed = {
      ...bill,
      kind: "payment_failed",
      id: "failed",
      attempt: 1,
      declineCode: null,
      isFirstInvoice: false,
    } as Fact
    const late = { ...paid(2), invoiceId: "in_0" } as Fact
    const reached = step([started(0), failed, paid(1), late], DEFAULT_MILESTONES, at(2))
    expect(reached.map(({ reachedAt }) => reachedAt)).toEqual([at(1)])
  })

  test("is none if it was imported, among other facts", () => {
    expect(step([started(0), paid(1, { origin: "history" })])).toEqual([])
  })

  test("counts for seven days after it, the last included", () => {
    expect(step([started(0), paid(0)], DEFAULT_MILESTONES, at(7))).toHaveLength(1)
    expect(step([started(0), paid(0)], DEFAULT_MILESTONES, at(7.001))).toEqual([])
  })

  test("counts up to 45 days after the start", () => {
    expect(step([started(0), paid(45)], DEFAULT_MILESTONES, at(45))).toHaveLength(1)
    expect(step([started(0), paid(45.001)], DEFAULT_MILESTONES, at(46))).toEqual([])
  })

  test("counts without a known start", () => {
    expect(step([paid(1)])).toHaveLength(1)
    expect(step([started(0, { startedAt: null }), paid(60)], DEFAULT_MILESTONES, at(60))).toHaveLength(1)
  })

  test("does not count where another subscription began long before", () => {
    const older = { ...started(-60, { subscriptionId: "older" }), id: "older" }
    expect(step([older, started(0), paid(1)])).toEqual([])
  })

  test("counts, though another fact of its moment or another payment was imported", () => {
    const imported = { ...started(1), origin: "history" } as const
    expect(step([imported, paid(1)])).toHaveLength(1)
    expect(step([started(0), paid(1), paid(2, { origin: "history" })], DEFAULT_MILESTONES, at(2))).toHaveLength(1)
  })

  test("is none if the company does not want it, or the customer was erased", () => {
    expect(step([started(0), paid(1)], { ...DEFAULT_MILESTONES, firstPayment: false })).toEqual([])
    const erased: Fact = { kind: "customer_seen", id: "gone", occurredAt: at(0), deleted: true }
    expect(step([erased, started(0), paid(1)])).toEqual([])
  })
})

test("without settings: the first payment, a month, a year, and three totals of any meter; not announced", () => {
  expect(DEFAULT_MILESTONES).toEqual({
    firstPayment: true,
    tenureDays: [30, 365],
    usage: [
      { meter: null, total: 100 },
      { meter: null, total: 1_000 },
      { meter: null, total: 10_000 },
    ],
    announce: false,
  })
})

describe("a usage milestone", () => {
  const reachedIn = (facts: readonly Fact[], usage: (typeof DEFAULT_MILESTONES)["usage"], now = at(1)) =>
    reachedByStep(
      { before: null, from: EMPTY_STATE, state: rebuild(facts), facts },
      { ...DEFAULT_MILESTONES, usage },
      now,
    )

  test("has the meter, the total and the time of the record that passed it", () => {
    const facts = [used(0, 99), used(1, 500, "exports"), used(2, 1)]
    expect(reachedIn(facts, [{ meter: "logins", total: 100 }], at(2))).toEqual([
      { key: "usage_logins_100", kind: "usage", reachedAt: at(2), detail: { meter: "logins", total: 100 } },
    ])
  })

  test("of any meter is reached by each", () => {
    const facts = [used(0, 100), used(1, 100, "exports"), used(1, 99, "calls")]
    expect(reachedIn(facts, [{ meter: null, total: 100 }]).map(({ key }) => key)).toEqual([
      "usage_logins_100",
      "usage_exports_100",
    ])
  })

  test("is not reached by a meter with the name of an inherited property", () => {
    const facts = [used(0, 5, "constructor")]
    expect(reachedIn(facts, [{ meter: null, total: 5 }]).map(({ key }) => key)).toEqual(["usage_constructor_5"])
  })

  test("that was reached before is not reached again, also where the ledger is read in part", () => {
    const before = rebuild([used(0, 100)])
    const facts = [used(1, 1)]
    const settings = { ...DEFAULT_MILESTONES, usage: [{ meter: null, total: 100 }] }
    expect(reachedByStep({ before, from: before, state: fold(facts, before), facts }, settings, at(1))).toEqual([])
    const from = rebuild([used(0, 100)])
    expect(reachedByStep({ before: null, from, state: fold(facts, from), facts }, settings, at(1))).toEqual([])
  })

  test("reached by a live record counts, though earlier ones were imported", () => {
    const facts = [used(0, 60, "logins", "history"), used(1, 60)]
    expect(reachedIn(facts, [{ meter: null, total: 100 }]).map(({ reachedAt }) => reachedAt)).toEqual([at(1)])
  })

  test("is reached by the record that passes it, once", () => {
    expect(keysOf([used(0, 99)], [used(1, 1)], 1)).toEqual(["usage_logins_100@1"])
    for (const isWhole of [false, true]) {
      expect(keysOf([used(0, 99), used(1, 1)], [used(2, 50)], 2, isWhole)).toEqual([])
    }
  })

  test("is the same for the whole ledger and for only the later facts", () => {
    const [earlier, later] = [
      [used(0, 60), used(1, 30)],
      [used(2, 5), used(3, 920)],
    ]
    expect(keysOf(earlier, later, 4)).toEqual(["usage_logins_100@3", "usage_logins_1000@3"])
    expect(keysOf(earlier, later, 4, true)).toEqual(keysOf(earlier, later, 4))
  })

  test("is found once if a ledger is read in pages", () => {
    const pages = [[used(0, 60), paid(0), started(0)], [used(1, 50)], [used(2, 5), used(3, 920)]]
    let from = EMPTY_STATE
    const reached = pages.flatMap((page) => {
      const facts = inLedgerOrder(page)
      const step = { before: null, from, state: fold(facts, from), facts }
      from = step.state
      return reachedByStep(step, DEFAULT_MILESTONES, at(4)).map(({ key, reachedAt }) => `${key} ${reachedAt}`)
    })
    expect(reached).toEqual([`first_payment ${at(0)}`, `usage_logins_100 ${at(1)}`, `usage_logins_1000 ${at(3)}`])
  })

  test("reached long ago or by an import is ignored", () => {
    expect(keysOf([], [used(0, 500), used(20, 1)], 20)).toEqual([])
    expect(keysOf([], [used(0, 500, "logins", "history")], 0)).toEqual([])
  })

  test("of one meter does not count for another", () => {
    const settings = { ...DEFAULT_MILESTONES, usage: [{ meter: "exports", total: 10 }] }
    const facts = [used(0, 500), used(1, 10, "exports")]
    const reached = reachedByStep({ before: null, from: EMPTY_STATE, state: rebuild(facts), facts }, settings, at(1))
    expect(reached.map(({ key }) => key)).toEqual(["usage_exports_10"])
  })
})

describe("a tenure milestone", () => {
  const paying = rebuild([started(0), paid(0)])

  test("is due after a month and after a year, counted from the start of paying", () => {
    expect(nextMilestoneAt(paying, DEFAULT_MILESTONES, at(0))).toBe(at(30))
    expect(nextMilestoneAt(paying, DEFAULT_MILESTONES, at(30))).toBe(at(365))
    expect(nextMilestoneAt(paying, DEFAULT_MILESTONES, at(365))).toBeNull()
    const trial = rebuild([started(0, { trialEnd: at(14) }), paid(14)])
    expect(nextMilestoneAt(trial, DEFAULT_MILESTONES, at(14))).toBe(at(44))
  })

  test("is reached if it fell due since the planned time, not before", () => {
    const reached = (since: number, now: number) =>
      reachedByTime(paying, DEFAULT_MILESTONES, { since: at(since), now: at(now) }).map(({ key }) => key)
    expect(reached(30, 31)).toEqual(["tenure_30"])
    expect(reached(31, 364)).toEqual([])
    expect(reached(365, 365)).toEqual(["tenure_365"])
  })

  test("has its days and its time", () => {
    const mark = { key: "tenure_30", kind: "tenure", reachedAt: at(30), detail: { days: 30 } }
    expect(reachedByTime(paying, DEFAULT_MILESTONES, { since: at(29), now: at(30) })).toEqual([mark])
  })

  test("is due next, whatever the order of the settings", () => {
    const settings = { ...DEFAULT_MILESTONES, tenureDays: [365, 30, 90] }
    expect(nextMilestoneAt(paying, settings, at(0))).toBe(at(30))
    expect(nextMilestoneAt(paying, settings, at(30))).toBe(at(90))
  })

  test("is counted from the first of several subscriptions that are paid", () => {
    const second = { ...started(1, { subscriptionId: "sub_2", startedAt: at(-10) }), id: "second" }
    const paidSecond = { ...paid(2), subscriptionId: "sub_2" } as Fact
    expect(nextMilestoneAt(rebuild([started(0), paid(0), second]), DEFAULT_MILESTONES, at(0))).toBe(at(30))
    expect(nextMilestoneAt(rebuild([started(0), paid(0), second, paidSecond]), DEFAULT_MILESTONES, at(0))).toBe(at(20))
  })

  test.each<[string, Partial<SubscriptionSnapshot>, string | null]>([
    ["while its payment is being retried", { status: "past_due" }, at(30)],
    ["but not while it is unpaid", { status: "unpaid" }, null],
    ["but not without a known start", { startedAt: null }, null],
    ["from its start, where the trial ended before", { trialEnd: at(-5) }, at(30)],
    ["from the end of its trial", { trialEnd: at(5) }, at(35)],
  ])("is due for a subscription %s", (_, given, due) => {
    expect(nextMilestoneAt(rebuild([started(0, given), paid(0)]), DEFAULT_MILESTONES, at(0))).toBe(due)
  })

  test("is never due for customers who never paid, left or were erased", () => {
    const erased: Fact = { kind: "customer_seen", id: "gone", occurredAt: at(2), deleted: true }
    for (const facts of [[started(0)], [started(0), paid(0), ended(20, 0)], [started(0), paid(0), erased]]) {
      expect(nextMilestoneAt(rebuild(facts), DEFAULT_MILESTONES, at(20))).toBeNull()
    }
  })
})
