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

describe("a usage milestone", () => {
  test("is reached by the record that passes it, once", () => {
    expect(keysOf([used(0, 99)], [used(1, 1)], 1)).toEqual(["usage_logins_100@1"])
    expect(keysOf([used(0, 99), used(1, 1)], [used(2, 50)], 2)).toEqual([])
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

  test("is never due for customers who never paid, left or were erased", () => {
    const erased: Fact = { kind: "customer_seen", id: "gone", occurredAt: at(2), deleted: true }
    for (const facts of [[started(0)], [started(0), paid(0), ended(20, 0)], [started(0), paid(0), erased]]) {
      expect(nextMilestoneAt(rebuild(facts), DEFAULT_MILESTONES, at(20))).toBeNull()
    }
  })
})
