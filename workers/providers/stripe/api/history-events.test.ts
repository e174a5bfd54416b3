/** The past that is built from Stripe's objects, compared with the webhooks of the same time. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { Fact } from "../../../../shared/domain/facts.ts"
import { rebuild } from "../../../../shared/domain/recovery/fold.ts"
import { type CustomerState, failureCountOf } from "../../../../shared/domain/state.ts"
import type { HistoricalEvent } from "../../../../shared/provider.ts"
import { type StripeObject, stripeHistory } from "../../../../test/support/events/stripe-history.ts"
import { normalize } from "../facts/normalize.ts"
import {
  chargeEvents,
  customerEvents,
  disputeEvents,
  invoiceEvents,
  refundEvents,
  subscriptionEvents,
} from "./history-events.ts"

const seconds = (text: string) => Date.parse(text) / 1000
const [start, end] = [seconds("2025-01-01T00:00:00Z"), seconds("2026-01-01T00:00:00Z")]
const range = { since: start, until: end, account: null }

function deliveryOf(body: unknown) {
  const delivery = normalize(body)
  if (!delivery.ok) throw new Error(delivery.error.detail)
  return delivery.value
}

/** Facts of an event, with ids of their own. */
function factsOf(body: unknown, origin?: "history"): Fact[] {
  const { facts, providerEventId } = deliveryOf(body)
  return facts.map((fact, index) => ({ ...fact, id: `${providerEventId}.${index}`, ...(origin && { origin }) }))
}

const bodyOf = (event: HistoricalEvent): unknown => JSON.parse(new TextDecoder().decode(event.rawBody))

const webhooksOf = (tag: string, seed: number) => {
  const history = stripeHistory(tag, seed, { start, end })
  const webhookFacts = history.webhooks.flatMap(({ type, at, object, previous }, index) =>
    factsOf({
      ...{ id: `evt_${tag}_${index}`, object: "event", created: at, type },
      data: { object, previous_attributes: previous },
    }),
  )
  return { history, webhookFacts }
}

function historyOf(objects: ReadonlyMap<string, readonly StripeObject[]>): HistoricalEvent[] {
  const of = (collection: string) => objects.get(collection) ?? []
  const chargesOf = (invoice: StripeObject) =>
    of("charges").filter(({ payment_intent: intent }) => intent === `pi_${invoice.id.slice(3)}`)
  return [
    ...of("customers").flatMap((object) => customerEvents(object, range)),
    ...of("subscriptions").flatMap((object) => subscriptionEvents(object, range)),
    ...of("invoices").flatMap((object) => invoiceEvents(object, chargesOf(object), range)),
    ...of("charges").flatMap((object) => chargeEvents(object, range)),
    ...of("refunds").flatMap((object) => refundEvents(object, range)),
    ...of("disputes").flatMap((object) => disputeEvents(object, range)),
  ]
}

/** The compared parts: cases, money and subscriptions; the reason of a lost case is less specific in a history. */
const comparedParts = (state: CustomerState) => ({
  cases: state.cases
    .map((entry) => ({
      ...{ id: entry.id, kind: entry.kind, status: entry.status, amountMinor: entry.amountMinor },
      ...{ openedAt: entry.openedAt, closedAt: entry.closedAt, recoveredMinor: entry.recoveredMinor },
      failures: failureCountOf(entry),
      declineCode: entry.declineCode,
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1)),
  payments: Object.values(state.payments)
    .map(({ invoiceId, status, amountMinor, paidAt, failedAt, how, refundedMinor }) => ({
      ...{ invoiceId, status, amountMinor, paidAt, failedAt, how, refundedMinor },
    }))
    .sort((a, b) => (a.invoiceId < b.invoiceId ? -1 : 1)),
  // The former values of same-second events are stored only to order them.
  subscriptions: Object.values(state.subscriptions).map(({ second: _, ...subscription }) => subscription),
})

const seeds = fc.integer({ min: 1, max: 2_000_000 })

describe("a customer's past from objects", () => {
  test("has the cases, payments and subscriptions of the webhooks", () => {
    const seen = new Map<string, number>()
    fc.assert(
      fc.property(seeds, (seed) => {
        const { history, webhookFacts } = webhooksOf("a", seed)
        const imported = historyOf(history.objects).flatMap((event) => factsOf(bodyOf(event), "history"))
        expect(comparedParts(rebuild(imported))).toEqual(comparedParts(rebuild(webhookFacts)))
        for (const { kind, status } of rebuild(webhookFacts).cases) {
          const name = `${kind} ${status}`
          seen.set(name, (seen.get(name) ?? 0) + 1)
        }
      }),
      // A fixed seed: the count below must not depend on chance.
      { numRuns: 300, seed: 20_261_122 },
    )
    // Histories without such cases would prove nothing about them.
    for (const name of ["payment open", "payment recovered", "payment lost", "cancellation open", "cancellation lost"])
      expect([name, seen.get(name) ?? 0]).toEqual([name, expect.toSatisfy((count: number) => count > 10)])
  })

  test("changes nothing where the webhooks were received, in any order of both", () => {
    fc.assert(
      fc.property(seeds, fc.boolean(), (seed, isFirst) => {
        const { history, webhookFacts } = webhooksOf("a", seed)
        const imported = historyOf(history.objects).flatMap((event) => factsOf(bodyOf(event), "history"))
        const both = rebuild(isFirst ? [...imported, ...webhookFacts] : [...webhookFacts, ...imported])
        expect(comparedParts(both)).toEqual(comparedParts(rebuild(webhookFacts)))
        expect(both.cases.filter(({ knownFrom }) => knownFrom !== undefined)).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  test("has the same unique ids at every call, which mark it as history", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const ids = historyOf(webhooksOf("a", seed).history.objects).map(({ providerEventId }) => providerEventId)
        expect(ids).toEqual(
          historyOf(webhooksOf("a", seed).history.objects).map(({ providerEventId }) => providerEventId),
        )
        expect(new Set(ids).size).toBe(ids.length)
        for (const id of ids) expect(id).toMatch(/^history_[A-Za-z0-9_-]+$/)
      }),
      { numRuns: 50 },
    )
  })

  test("has no unhandled event", () => {
    for (let seed = 1; seed < 60; seed++) {
      for (const event of historyOf(webhooksOf("a", seed).history.objects)) {
        expect([event.type, deliveryOf(bodyOf(event)).unhandled]).toEqual([event.type, null])
      }
    }
  })

  test("ends where the webhooks start", () => {
    for (let seed = 1; seed < 40; seed++) {
      const objects = webhooksOf("a", seed).history.objects
      const until = start + 200 * 86_400
      const events = [...objects.values()].flatMap((list) =>
        list.flatMap((object) =>
          object.object === "invoice"
            ? invoiceEvents(object, [], { ...range, until })
            : object.object === "subscription"
              ? subscriptionEvents(object, { ...range, until })
              : [],
        ),
      )
      const limit = new Date(until * 1000).toISOString()
      expect(events.filter(({ occurredAt }) => occurredAt > limit)).toEqual([])
    }
  })
})

describe("one object", () => {
  const invoice = {
    ...{ id: "in_1", object: "invoice", created: start, customer: "cus_1", currency: "usd", amount_due: 1_999 },
    ...{ amount_paid: 0, amount_remaining: 1_999, status: "open", attempt_count: 2, next_payment_attempt: null },
    status_transitions: { finalized_at: start + 60, paid_at: null, voided_at: null, marked_uncollectible_at: null },
  }
  const failed = (id: string, created: number) => ({
    id,
    object: "charge",
    status: "failed",
    created,
    customer: "cus_1",
  })

  test("of an uncollectible invoice has each attempt with the next one", () => {
    const events = invoiceEvents(invoice, [failed("ch_2", start + 9_000), failed("ch_1", start + 60)], range)
    expect(events.map(({ providerEventId }) => providerEventId)).toEqual([
      "history_in_1_failed_ch_1",
      "history_in_1_failed_ch_2",
    ])
    expect(events.flatMap((event) => factsOf(bodyOf(event)))).toMatchObject([
      { attempt: 1, nextAttemptAt: new Date((start + 9_000) * 1000).toISOString() },
      { attempt: 2, nextAttemptAt: null },
    ])
  })

  test("of an invoice without charges has its first attempt, and no next one", () => {
    const [only, ...rest] = invoiceEvents(invoice, [], range)
    expect(rest).toEqual([])
    expect(only).toMatchObject({ occurredAt: new Date((start + 60) * 1000).toISOString() })
    const [fact] = factsOf(only && bodyOf(only))
    expect(fact).toMatchObject({ kind: "payment_failed", attempt: 1 })
    expect(fact).not.toHaveProperty("nextAttemptAt")
  })

  test("of a guest, a draft, or without an id or a time, has no events", () => {
    expect(chargeEvents({ id: "ch_1", object: "charge", status: "failed", created: start }, range)).toEqual([])
    expect(invoiceEvents({ ...invoice, status: "draft" }, [], range)).toEqual([])
    expect(customerEvents({ object: "customer", created: start }, range)).toEqual([])
    expect(customerEvents({ id: "cus_1", object: "customer", created: "soon" }, range)).toEqual([])
    expect(disputeEvents({ id: "du_1", created: start, charge: { id: "ch_1", object: "charge" } }, range)).toEqual([])
  })

  test("of a connected account names it", () => {
    const [event] = customerEvents({ id: "cus_1", object: "customer", created: start }, { ...range, account: "acct_1" })
    expect(event && deliveryOf(bodyOf(event)).account).toBe("acct_1")
  })

  test("of a subscription that never started ends without a start", () => {
    const expired = {
      id: "sub_1",
      object: "subscription",
      created: start,
      customer: "cus_1",
      status: "incomplete_expired",
    }
    const facts = subscriptionEvents(expired, range).flatMap((event) => factsOf(bodyOf(event)))
    expect(facts).toMatchObject([
      { kind: "subscription_started", subscription: { status: "incomplete" } },
      { kind: "subscription_ended" },
    ])
  })

  test("of a subscription with paused collection has the pause at the end of the range", () => {
    const paused = {
      id: "sub_1",
      object: "subscription",
      created: start,
      status: "active",
      pause_collection: { behavior: "void" },
    }
    const events = subscriptionEvents(paused, range)
    expect(events.flatMap((event) => factsOf(bodyOf(event)))).toMatchObject([
      { kind: "subscription_started", subscription: { paused: null } },
      { kind: "subscription_paused", occurredAt: new Date(end * 1000).toISOString() },
    ])
  })
})
