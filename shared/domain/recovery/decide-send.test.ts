import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import type { Fact, Instant } from "../facts.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "../settings.ts"
import { addressRetryAt, decideSend, fallbackFor, type ReachableChannels } from "./decide.ts"
import { rebuild } from "./fold.ts"
import { manualNudgeId, type Nudge, nudgeId } from "./nudges/nudges.ts"

const failed = make.paymentFailed({ at: on(0) })
const mailed = make.customerSeen({ at: on(0), hasEmail: true, hasPhone: true })

function nudge(given: Partial<Nudge> = {}): Nudge {
  const { caseId = "payment_in_1", step = 0, channel = "email" } = given
  const id = step === null ? manualNudgeId(caseId, "key", channel) : nudgeId(caseId, step, channel)
  const rest = { status: "planned", reason: null, incentive: null, dueAt: on(0), attempts: 0, sentAt: null } as const
  return { id, caseId, step, channel, ...rest, ...given }
}

/** A message of another case, sent at that time. */
const sent = (at: Instant, given: Partial<Nudge> = {}): Nudge =>
  nudge({ caseId: `payment_${at}`, status: "sent", dueAt: at, sentAt: at, ...given })

interface Situation {
  readonly facts?: readonly Fact[]
  readonly others?: readonly Nudge[]
  readonly settings?: Partial<CompanySettings>
  readonly now?: Instant
}

const decided = (subject: Nudge, { facts = [], others = [], settings, now = on(4) }: Situation = {}) =>
  decideSend(rebuild([mailed, failed, ...facts]), subject, others, { ...DEFAULT_SETTINGS, ...settings }, now)

const SEND = { kind: "send" }

test("a due nudge of an open case is sent", () => {
  expect(decided(nudge())).toEqual(SEND)
})

describe("a nudge is suppressed when it is sent", () => {
  test.each<[string, Fact]>([
    ["case_closed", make.paymentSucceeded({ at: on(1) })],
    ["case_closed", make.closedByOperator({ at: on(1) })],
    ["opted_out", make.optedOut({ at: on(1) })],
    ["customer_deleted", make.customerSeen({ at: on(1), deleted: true })],
    ["silent_decline_code", make.paymentFailed({ at: on(1), attempt: 2, declineCode: "fraudulent" })],
  ])("for %s, also one that a person sends by hand", (reason, fact) => {
    for (const step of [0, null])
      expect(decided(nudge({ step }), { facts: [fact] })).toEqual({ kind: "suppress", reason })
  })

  test("when its case no longer exists", () => {
    expect(decided(nudge({ caseId: "payment_in_9" }))).toEqual({ kind: "suppress", reason: "case_closed" })
  })
})

describe("after an outage", () => {
  const superseded = { kind: "suppress", reason: "superseded" }

  test("only the latest of a case's due steps is sent", () => {
    const due = [0, 2, 4].map((step) => nudge({ step, dueAt: on(step) }))
    const decisions = due.map((one) => decided(one, { others: due.filter((other) => other !== one), now: on(5) }))
    expect(decisions).toEqual([superseded, superseded, SEND])
  })

  test.each(["sending", "sent", "unknown"] as const)("a step is suppressed when a later one is %s", (status) => {
    expect(decided(nudge(), { others: [nudge({ step: 2, status })], now: on(1) })).toEqual(superseded)
  })

  test.each<[string, Partial<Nudge>]>([
    ["is not due yet", { step: 2, dueAt: on(9) }],
    ["failed", { step: 2, status: "failed" }],
    ["was suppressed", { step: 2, status: "suppressed" }],
    ["belongs to another case", { step: 2, caseId: "payment_in_2" }],
    ["is for the team", { step: 2, channel: "slack", status: "sent" }],
    ["was sent by hand", { step: null, status: "sent" }],
  ])("a step is sent though a later one %s", (_, other) => {
    expect(decided(nudge(), { others: [nudge(other)] })).toEqual(SEND)
  })
})

describe("in the recipient's night", () => {
  const inBerlin = make.customerSeen({ at: on(0), timeZone: "Europe/Berlin" })
  const now = on(4, "22:30:00")

  test("a nudge waits for the morning", () => {
    expect(decided(nudge(), { facts: [inBerlin], now })).toEqual({
      kind: "defer",
      until: on(5, "07:00:00"),
      reason: "quiet_hours",
    })
  })

  test("the morning of the day the clocks go forward comes an hour earlier", () => {
    expect(decided(nudge(), { facts: [inBerlin], now: on(26, "22:30:00") })).toMatchObject({
      until: on(27, "06:00:00"),
    })
  })

  test("a manual nudge is sent, and so is a message to the team", () => {
    expect(decided(nudge({ step: null }), { facts: [inBerlin], now })).toEqual(SEND)
    expect(decided(nudge({ channel: "slack" }), { facts: [inBerlin], now })).toEqual(SEND)
  })
})

describe("the frequency caps", () => {
  const two = [sent(on(4, "08:00:00")), sent(on(4, "09:00:00"), { channel: "sms" })]

  test("count all cases and channels", () => {
    expect(decided(nudge(), { others: two })).toEqual({
      kind: "defer",
      until: on(5, "08:00:00"),
      reason: "frequency_cap",
    })
    expect(decided(nudge(), { others: two.slice(1) })).toEqual(SEND)
    expect(decided(nudge(), { others: two, now: on(5, "08:00:00") })).toEqual(SEND)
  })

  test("hold for a week as for a day", () => {
    const week = [-2, -1, 0, 1, 2].map((day) => sent(on(day)))
    expect(decided(nudge(), { others: week, now: on(4) })).toMatchObject({ until: on(5) })
  })

  test("refuse a manual nudge instead of postponing it", () => {
    expect(decided(nudge({ step: null }), { others: two })).toEqual({ kind: "suppress", reason: "frequency_cap" })
  })

  test("count what may have been delivered, and nothing else", () => {
    const as = (change: Partial<Nudge>) => ({ others: two.map((other) => ({ ...other, ...change })) })
    for (const status of ["unknown", "sending", "suppressed"] as const)
      expect(decided(nudge(), as({ status })).kind).toBe("defer")
    for (const status of ["planned", "failed"] as const) expect(decided(nudge(), as({ status }))).toEqual(SEND)
    expect(decided(nudge(), as({ status: "suppressed", sentAt: null }))).toEqual(SEND)
    expect(decided(nudge(), as({ channel: "slack" }))).toEqual(SEND)
  })

  test("count what is being sent now, though an outage delayed it for days", () => {
    const others = two.map((other) => ({ ...other, status: "sending" as const, dueAt: on(0), sentAt: null }))
    expect(decided(nudge(), { others })).toMatchObject({ kind: "defer", reason: "frequency_cap" })
  })

  test("never wait into the night", () => {
    const facts = [make.customerSeen({ at: on(0), timeZone: "Asia/Kolkata" })]
    const others = [sent(on(4, "15:00:00")), sent(on(4, "15:10:00"))]
    const settings = { frequencyCaps: [{ max: 2, hours: 1 }] }
    const until = on(5, "02:30:00")
    expect(decided(nudge(), { facts, others, settings, now: on(4, "15:20:00") })).toMatchObject({ until })
  })
})

describe("a channel that failed finally is followed", () => {
  const reach: ReachableChannels = { provider: "whop", configured: ["email", "sms", "push", "slack"] }
  const settings: CompanySettings = { ...DEFAULT_SETTINGS, channelOrder: ["email", "push", "sms"] }
  const state = rebuild([mailed, failed])
  const next = (subject: Nudge, others: readonly Nudge[] = [], now = on(4)) =>
    fallbackFor(state, subject, others, settings, reach, now)

  test("by the next in the order, with the same step and incentive, now", () => {
    const incentive = { kind: "free_days", days: 7 } as const
    expect(next(nudge({ status: "failed", attempts: 4, incentive }))).toEqual(
      nudge({ channel: "push", incentive, dueAt: on(4) }),
    )
  })

  test("by none that was tried, and in the end by none", () => {
    const push = nudge({ channel: "push", status: "failed" })
    expect(next(push, [nudge()])?.channel).toBe("sms")
    expect(next(nudge({ channel: "sms" }), [nudge(), push])).toBeNull()
  })

  test("in the morning, when the next one makes a sound", () => {
    expect(next(nudge(), [], on(4, "23:00:00"))?.dueAt).toBe(on(5, "08:00:00"))
  })

  test("for each manual nudge, independent of earlier ones", () => {
    const earlier = nudge({ id: manualNudgeId("payment_in_1", "earlier", "push"), step: null, channel: "push" })
    expect(next(nudge({ step: null }), [earlier])?.id).toBe(manualNudgeId("payment_in_1", "key", "push"))
  })

  test("never by a message to the member, when the team's channel failed", () => {
    expect(next(nudge({ channel: "slack" }))).toBeNull()
  })
})

describe("an address that is not stored yet", () => {
  const known = rebuild([mailed, failed])

  test("is waited for while the state knows of one, about four hours in all", () => {
    const times = [on(0)]
    for (let attempts = 0; attempts < 20; attempts++) {
      const next = addressRetryAt(known, "stripe", nudge({ attempts }), times.at(-1) ?? "")
      if (next === null) break
      times.push(next)
    }
    expect(times.slice(0, 3)).toEqual([on(0), on(0, "10:00:15"), on(0, "10:01:15")])
    expect(times.at(-1)).toBe(on(0, "14:21:15"))
  })

  test("is not waited for where the state knows of none", () => {
    expect(addressRetryAt(rebuild([failed]), "stripe", nudge(), on(0))).toBeNull()
    expect(addressRetryAt(known, "stripe", nudge({ channel: "slack" }), on(0))).toBeNull()
  })
})
