import fc from "fast-check"
import { expect, test } from "vitest"
import { on } from "../../test/support/facts.ts"
import { arrivalsOf, crowdedLife, life, providerLife } from "../../test/support/lives.ts"
import { FATES, Scheduler, type VisibleMessage } from "../../test/support/scheduler.ts"
import { decide, type Reach } from "./decide.ts"
import type { Fact, Instant } from "./facts.ts"
import { rebuild } from "./fold.ts"
import type { Nudge } from "./nudges.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "./settings.ts"
import { findCase } from "./state.ts"

const HOUR_MS = 3_600_000
const settings: CompanySettings = {
  ...DEFAULT_SETTINGS,
  timeZone: "America/New_York",
  channelOrder: ["email", "sms", "push", "dm"],
}
const reach: Reach = { provider: "whop", configured: ["email", "sms", "push", "dm"] }

const hoursOf = new Map(
  ["Europe/Berlin", "America/New_York", "Asia/Kolkata"].map((zone) => [
    zone,
    new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", hourCycle: "h23" }),
  ]),
)

/** Whether the message came at night; where the member's zone is none that exists, the company's counts. */
function isAtNight({ at, nudge, knownThen }: VisibleMessage): boolean {
  const { timeZone } = knownThen.profile
  const own = timeZone === null ? undefined : hoursOf.get(timeZone)
  if (own === undefined && nudge.channel === "email") return false
  const hour = Number((own ?? hoursOf.get(settings.timeZone))?.format(Date.parse(at)))
  return hour >= 21 || hour < 8
}

const countWithin = (messages: readonly VisibleMessage[], until: Instant, hours: number): number =>
  messages.filter(({ at }) => at <= until && Date.parse(at) > Date.parse(until) - hours * HOUR_MS).length

/** Every promise about messages that was broken, in words. */
function* broken(messages: readonly VisibleMessage[]): Generator<string> {
  const steps = messages.map(({ nudge }) => `${nudge.caseId} step ${nudge.step}`)
  for (const step of new Set(steps)) {
    const times = steps.filter((other) => other === step).length
    if (times > 1) yield `${step} was seen ${times} times`
  }
  for (const message of messages) {
    const { nudge, at, knownThen } = message
    if (findCase(knownThen, nudge.caseId)?.status !== "open") yield `${nudge.id} came after the case closed`
    if (knownThen.outreach.optedOutAt !== null) yield `${nudge.id} came after the member opted out`
    if (knownThen.profile.isDeleted) yield `${nudge.id} came after the customer was deleted`
    if (isAtNight(message)) yield `${nudge.id} came at night, ${at}`
    for (const { max, hours } of settings.frequencyCaps) {
      const count = countWithin(messages, at, hours)
      if (count > max) yield `${count} messages within ${hours} hours at ${at}`
    }
  }
}

/** Runs a life: facts arrive late by up to two days, the clock goes on in uneven steps, and outages happen between. */
function run(facts: readonly Fact[], lateHours: readonly number[], stepHours: readonly number[], scheduler: Scheduler) {
  const arrivals = facts
    .map((fact, index) => ({
      fact,
      at: Date.parse(fact.occurredAt) + (lateHours[index % lateHours.length] ?? 0) * HOUR_MS,
    }))
    .sort((a, b) => a.at - b.at)
  const endMs = (arrivals.at(-1)?.at ?? 0) + 14 * 24 * HOUR_MS
  const queue = arrivals.values()
  let next = queue.next().value
  let turn = 0
  for (
    let nowMs = arrivals[0]?.at ?? endMs;
    nowMs < endMs;
    nowMs += (stepHours[turn++ % stepHours.length] ?? 1) * HOUR_MS
  ) {
    const now = new Date(nowMs).toISOString()
    while (next && next.at <= nowMs) {
      scheduler.arrive(next.fact)
      next = queue.next().value
    }
    scheduler.advance(now)
    scheduler.sendDue(now)
  }
}

test.each([
  ["many lives", life.map((facts) => facts.filter(({ kind }) => kind !== "nudge_sent"))],
  ["a crowd of cases", crowdedLife],
])(
  "whatever happens between any two steps of %s: each is seen once at most, and never when it must not be",
  (_, lives) => {
    let seen = 0
    fc.assert(
      fc.property(
        lives,
        fc.array(fc.constantFrom(0, 0, 0.1, 6, 48), { minLength: 1, maxLength: 6 }),
        fc.array(fc.constantFrom(0.25, 1, 5, 9, 100), { minLength: 1, maxLength: 6 }),
        fc.array(fc.constantFrom("well", "well", ...FATES), { minLength: 1, maxLength: 30, size: "max" }),
        (facts, lateHours, stepHours, fates) => {
          let turn = 0
          const scheduler = new Scheduler(settings, reach, () => fates[turn++ % fates.length] ?? "well")
          run(facts, lateHours, stepHours, scheduler)
          expect([...broken(scheduler.visible)]).toEqual([])
          seen += scheduler.visible.length
        },
      ),
      { numRuns: 120 },
    )
    expect(seen).toBeGreaterThan(100)
  },
)

test("deciding again after its own actions gives none, in whatever order the ledger came", () => {
  let planned = 0
  fc.assert(
    fc.property(
      providerLife.chain((facts) => fc.tuple(fc.constant(facts), arrivalsOf(facts))),
      fc.integer({ min: 0, max: 70 }),
      ([facts, arrived], day) => {
        const actions = decide(rebuild(facts), [], settings, reach, on(day))
        expect(decide(rebuild(arrived), [], settings, reach, on(day))).toEqual(actions)
        const nudges = actions.flatMap((action): Nudge[] => (action.kind === "plan_nudge" ? [action.nudge] : []))
        expect(new Set(nudges.map(({ id }) => id)).size).toBe(nudges.length)
        expect(decide(rebuild(arrived), nudges, settings, reach, on(day + 1))).toEqual([])
        planned += nudges.length
      },
    ),
    { numRuns: 300 },
  )
  expect(planned).toBeGreaterThan(50)
})
