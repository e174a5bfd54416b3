/** The invariants of the ledger where some facts were imported, and their promise: no message about the past. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { anyFacts, arbitraryFacts, arrivalOrders, providerFacts } from "../../../test/support/events/arbitrary-facts.ts"
import { Scheduler } from "../../../test/support/events/nudge-scheduler.ts"
import { asImported, mixLiveAndImported } from "../../../test/support/events/origins.ts"
import { invariantViolations } from "../../../test/support/events/state-invariants.ts"
import { asText, StoredStream } from "../../../test/support/events/stored-stream.ts"
import type { Fact } from "../facts.ts"
import { type CompanySettings, DEFAULT_SETTINGS } from "../settings.ts"
import { type CaseState, type CustomerState, failureCountOf } from "../state.ts"
import type { ReachableChannels } from "./decide.ts"
import { rebuild } from "./fold.ts"

const HOUR_MS = 3_600_000
const settings: CompanySettings = { ...DEFAULT_SETTINGS, channelOrder: ["email", "sms", "push", "dm"] }
const reach: ReachableChannels = { provider: "whop", configured: ["email", "sms", "push", "dm"] }

describe("where facts come from, mixed in any way", () => {
  test.each([
    ["a life", arbitraryFacts],
    ["facts that make no sense", anyFacts],
  ])("%s: any permutation, duplication and batching gives the same bytes", (_, facts) => {
    fc.assert(
      fc.property(
        mixLiveAndImported(facts).chain((all) => fc.tuple(fc.constant(all), arrivalOrders(all))),
        fc.integer({ min: 1, max: 5 }),
        ([all, arrived], size) => {
          const whole = JSON.stringify(rebuild(all))
          expect(JSON.stringify(rebuild(arrived))).toBe(whole)
          const stream = new StoredStream(asText)
          let last: CustomerState | null = null
          for (let start = 0; start < arrived.length; start += size)
            last = stream.append(arrived.slice(start, start + size))
          if (last !== null) expect(JSON.stringify(last)).toBe(whole)
        },
      ),
      { numRuns: 300 },
    )
  })

  test("a state is well-formed", () => {
    fc.assert(
      fc.property(mixLiveAndImported(arbitraryFacts), (facts) => {
        expect(invariantViolations(rebuild(facts))).toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})

/** The state without what tells where it is known from. */
const figures = (state: CustomerState) => ({
  ...state,
  position: null,
  loose: state.loose.map(({ origin: _, ...loose }) => loose),
  cases: state.cases.map(({ knownFrom: _, invoiceFailures: __, ...entry }) => ({
    ...entry,
    failures: failureCountOf({ ...entry, invoiceFailures: __ } as CaseState),
  })),
})

test("an imported history has the amounts and counts of a live one", () => {
  fc.assert(
    fc.property(arbitraryFacts, (facts) => {
      expect(figures(rebuild(facts.map(asImported)))).toEqual(figures(rebuild(facts)))
    }),
    { numRuns: 500 },
  )
})

/**
 * What anybody can see of a state. Which of several charges of one second and amount belongs to which attempt is a guess,
 * which one more word of an attempt may change.
 */
const shown = (state: CustomerState) => ({
  profile: state.profile,
  subscriptions: state.subscriptions,
  payments: Object.values(state.payments).map(({ refs: _, declineCode: __, ...payment }) => payment),
  cases: state.cases.map(({ invoiceFailures, chargeFailures: _, declineCode: __, ...entry }) => ({
    ...entry,
    attempts: invoiceFailures.length,
  })),
})

test("a live history that was also imported, under other ids, equals the live one", () => {
  fc.assert(
    fc.property(
      providerFacts.chain((facts) => {
        const twins = facts.map((fact) => asImported({ ...fact, id: `history_${fact.id}` }))
        return fc.tuple(fc.constant(facts), arrivalOrders([...facts, ...twins]))
      }),
      ([facts, arrived]) => {
        expect(shown(rebuild(arrived))).toEqual(shown(rebuild(facts)))
      },
    ),
    { numRuns: 500 },
  )
})

test("a payment case that a live fact opened is live, whatever is imported around it", () => {
  let seen = 0
  fc.assert(
    fc.property(mixLiveAndImported(providerFacts), (facts) => {
      const all = rebuild(facts)
      for (const { id, kind, status } of rebuild(facts.filter(({ origin }) => origin === undefined)).cases) {
        const same = all.cases.find((entry) => entry.id === id)
        if (kind !== "payment" || status !== "open" || same?.status !== "open") continue
        seen += 1
        expect(same).not.toHaveProperty("knownFrom")
      }
    }),
    { numRuns: 2_500 },
  )
  expect(seen).toBeGreaterThan(30)
})

/** Whether anything that was told live could be news of this case. */
function hasLiveNews(entry: CaseState | undefined, facts: readonly Fact[]): boolean {
  const live = facts.filter(({ origin }) => origin === undefined)
  if (entry?.kind === "payment") {
    return live.some(
      (fact) => fact.kind === "payment_failed" && (fact.invoiceId ?? entry.invoiceId) === entry.invoiceId,
    )
  }
  if (entry?.kind === "at_risk") {
    return live.some((fact) => fact.kind === "risk_detected" && fact.caseId === entry.id)
  }
  return live.some(
    (fact) =>
      "subscription" in fact &&
      fact.subscription.subscriptionId === entry?.subscriptionId &&
      fact.subscription.cancelAt !== null,
  )
}

/** Runs a life to its end, and two weeks more; facts arrive late by so many hours. */
function messagesOf(facts: readonly Fact[], lateHours: readonly number[]) {
  const scheduler = new Scheduler(settings, reach, () => "well")
  const arrivals = facts
    .map((fact, index) => ({
      fact,
      at: Date.parse(fact.occurredAt) + (lateHours[index % lateHours.length] ?? 0) * HOUR_MS,
    }))
    .sort((a, b) => a.at - b.at)
  const endMs = (arrivals.at(-1)?.at ?? 0) + 14 * 24 * HOUR_MS
  for (let nowMs = arrivals[0]?.at ?? endMs; nowMs < endMs; nowMs += 6 * HOUR_MS) {
    while (arrivals[0] && arrivals[0].at <= nowMs) {
      const next = arrivals.shift()
      if (next) scheduler.arrive(next.fact)
    }
    scheduler.advance(new Date(nowMs).toISOString())
    scheduler.sendDue(new Date(nowMs).toISOString())
  }
  return scheduler.visible
}

const unsent = (facts: readonly Fact[]) => facts.filter(({ kind }) => kind !== "nudge_sent")
const lateness = fc.array(fc.constantFrom(0, 0, 6, 48, 500), { minLength: 1, maxLength: 6 })

test("no message is sent for a case known only from history, and others are sent", () => {
  let seen = 0
  fc.assert(
    fc.property(mixLiveAndImported(arbitraryFacts.map(unsent)), lateness, (facts, lateHours) => {
      for (const { nudge, knownThen } of messagesOf(facts, lateHours)) {
        const entry = knownThen.cases.find(({ id }) => id === nudge.caseId)
        expect([nudge.id, hasLiveNews(entry, facts)]).toEqual([nudge.id, true])
        seen += 1
      }
    }),
    { numRuns: 150 },
  )
  expect(seen).toBeGreaterThan(50)
})

test("a history that was wholly imported gets no messages", () => {
  fc.assert(
    fc.property(arbitraryFacts.map(unsent), lateness, (facts, lateHours) => {
      expect(messagesOf(facts.map(asImported), lateHours)).toEqual([])
    }),
    { numRuns: 100 },
  )
})
