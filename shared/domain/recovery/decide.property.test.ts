import fc from "fast-check"
import { expect, test } from "vitest"
import {
  arbitraryFacts,
  arrivalOrders,
  manySubscriptionsFacts,
  providerFacts,
} from "../../../test/support/events/arbitrary-facts.ts"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import { Scheduler, SEND_OUTCOMES, type VisibleMessage } from "../../../test/support/events/nudge-scheduler.ts"
import type { Fact, Instant } from "../facts.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "../settings.ts"
import { findCase } from "../state.ts"
import { decide, type ReachableChannels } from "./decide.ts"
import { rebuild } from "./fold.ts"
import type { Nudge } from "./nudges/nudges.ts"

const HOUR_MS = 3_600_000
const settings: CompanySettings = {
  ...DEFAULT_SETTINGS,
  timeZone: "America/New_York",
  channelOrder: ["email", "sms", "push", "dm"],
}
const reach: ReachableChannels = { provider: "whop", configured: ["email", "sms", "push", "dm"] }

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

/** Every broken promise about messages. */
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

/**
 * Runs generated histories, each with its own scheduler: facts arrive late by up to two days, the clock goes on in uneven steps, and
 * outages happen between.
 */
function run(
  lives: readonly (readonly [Scheduler, readonly Fact[]])[],
  lateHours: readonly number[],
  stepHours: readonly number[],
) {
  const arrivals = lives
    .flatMap(([scheduler, facts]) =>
      facts.map((fact, index) => ({
        ...{ scheduler, fact },
        at: Date.parse(fact.occurredAt) + (lateHours[index % lateHours.length] ?? 0) * HOUR_MS,
      })),
    )
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
      next.scheduler.arrive(next.fact)
      next = queue.next().value
    }
    for (const [scheduler] of lives) scheduler.advance(now)
    for (const [scheduler] of lives) scheduler.sendDue(now)
  }
}

test.each([
  ["many lives", arbitraryFacts.map((facts) => facts.filter(({ kind }) => kind !== "nudge_sent"))],
  ["a crowd of cases", manySubscriptionsFacts],
])(
  "whatever happens between any two steps of %s: each is seen once at most, and never when it must not be",
  (_, lives) => {
    let seen = 0
    fc.assert(
      fc.property(
        lives,
        fc.array(fc.constantFrom(0, 0, 0.1, 6, 48), { minLength: 1, maxLength: 6 }),
        fc.array(fc.constantFrom(0.25, 1, 5, 9, 100), { minLength: 1, maxLength: 6 }),
        fc.array(fc.constantFrom("well", "well", ...SEND_OUTCOMES), { minLength: 1, maxLength: 30, size: "max" }),
        (facts, lateHours, stepHours, fates) => {
          let turn = 0
          const scheduler = new Scheduler(settings, reach, () => fates[turn++ % fates.length] ?? "well")
          run([[scheduler, facts]], lateHours, stepHours)
          expect([...broken(scheduler.visible)]).toEqual([])
          seen += scheduler.visible.length
        },
      ),
      { numRuns: 120 },
    )
    expect(seen).toBeGreaterThan(100)
  },
)

/** Every broken promise to a person, over all their customers. */
function* brokenToPerson(parties: readonly Scheduler[]): Generator<string> {
  const messages = parties.flatMap((party) => party.visible).sort((a, b) => (a.at < b.at ? -1 : 1))
  const optOuts = parties.map((party) => party.asShared().state.outreach.optedOutAt)
  for (const [place, { nudge, at, knownThen, personThen }] of messages.entries()) {
    if (personThen.isOptedOut) yield `${nudge.id} came after another customer of the person opted out (${optOuts})`
    for (const { max, hours } of settings.frequencyCaps) {
      const count = countWithin(messages.slice(0, place + 1), at, hours)
      if (count > max) yield `${count} messages to one person within ${hours} hours at ${at}`
    }
    const open = [knownThen, ...personThen.others.map(({ state }) => state)].flatMap(({ cases }) =>
      cases.filter(({ status }) => status === "open").map(({ id }) => id),
    )
    const sameDay = messages
      .slice(0, place)
      .find((earlier) => earlier.nudge.caseId !== nudge.caseId && countWithin([earlier], at, 24) > 0)
    if (sameDay && open.includes(sameDay.nudge.caseId)) {
      yield `${sameDay.nudge.id} and ${nudge.id} came on one day, and both cases are open`
    }
  }
}

test("two customers of one person get messages as one, whatever happens between any two steps", () => {
  const seen = { first: 0, second: 0 }
  // The second customer's ids are others, as they are at a provider.
  const renamed = manySubscriptionsFacts.map((facts) =>
    JSON.parse(JSON.stringify(facts).replaceAll(/"(in|sub|pi|ch)_/g, '"$1_b')),
  ) as fc.Arbitrary<readonly Fact[]>
  fc.assert(
    fc.property(
      manySubscriptionsFacts,
      renamed,
      fc.constantFrom(null, null, 1, 3),
      fc.array(fc.constantFrom(0, 0, 0.1, 6, 48), { minLength: 1, maxLength: 6 }),
      fc.array(fc.constantFrom(0.25, 1, 5, 9, 100), { minLength: 1, maxLength: 6 }),
      fc.array(fc.constantFrom("well", "well", ...SEND_OUTCOMES), { minLength: 1, maxLength: 30, size: "max" }),
      (one, other, stopDay, lateHours, stepHours, fates) => {
        let turn = 0
        const fate = () => fates[turn++ % fates.length] ?? "well"
        const [first, second] = [new Scheduler(settings, reach, fate), new Scheduler(settings, reach, fate)]
        first.sharing.push(second)
        second.sharing.push(first)
        run(
          [
            [first, one],
            [second, stopDay === null ? other : [...other, make.optedOut({ at: on(stopDay), id: "stop" })]],
          ],
          lateHours,
          stepHours,
        )
        expect([...brokenToPerson([first, second])]).toEqual([])
        for (const party of [first, second]) expect([...broken(party.visible)]).toEqual([])
        seen.first += first.visible.length
        seen.second += second.visible.length
      },
    ),
    { numRuns: 120 },
  )
  expect(seen.first).toBeGreaterThan(50)
  expect(seen.second).toBeGreaterThan(20)
})

test("deciding again after its own actions gives none, in whatever order the ledger came", () => {
  let planned = 0
  fc.assert(
    fc.property(
      providerFacts.chain((facts) => fc.tuple(fc.constant(facts), arrivalOrders(facts))),
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
