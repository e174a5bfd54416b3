/** Which nudges are planned, moved and suppressed. Longer than 300 lines: one decision, seen from each of its causes. */
import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import type { Fact, Instant } from "../facts.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "../settings.ts"
import { type Action, decide, mayGiveIncentive, type ReachableChannels, retryAt, SEND_ATTEMPTS_MAX } from "./decide.ts"
import { rebuild } from "./fold.ts"
import type { Nudge } from "./nudges/nudges.ts"

const STRIPE: ReachableChannels = { provider: "stripe", configured: ["email", "sms", "push", "dm", "slack"] }
const failed = make.paymentFailed({ at: on(0) })
const mailed = make.customerSeen({ at: on(0), hasEmail: true })
const incentive = { kind: "discount", percentOff: 20, months: 1 } as const

interface Situation {
  readonly nudges?: readonly Nudge[]
  readonly settings?: Partial<CompanySettings>
  readonly reach?: ReachableChannels
  readonly now?: Instant
}

const decided = (facts: readonly Fact[], { nudges = [], settings, reach = STRIPE, now = on(0) }: Situation = {}) =>
  decide(rebuild(facts), nudges, { ...DEFAULT_SETTINGS, ...settings }, reach, now)

/** The nudges' rows after the actions, as the database keeps them. */
function rowsAfter(actions: readonly Action[], before: readonly Nudge[] = []): Nudge[] {
  const rows = new Map(before.map((nudge) => [nudge.id, nudge]))
  for (const action of actions) {
    const id = action.kind === "suppress_nudge" ? action.nudgeId : action.nudge.id
    const present = rows.get(id)
    if (action.kind === "plan_nudge") rows.set(id, { ...action.nudge, attempts: present?.attempts ?? 0 })
    else if (action.kind === "move_nudge") rows.set(id, action.nudge)
    else if (present) rows.set(id, { ...present, status: "suppressed", reason: action.reason })
  }
  return [...rows.values()]
}

const planned = (facts: readonly Fact[], situation: Situation = {}): Nudge[] =>
  rowsAfter(decided(facts, situation), situation.nudges)

const brief = (nudges: readonly Nudge[]) => nudges.map(({ id, status, reason }) => [id, status, reason])

describe("a case that is open again", () => {
  test("gets the reminders that its end had suppressed, once", () => {
    const first = planned([mailed, failed])
    const sent = first.map((nudge) => (nudge.step === 0 ? { ...nudge, status: "sent" as const, sentAt: on(0) } : nudge))
    const voided = [mailed, failed, make.invoiceVoided({ at: on(1) })]
    const aside = planned(voided, { nudges: sent, now: on(1) })
    expect(brief(aside).map(([, status]) => status)).toEqual(["sent", "suppressed", "suppressed"])
    const again = make.paymentFailed({ at: on(1, "12:00:00"), invoiceId: "in_2" })
    const reissued = make.invoiceReissued({ at: on(1, "11:00:00"), invoiceId: "in_2", replaces: "in_1" })
    const facts = [...voided, reissued, again]
    const after = planned(facts, { nudges: aside, now: on(1, "12:00:00") })
    expect(after.map(({ status, dueAt }) => [status, dueAt])).toEqual([
      ["sent", on(0)],
      ["planned", on(2)],
      ["planned", on(4)],
    ])
    expect(decided(facts, { nudges: after, now: on(1, "12:00:00") })).toEqual([])
  })
})

describe("a case that opens", () => {
  test("gets a nudge at once, after two days and after four", () => {
    expect(planned([mailed, failed]).map(({ id, status, dueAt }) => [id, status, dueAt])).toEqual([
      ["payment_in_1.0.email", "planned", on(0)],
      ["payment_in_1.2.email", "planned", on(2)],
      ["payment_in_1.4.email", "planned", on(4)],
    ])
  })

  test("counts its days from when it became known, when that is late", () => {
    expect(planned([mailed, failed], { now: on(3) }).map(({ dueAt }) => dueAt)).toEqual([on(3), on(5), on(7)])
  })

  test("counts them from its opening where the provider's clock is ahead of ours", () => {
    expect(planned([mailed, failed], { now: on(0, "09:58:00") })[0]?.dueAt).toBe(on(0))
  })

  test("plans nothing while it is closed", () => {
    expect(decided([mailed, failed, make.paymentSucceeded({ at: on(0) })])).toEqual([])
  })

  test("is planned once, for good: not after a replay, on another day or under another playbook", () => {
    const nudges = planned([mailed, failed])
    const day = (day: number) => ({ day, channel: null, incentive: null })
    const settings = { playbooks: { ...DEFAULT_SETTINGS.playbooks, payment: [day(0), day(1), day(9)] } }
    for (const facts of [
      [mailed, failed],
      [failed, mailed, failed],
    ]) {
      expect(decided(facts, { nudges })).toEqual([])
      expect(decided(facts, { nudges, now: on(3) })).toEqual([])
      expect(decided(facts, { nudges, settings })).toEqual([])
    }
  })

  test("is planned beside another case of the same customer", () => {
    const second = make.paymentFailed({ at: on(0), invoiceId: "in_2", subscriptionId: "sub_2" })
    expect(planned([mailed, failed, second])).toHaveLength(6)
  })
})

describe("a payment that is in progress when the case opens", () => {
  test("moves the messages behind it, and back when it is given up", () => {
    const facts = [mailed, failed, make.paymentPending({ at: on(0, "10:00:01"), invoiceId: null, chargeId: "py_1" })]
    const nudges = planned(facts, { now: on(0, "10:00:02") })
    expect(nudges.map(({ reason }) => reason)).toEqual(Array(3).fill("payment_in_progress"))
    expect(nudges.map(({ dueAt }) => dueAt)).toEqual([14, 16, 18].map((day) => on(day, "10:00:01")))
    const given = make.paymentCanceled({ at: on(1), invoiceId: null, chargeId: "py_1" })
    const after = planned([...facts, given], { nudges, now: on(1) })
    expect(after.map(({ dueAt, reason }) => [dueAt, reason])).toEqual([1, 3, 5].map((day) => [on(day), null]))
  })
})

describe("a planned nudge is suppressed", () => {
  const nudges = planned([mailed, failed])

  test.each<[string, Fact]>([
    ["case_closed", make.paymentSucceeded({ at: on(1) })],
    ["opted_out", make.optedOut({ at: on(1) })],
    ["customer_deleted", make.customerSeen({ at: on(1), deleted: true })],
    ["silent_decline_code", make.paymentFailed({ at: on(1), attempt: 2, declineCode: "stolen_card" })],
  ])("for %s, all of it and once", (reason, fact) => {
    const after = planned([mailed, failed, fact], { nudges, now: on(1) })
    expect(brief(after)).toEqual([0, 2, 4].map((step) => [`payment_in_1.${step}.email`, "suppressed", reason]))
    expect(decided([mailed, failed, fact], { nudges: after, now: on(2) })).toEqual([])
  })

  test("also when a late fact removes its case", () => {
    const paidBefore = make.paymentSucceeded({ at: on(-1) })
    expect(brief(planned([mailed, failed, paidBefore], { nudges }))[0]).toContain("case_closed")
  })

  test("but what was sent or is being sent stays as it is", () => {
    const sent = nudges.map((nudge) => ({ ...nudge, status: "sent" as const }))
    expect(decided([mailed, failed, make.paymentSucceeded({ at: on(1) })], { nudges: sent })).toEqual([])
  })
})

describe("a case that gets no messages", () => {
  const silent = make.paymentFailed({ at: on(0), declineCode: "lost_card" })

  test.each(["lost_card", "stolen_card", "fraudulent", "pickup_card"])("shows that it is silent: %s", (declineCode) => {
    const nudges = planned([mailed, make.paymentFailed({ at: on(0), declineCode })])
    expect(nudges.map(({ status, reason }) => [status, reason])).toEqual(
      Array(3).fill(["suppressed", "silent_decline_code"]),
    )
  })

  test("is planned again when a later attempt fails for another reason", () => {
    const nudges = planned([mailed, silent])
    const later = make.paymentFailed({ at: on(1), attempt: 2, declineCode: "insufficient_funds" })
    const after = planned([mailed, silent, later], { nudges, now: on(1) })
    expect(after.map(({ status, dueAt }) => [status, dueAt])).toEqual([1, 3, 5].map((day) => ["planned", on(day)]))
    expect(decided([mailed, silent, later], { nudges: after, now: on(1) })).toEqual([])
  })

  test("is not planned again once a message was attempted: it may have been delivered", () => {
    const nudges = planned([mailed, silent]).map((nudge) => ({ ...nudge, attempts: nudge.step === 0 ? 1 : 0 }))
    const later = make.paymentFailed({ at: on(1), attempt: 2, declineCode: "insufficient_funds" })
    expect(decided([mailed, silent, later], { nudges, now: on(1) })).toEqual([])
  })

  test("stays silent when the member opted out", () => {
    const nudges = planned([mailed, failed, make.optedOut({ at: on(0) })])
    expect(brief(nudges)[0]).toEqual(["payment_in_1.0.email", "suppressed", "opted_out"])
  })

  test("of a cancellation sends nothing again when an earlier announcement arrives late", () => {
    const facts = [mailed, make.cancellationAnnounced({ at: on(5) })]
    const [first, ...later] = planned(facts, { now: on(5) })
    if (first === undefined) throw new Error("nothing was planned")
    const sent: Nudge = { ...first, status: "sent", sentAt: on(5) }
    const late = [make.cancellationAnnounced({ at: on(1) }), make.subscription("subscription_resumed", { at: on(2) })]
    const nudges = planned([...facts, ...late], { nudges: [sent, ...later], now: on(5, "12:00:00") })
    expect(brief(nudges)).toEqual([
      ["cancellation_sub_1_1.0.email", "sent", null],
      ["cancellation_sub_1_1.2.email", "suppressed", "case_closed"],
      ["cancellation_sub_1_1.4.email", "suppressed", "case_closed"],
    ])
  })

  test("of a second announcement has a plan of its own", () => {
    const facts = [mailed, make.cancellationAnnounced({ at: on(1) })]
    const rows = planned(facts, { now: on(1) }).map((nudge): Nudge => ({ ...nudge, status: "sent", sentAt: on(1) }))
    const again = [make.subscription("subscription_resumed", { at: on(8) }), make.cancellationAnnounced({ at: on(9) })]
    const ids = planned([...facts, ...again], { nudges: rows, now: on(9) }).map(({ id }) => id)
    expect(ids).toContain("cancellation_sub_1_2.0.email")
  })

  test("of a cancellation ignores decline codes", () => {
    const nudges = planned([mailed, make.cancellationAnnounced({ at: on(0) })])
    expect(nudges.every(({ status }) => status === "planned")).toBe(true)
  })
})

describe("a member without an address", () => {
  const nudges = planned([failed])

  test("is shown as one, once", () => {
    expect(brief(nudges)[0]).toEqual(["payment_in_1.0.email", "suppressed", "no_address"])
    expect(decided([failed], { nudges, now: on(1) })).toEqual([])
  })

  test.each<[string, Fact]>([
    ["email", make.customerSeen({ at: on(1), hasEmail: true })],
    ["sms", make.customerSeen({ at: on(1), hasPhone: true })],
  ])("is written to by %s as soon as there is one, and once", (channel, seen) => {
    const after = planned([failed, seen], { nudges, now: on(1) })
    const live = after.filter(({ status }) => status === "planned")
    expect(live.map((nudge) => [nudge.step, nudge.channel, nudge.dueAt])).toEqual(
      [0, 2, 4].map((day) => [day, channel, on(1 + day)]),
    )
    expect(decided([failed, seen, mailed], { nudges: after, now: on(1) })).toEqual([])
  })

  test("whom a channel refused is not planned again and again", () => {
    const refused = nudges.map((nudge) => ({ ...nudge, status: "failed" as const, attempts: 1 }))
    expect(decided([mailed, failed], { nudges: refused, now: on(1) })).toEqual([])
  })

  test("is planned for later although the team was notified at once", () => {
    const steps = [{ day: 0, channel: "slack" as const, incentive: null }, ...DEFAULT_SETTINGS.playbooks.payment]
    const settings = { playbooks: { ...DEFAULT_SETTINGS.playbooks, payment: steps } }
    const before = planned([failed], { settings })
    expect(brief(before)[0]).toEqual(["payment_in_1.0.slack", "planned", null])
    const after = planned([failed, mailed], { settings, nudges: before, now: on(1) })
    expect(after.map(({ status }) => status)).toEqual(["planned", "planned", "planned", "planned"])
    expect(decided([failed, mailed], { settings, nudges: after, now: on(1) })).toEqual([])
  })
})

describe("the channel", () => {
  const everywhere = make.customerSeen({ at: on(0), hasEmail: true, hasPhone: true })
  const first = (situation: Situation, facts = [everywhere, failed]) => planned(facts, situation)[0]?.channel
  const whop: ReachableChannels = { ...STRIPE, provider: "whop" }

  test.each<[string, Situation, string]>([
    ["is the first of the company's order", { settings: { channelOrder: ["sms", "email"] } }, "sms"],
    [
      "is one that this deployment can send",
      { settings: { channelOrder: ["sms", "email"] }, reach: { ...STRIPE, configured: ["email"] } },
      "email",
    ],
    ["is one that the provider has", { settings: { channelOrder: ["dm", "push", "sms"] } }, "sms"],
    ["may be the provider's own where it has one", { settings: { channelOrder: ["dm", "sms"] }, reach: whop }, "dm"],
  ])("%s", (_, situation, channel) => {
    expect(first(situation)).toBe(channel)
  })

  test("that a playbook fixes comes before the order, and the order where it cannot be used", () => {
    const steps = [{ day: 0, channel: "sms" as const, incentive: null }]
    const settings = { playbooks: { ...DEFAULT_SETTINGS.playbooks, payment: steps } }
    expect(first({ settings })).toBe("sms")
    expect(first({ settings }, [mailed, failed])).toBe("email")
  })

  test("of the team has no fallback: without it the team's step is suppressed", () => {
    const steps = [{ day: 0, channel: "slack" as const, incentive: null }]
    const settings = { playbooks: { ...DEFAULT_SETTINGS.playbooks, payment: steps } }
    expect(brief(planned([mailed, failed], { settings, reach: { ...STRIPE, configured: ["email"] } }))).toEqual([
      ["payment_in_1.0.slack", "suppressed", "no_address"],
    ])
  })
})

describe("due times are outside quiet hours", () => {
  const dueAt = (facts: readonly Fact[], now: Instant, settings: Partial<CompanySettings> = {}) =>
    planned([...facts, make.paymentFailed({ at: now })], { now, settings })[0]?.dueAt
  const seen = (timeZone: string | null, channel: "email" | "phone" = "email") =>
    make.customerSeen({ at: on(0), hasEmail: channel === "email", hasPhone: channel === "phone", timeZone })
  const NIGHT_IN_NEW_YORK = on(0, "04:00:00")

  test.each<[string, Fact, Instant, Instant, Partial<CompanySettings>]>([
    ["of the member's zone", seen("America/New_York"), NIGHT_IN_NEW_YORK, on(0, "13:00:00"), {}],
    [
      "not of the company's, where the member's is known",
      seen("Asia/Kolkata"),
      NIGHT_IN_NEW_YORK,
      NIGHT_IN_NEW_YORK,
      { timeZone: "America/New_York" },
    ],
    [
      "until the later hour, on the day the clocks go forward",
      seen("America/New_York"),
      on(6, "06:00:00"),
      on(6, "12:00:00"),
      {},
    ],
    [
      "of the company's zone for a channel that makes a noise",
      seen(null, "phone"),
      NIGHT_IN_NEW_YORK,
      on(0, "13:00:00"),
      { timeZone: "America/New_York" },
    ],
    [
      "but an e-mail waits quietly where no zone is known",
      seen(null),
      NIGHT_IN_NEW_YORK,
      NIGHT_IN_NEW_YORK,
      { timeZone: "America/New_York" },
    ],
    [
      "of the company's zone where the member's does not exist",
      seen("Nowhere/Atlantis", "phone"),
      NIGHT_IN_NEW_YORK,
      on(0, "13:00:00"),
      { timeZone: "America/New_York" },
    ],
    [
      "but an e-mail waits quietly where the zone does not exist",
      seen("Nowhere/Atlantis"),
      on(0, "23:00:00"),
      on(0, "23:00:00"),
      {},
    ],
    [
      "unless the company has switched that off",
      seen("America/New_York"),
      NIGHT_IN_NEW_YORK,
      NIGHT_IN_NEW_YORK,
      { quietHours: null },
    ],
  ])("%s", (_, member, now, expected, settings) => {
    expect(dueAt([member], now, settings)).toBe(expected)
  })
})

describe("an incentive is given", () => {
  const may = (facts: readonly Fact[], others: readonly Nudge[] = [], now = on(100)) =>
    mayGiveIncentive(rebuild(facts), others, DEFAULT_SETTINGS, now)

  test("once per customer and period, whichever case it was for", () => {
    expect(may([failed])).toBe(true)
    expect(may([failed, make.incentiveApplied({ at: on(0), caseId: "payment_in_0" })])).toBe(false)
    expect(may([failed, make.incentiveApplied({ at: on(0), caseId: "payment_in_0" })], [], on(180))).toBe(true)
  })

  test("not while another is being sent, however long ago that one was due", () => {
    const [other] = planned([mailed, failed]).map((nudge) => ({ ...nudge, incentive, status: "sending" as const }))
    expect(may([failed], other ? [other] : [], on(400))).toBe(false)
    expect(may([failed], other ? [{ ...other, incentive: null }] : [], on(400))).toBe(true)
  })
})

describe("a nudge that did not work is tried again", () => {
  test("after five minutes, a quarter of an hour and an hour, and then no more", () => {
    const waits = [1, 2, 3, 4].map((attempts) => retryAt(attempts, null, on(0)))
    expect(waits).toEqual([on(0, "10:05:00"), on(0, "10:15:00"), on(0, "11:00:00"), null])
    expect(retryAt(SEND_ATTEMPTS_MAX, 1, on(0))).toBeNull()
  })

  test("not before the delay that the service requested", () => {
    expect(retryAt(1, 7_200_000, on(0))).toBe(on(0, "12:00:00"))
    expect(retryAt(1, 1_000, on(0))).toBe(on(0, "10:05:00"))
  })
})
