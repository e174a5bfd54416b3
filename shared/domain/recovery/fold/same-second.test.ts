import { describe, expect, test } from "vitest"
import { MONTHLY, on } from "../../../../test/support/events/facts.ts"
import type { PreviousAttributes, SubscriptionSnapshot } from "../../facts.ts"
import type { SubscriptionState } from "../../state.ts"
import { changedParts, resolveSameSecond } from "./same-second.ts"

const snapshot = (given: Partial<SubscriptionSnapshot> = {}): SubscriptionSnapshot => ({
  subscriptionId: "sub_1",
  status: "active",
  currency: "usd",
  items: [MONTHLY],
  startedAt: null,
  currentPeriodEnd: null,
  trialEnd: null,
  cancelAt: null,
  endedAt: null,
  paused: null,
  ...given,
})

/** The subscription as the state holds it after events of the second `at`, each a snapshot and what it replaced. */
function resolvedAfter(
  events: readonly (readonly [Partial<SubscriptionSnapshot>, PreviousAttributes | undefined])[],
  before?: Partial<SubscriptionSnapshot>,
  at = on(1),
) {
  let known = before === undefined ? undefined : stateOf(snapshot(before))
  let resolved = resolveSameSecond(known, snapshot(before), undefined, on(0))
  for (const [given, replaced] of events) {
    resolved = resolveSameSecond(known, snapshot(given), replaced, at)
    known = { ...stateOf(resolved.snapshot), ...(resolved.second && { second: resolved.second }) }
  }
  return resolved
}

const stateOf = ({ subscriptionId, ...fields }: SubscriptionSnapshot): SubscriptionState => ({
  id: subscriptionId,
  endReason: null,
  hasPaid: false,
  ...fields,
})

describe("snapshots without previous attributes", () => {
  test("are taken as they come, and leave nothing to remember", () => {
    const given = snapshot({ status: "past_due" })
    expect(resolvedAfter([[{ status: "past_due" }, undefined]], {})).toEqual({
      snapshot: given,
      second: undefined,
      isUnsettled: false,
    })
  })

  test("do not undo a change of the same second", () => {
    const changed = [{ status: "past_due" }, { status: "active" }] as const
    const { snapshot: last, second, isUnsettled } = resolvedAfter([changed, [{ cancelAt: on(30) }, undefined]], {})
    expect(last).toMatchObject({ status: "past_due", cancelAt: on(30) })
    expect(second?.changes).toHaveLength(1)
    expect(isUnsettled).toBe(false)
  })
})

describe("changes of one second", () => {
  const pastDue = [{ status: "past_due" }, { status: "active" }] as const
  const unpaid = [{ status: "unpaid" }, { status: "past_due" }] as const
  const back = [{ status: "active" }, { status: "past_due" }] as const

  test.each([
    ["in order", [pastDue, unpaid], "unpaid"],
    ["in reverse order", [unpaid, pastDue], "unpaid"],
    ["there and back", [pastDue, back], "active"],
    ["there and back, in reverse order", [back, pastDue], "active"],
    ["one of them reported twice", [pastDue, pastDue], "past_due"],
    ["one of them reported twice, and back", [pastDue, pastDue, back], "active"],
  ] as const)("end with the last value of the chain: %s", (_, events, status) => {
    const { snapshot: last, isUnsettled } = resolvedAfter(events, {})
    expect(last.status).toBe(status)
    expect(isUnsettled).toBe(false)
  })

  test("are remembered once each, with what was before that second", () => {
    const { second } = resolvedAfter([pastDue, pastDue, unpaid], { trialEnd: on(7) })
    expect(second).toEqual({
      at: on(1),
      base: {
        status: "active",
        cancelAt: null,
        paused: null,
        currentPeriodEnd: null,
        trialEnd: on(7),
        items: [MONTHLY],
      },
      changes: [
        { from: { status: "active" }, to: { status: "past_due" } },
        { from: { status: "past_due" }, to: { status: "unpaid" } },
      ],
    })
  })

  test("begin from nothing where the subscription was not known", () => {
    expect(resolvedAfter([[{ status: "past_due" }, { status: "active" }]]).second?.base).toEqual({})
  })

  test("are forgotten in the next second", () => {
    const known = { ...stateOf(snapshot({ status: "past_due" })), second: resolvedAfter([pastDue], {}).second }
    const next = resolveSameSecond(known as SubscriptionState, snapshot(), { status: "past_due" }, on(2))
    expect(next.second).toMatchObject({
      at: on(2),
      base: { status: "past_due" },
      changes: [{ to: { status: "active" } }],
    })
    expect(resolveSameSecond(known as SubscriptionState, snapshot(), undefined, on(2)).second).toBeUndefined()
  })

  test("are followed up to twenty, the newest", () => {
    const periods = Array.from(
      { length: 25 },
      (_, day) => [{ currentPeriodEnd: on(day + 1) }, { currentPeriodEnd: on(day) }] as const,
    )
    const { second, snapshot: last } = resolvedAfter(periods, { currentPeriodEnd: on(0) })
    expect(second?.changes).toHaveLength(20)
    expect(second?.changes.at(0)?.from).toEqual({ currentPeriodEnd: on(5) })
    expect(last.currentPeriodEnd).toBe(on(25))
  })

  test("that only repeat what was there are remembered, so that the next ones are ordered", () => {
    const { second, isUnsettled } = resolvedAfter(
      [
        [{}, {}],
        [{ status: "past_due" }, { status: "active" }],
      ],
      {},
    )
    expect(second).toMatchObject({ base: { status: "active" }, changes: [{ to: { status: "past_due" } }] })
    expect(isUnsettled).toBe(false)
    expect(resolvedAfter([[{}, {}]], {}).second).toMatchObject({ changes: [] })
  })
})

describe("groups of fields", () => {
  test("are followed separately: a change of one takes nothing from another", () => {
    const events = [
      [{ status: "past_due", cancelAt: on(30) }, { cancelAt: null }],
      [{ status: "past_due" }, { status: "active" }],
    ] as const
    for (const order of [events, events.toReversed()]) {
      expect(resolvedAfter(order, {}).snapshot).toMatchObject({ status: "past_due", cancelAt: on(30) })
    }
  })

  test("change as a whole: an end that is withdrawn takes who asked for it", () => {
    const announced = [{ cancelAt: on(30), endBy: "member" }, { cancelAt: null }] as const
    const withdrawn = [{}, { cancelAt: on(30), endBy: "member" }] as const
    for (const order of [
      [announced, withdrawn],
      [withdrawn, announced],
    ]) {
      const { snapshot: last } = resolvedAfter(order, {})
      expect(last.cancelAt).toBeNull()
      expect(last).not.toHaveProperty("endBy")
    }
  })

  test.each([
    ["amount", { unitAmountMinor: 2_500 }],
    ["quantity", { quantity: 2 }],
    ["price", { priceId: "price_2" }],
    ["product", { productId: "prod_2" }],
    ["interval", { interval: "year" }],
    ["count of intervals", { intervalCount: 3 }],
    ["type of usage", { usageType: "metered" }],
  ] as const)("contain items, which differ by their %s", (_, change) => {
    const items = [{ ...MONTHLY, ...change }]
    const there = [{ items }, { items: [MONTHLY] }] as const
    const andBack = [{}, { items }] as const
    expect(resolvedAfter([there], {}).snapshot.items).toEqual(items)
    expect(resolvedAfter([there, andBack], {}).snapshot.items).toEqual([MONTHLY])
    expect(changedParts(snapshot(), snapshot({ items }))).toEqual({ items: [MONTHLY] })
  })

  test("are named with their former values where they differ, and only there", () => {
    const before = snapshot({ cancelAt: on(30), endBy: "member", trialEnd: on(7) })
    expect(changedParts(before, snapshot({ trialEnd: on(7) }))).toEqual({ cancelAt: on(30), endBy: "member" })
    expect(changedParts(before, before)).toEqual({})
    expect(changedParts(snapshot(), snapshot({ status: "paused", paused: "requested" }))).toEqual({
      status: "active",
      paused: null,
    })
  })
})

describe("two snapshots of one second are unsettled", () => {
  const toPastDue = [{ status: "past_due" }, { status: "active" }] as const

  test.each([
    ["when both replace the same value", [toPastDue, [{ status: "unpaid" }, { status: "active" }]], true],
    ["when a field differs that neither replaced", [toPastDue, [{ status: "past_due", cancelAt: on(30) }, {}]], true],
    [
      "when items differ that neither replaced",
      [toPastDue, [{ status: "past_due", items: [{ ...MONTHLY, quantity: 2 }] }, {}]],
      true,
    ],
    ["but not when nothing else differs", [toPastDue, [{ status: "past_due" }, {}]], false],
    ["but not when the other one states no previous attributes", [toPastDue, [{ cancelAt: on(30) }, undefined]], false],
  ] as const)("%s", (_, events, isUnsettled) => {
    expect(resolvedAfter(events, {}).isUnsettled).toBe(isUnsettled)
  })

  test("and keep the snapshot that came last, where changes form no chain", () => {
    const { snapshot: last } = resolvedAfter([toPastDue, [{ status: "unpaid" }, { status: "active" }]], {})
    expect(last.status).toBe("unpaid")
  })

  test("also where they lead back to a value that the subscription did not have before", () => {
    const circle = [
      [{ status: "unpaid" }, { status: "past_due" }],
      [{ status: "past_due" }, { status: "unpaid" }],
    ] as const
    expect(resolvedAfter(circle, {}).isUnsettled).toBe(true)
    expect(resolvedAfter(circle, { status: "past_due" })).toMatchObject({
      isUnsettled: false,
      snapshot: { status: "past_due" },
    })
  })

  test("but not where the first snapshot of the subscription differs from nothing", () => {
    expect(resolvedAfter([[{ cancelAt: on(30) }, {}]]).isUnsettled).toBe(false)
    expect(resolvedAfter([[{ cancelAt: on(30) }, {}]], {}).isUnsettled).toBe(false)
  })
})
