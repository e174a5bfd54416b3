/** The limits of single rules of planning and giving: what just applies, and what just does not. */
import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import type { Fact, Instant } from "../facts.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "../settings.ts"
import { addressRetryAt, channelsFor, decide, decideSend, mayGiveIncentive, type ReachableChannels } from "./decide.ts"
import { rebuild } from "./fold.ts"
import { SINGLE_CUSTOMER } from "./nudges/contact-context.ts"
import { type Nudge, nudgeId } from "./nudges/nudges.ts"

const WHOP: ReachableChannels = { provider: "whop", configured: ["email", "sms", "push", "dm", "slack"] }
const STRIPE: ReachableChannels = { ...WHOP, provider: "stripe" }
const PAYMENT = "payment_in_1"
const failed = make.paymentFailed({ at: on(0) })
const mailed = make.customerSeen({ at: on(0), hasEmail: true })

const nudge = (given: Partial<Nudge> = {}): Nudge => {
  const { caseId = PAYMENT, step = 0, channel = "email" } = given
  const id = nudgeId(caseId, step ?? 99, channel)
  const rest = { status: "planned", reason: null, incentive: null, dueAt: on(0), attempts: 0, sentAt: null } as const
  return { id, caseId, step, channel, ...rest, ...given }
}

const decided = (
  facts: readonly Fact[],
  nudges: readonly Nudge[],
  {
    settings = {},
    now = on(0),
    reach = STRIPE,
  }: { settings?: Partial<CompanySettings>; now?: Instant; reach?: ReachableChannels } = {},
) => decide(rebuild([mailed, ...facts]), nudges, { ...DEFAULT_SETTINGS, ...settings }, reach, now)

describe("a cancellation whose number changes because an earlier one is told late", () => {
  const facts = [
    make.cancellationAnnounced({ at: on(0) }),
    make.subscription("subscription_resumed", { at: on(1) }),
    make.cancellationAnnounced({ at: on(2) }),
  ]
  const second = "cancellation_sub_1_2"
  const plansOf = (told: Nudge, of: readonly Fact[] = facts) =>
    decided(of, [told], { now: on(2) }).filter(
      (action) => action.kind === "plan_nudge" && action.nudge.caseId === second,
    )

  test("has had the message that was sent under its former number since it was announced", () => {
    const sent = nudge({ caseId: "cancellation_sub_1_1", status: "sent", sentAt: on(2) })
    expect(plansOf(sent)).toEqual([])
    expect(plansOf({ ...sent, sentAt: on(2, "09:59:59") })).toHaveLength(3)
  })

  test("has not had what nobody saw, nor what was sent of another subscription or case", () => {
    const planned = nudge({ caseId: "cancellation_sub_1_1", status: "failed", sentAt: null })
    expect(plansOf(planned)).toHaveLength(3)
    const other = make.cancellationAnnounced({ at: on(1), subscriptionId: "sub_2" })
    const ofOther = nudge({ caseId: "cancellation_sub_2_1", status: "sent", sentAt: on(2) })
    expect(plansOf(ofOther, [...facts, other])).toHaveLength(3)
    const paidBill = [failed, make.paymentSucceeded({ at: on(1) })]
    expect(plansOf(nudge({ status: "sent", sentAt: on(2) }), [...facts, ...paidBill])).toHaveLength(3)
    expect(plansOf(nudge({ caseId: "cancellation_sub_9_1", status: "sent", sentAt: on(2) }))).toHaveLength(3)
  })
})

test("two open bills have their own reminders: a sent one of the first plans nothing less for the second", () => {
  const facts = [failed, make.paymentFailed({ at: on(0), invoiceId: "in_2" })]
  const planned = decided(facts, [nudge({ status: "sent", sentAt: on(0) })])
  const ofSecond = planned.filter((action) => action.kind === "plan_nudge" && action.nudge.caseId === "payment_in_2")
  expect(ofSecond).toHaveLength(3)
})

test("a message by hand plans nothing less", () => {
  expect(decided([failed], [nudge({ step: null, status: "sent", sentAt: on(0) })])).toHaveLength(3)
})

test("while a bill is being paid, only its own reminders that may go out at all are moved, and the team's are not", () => {
  const pending = make.paymentPending({ at: on(1), expiresAt: on(5) })
  const own = [nudge({ step: 2, dueAt: on(2) }), nudge({ step: 0, channel: "slack", status: "sent", sentAt: on(0) })]
  const ofAnother = nudge({ caseId: "payment_in_9", step: 2, dueAt: on(2) })
  const actions = decided([failed, pending], [...own, ofAnother], { now: on(1), settings: { alertTeam: true } })
  expect(actions).toEqual([
    { kind: "suppress_nudge", nudgeId: ofAnother.id, reason: "case_closed" },
    { kind: "move_nudge", nudge: { ...own[0], dueAt: on(8), reason: "payment_in_progress" } },
  ])
  const optedOut = make.optedOut({ at: on(1) })
  expect(decided([failed, pending, optedOut], own, { now: on(1) }).map(({ kind }) => kind)).toEqual(["suppress_nudge"])
})

test("the team is told at once of a bill that is being paid; the member's reminders wait", () => {
  const pending = make.paymentPending({ at: on(0, "09:00:00"), expiresAt: on(5) })
  const times = decided([pending, failed, { ...pending, id: "again", occurredAt: on(0, "11:00:00") }], [], {
    settings: { alertTeam: true },
    now: on(0, "12:00:00"),
  }).flatMap((action) => (action.kind === "plan_nudge" ? [[action.nudge.channel, action.nudge.dueAt]] : []))
  expect(times).toEqual([
    ["email", on(8)],
    ["email", on(10)],
    ["email", on(12)],
    ["slack", on(0, "12:00:00")],
  ])
})

describe("a message by hand", () => {
  const byHand = nudge({ step: null })
  const settings = { ...DEFAULT_SETTINGS, frequencyCaps: [{ max: 1, hours: 24 }] }
  const others = [nudge({ step: 2, status: "sent", sentAt: on(0) })]
  const decideFor = (subject: Nudge) =>
    decideSend(rebuild([mailed, failed]), subject, others, settings, on(0, "11:00:00"))

  test("is refused where a step would be put off", () => {
    expect(decideFor(byHand)).toEqual({ kind: "suppress", reason: "frequency_cap" })
    expect(decideFor(nudge({ step: 4 }))).toEqual({ kind: "defer", until: on(1), reason: "frequency_cap" })
  })
})

describe("an incentive is given once per person and period", () => {
  const incentive = { kind: "discount", percentOff: 20, months: 2 } as const
  const state = rebuild([mailed, failed])
  const settings = { ...DEFAULT_SETTINGS, incentivePeriodDays: 10 }
  const may = (others: readonly Nudge[], facts: readonly Fact[] = []) =>
    mayGiveIncentive(rebuild([mailed, failed, ...facts]), others, settings, on(20))

  test("counted from when it was applied", () => {
    expect(may([], [make.incentiveApplied({ at: on(10) })])).toBe(true)
    expect(may([], [make.incentiveApplied({ at: on(10, "10:00:01") })])).toBe(false)
  })

  test("also one that is on its way, or whose sending was lost within the period", () => {
    expect(may([nudge({ incentive, status: "sending" })])).toBe(false)
    expect(may([nudge({ incentive, status: "planned" })])).toBe(true)
    expect(may([nudge({ incentive, status: "sent", sentAt: on(19) })])).toBe(true)
    expect(may([nudge({ incentive: null, status: "sending" })])).toBe(true)
    expect(may([nudge({ incentive, status: "unknown", sentAt: on(11), dueAt: on(0) })])).toBe(false)
    expect(may([nudge({ incentive, status: "unknown", sentAt: on(10), dueAt: on(19) })])).toBe(true)
    expect(may([nudge({ incentive, status: "unknown", sentAt: null, dueAt: on(11) })])).toBe(false)
    expect(may([nudge({ incentive, status: "unknown", sentAt: null, dueAt: on(10) })])).toBe(true)
  })

  test("over all customers with an address of the person", () => {
    const person = (facts: readonly Fact[], nudges: readonly Nudge[] = []) => ({
      ...SINGLE_CUSTOMER,
      others: [{ customerId: "stripe_cus_2", state: rebuild(facts), nudges }],
    })
    const given = [make.incentiveApplied({ at: on(19) })]
    expect(mayGiveIncentive(state, [], settings, on(20), person([]))).toBe(true)
    expect(mayGiveIncentive(state, [], settings, on(20), person(given))).toBe(false)
    const onItsWay = [nudge({ incentive, status: "sending" })]
    expect(mayGiveIncentive(state, [], settings, on(20), person([], onItsWay))).toBe(false)
  })
})

describe("the channels that reach a member", () => {
  const channels = (fixed: Nudge["channel"] | null, reach = WHOP, facts: readonly Fact[] = [mailed]) =>
    channelsFor(rebuild(facts), DEFAULT_SETTINGS, reach, fixed)

  test("are those with an address, in the company's order", () => {
    expect(channels(null)).toEqual(["email", "push", "dm"])
    expect(channels(null, STRIPE)).toEqual(["email"])
    const phoned = make.customerSeen({ at: on(0), hasPhone: true })
    expect(channels(null, STRIPE, [phoned])).toEqual(["sms"])
    expect(channels(null, { ...WHOP, configured: ["push"] })).toEqual(["push"])
  })

  test("begin with the one that the step names, once", () => {
    expect(channels("dm")).toEqual(["dm", "email", "push"])
    expect(channels("sms")).toEqual(["email", "push", "dm"])
  })

  test("are the team's for the team only", () => {
    expect(channels("slack")).toEqual(["slack"])
    expect(channels("slack", { ...WHOP, configured: ["email"] })).toEqual([])
  })
})

test("an address that is still on its way is waited for in eight steps; the team's channel has none", () => {
  const state = rebuild([mailed])
  const at = (attempts: number, channel: Nudge["channel"] = "email") =>
    addressRetryAt(state, "stripe", { channel, attempts }, on(0))
  const seconds = [15, 60, 300, 900, 3_600, 3_600, 3_600, 3_600]
  expect(seconds.map((_, attempts) => at(attempts))).toEqual(
    seconds.map((wait) => new Date(Date.parse(on(0)) + wait * 1_000).toISOString()),
  )
  expect(at(8)).toBeNull()
  expect(at(0, "sms")).toBeNull()
  expect(at(0, "slack")).toBeNull()
})
