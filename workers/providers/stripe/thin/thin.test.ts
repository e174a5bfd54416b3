/** Thin events: which are looked up, and that one read from its object has no facts that its snapshot event has not. */
import fc from "fast-check"
import Stripe from "stripe"
import { describe, expect, test } from "vitest"
import { type Fact, inLedgerOrder } from "../../../../shared/domain/facts.ts"
import { fold, rebuild } from "../../../../shared/domain/recovery/fold.ts"
import { failureCountOf } from "../../../../shared/domain/state.ts"
import type { Delivery } from "../../../../shared/provider.ts"
import { deliveryOf, event, INVOICE, SUBSCRIPTION, thinOf } from "../../../../test/fixtures/stripe/constructed/event.ts"
import { expectWellFormed } from "../../../../test/fixtures/stripe/constructed/well-formed.ts"
import { recordedEvents } from "../../../../test/fixtures/stripe/recorded.ts"
import { failedRenewalScenario } from "../../../../test/support/events/scenario.ts"
import { invariantViolations } from "../../../../test/support/events/state-invariants.ts"
import { isObject, type JsonObject } from "../events/fields.ts"
import { isSnapshotType, snapshotTypeOf } from "../events/thin-types.ts"
import { normalize } from "../facts/normalize.ts"
import { currentObjectDelivery } from "./current-object.ts"

interface Snapshot {
  readonly type: string
  readonly created: number
  readonly data: { readonly object: JsonObject; readonly previous_attributes?: JsonObject }
}

/** The finer types that stand for one `customer.subscription.updated`. */
const FINER = ["active", "past_due", "unpaid", "trialing", "item_price_changed", "cancel_at_changed"].map(
  (name) => `v1.customer.subscription.${name}`,
)

const thinTypesOf = (type: string): readonly string[] =>
  type === "customer.subscription.updated" ? [`v1.${type}`, ...FINER] : [`v1.${type}`]

const factsOf = (delivery: Delivery, id: string): Fact[] =>
  delivery.facts.map((fact, index) => ({ ...fact, id: `${id}.${index}` }))

/** The delivery of the thin event of a snapshot, when the object has not changed since the snapshot. */
const thinFacts = (snapshot: Snapshot, type: string, id: string, seconds = 0): Fact[] =>
  factsOf(
    currentObjectDelivery(
      deliveryOf(thinOf({ ...snapshot, created: snapshot.created + seconds }, { type })),
      snapshot.data.object,
      snapshot.data.previous_attributes ?? {},
    ),
    id,
  )

const stateOf = (facts: readonly Fact[]) => ({ ...rebuild(facts), position: null })

describe("which thin events are looked up", () => {
  test.each([
    ["v1.invoice.payment_failed", true],
    ["v1.customer.subscription.past_due", true],
    ["v1.customer.subscription.item_price_changed", true],
    ["v1.price.updated", "not used"],
    ["v1.invoice.discount_added", "unknown type"],
    ["v2.core.account.updated", "unknown type"],
    ["v1.constructor", "unknown type"],
    ["invoice.payment_failed", "unknown type"],
  ])("%s: %s", (type, wanted) => {
    const { needs, unhandled } = deliveryOf(thinOf(event("x", INVOICE), { type }))
    expect(needs === undefined ? unhandled : true).toBe(wanted)
  })

  test("none that names no object", () => {
    const thin = thinOf(event("invoice.paid", INVOICE))
    expect(deliveryOf({ ...thin, related_object: null })).toMatchObject({ unhandled: "thin event names nothing" })
    expect(deliveryOf({ ...thin, related_object: null, snapshot_event: "evt_1" }).needs).toEqual({
      snapshotEventId: "evt_1",
      object: null,
    })
  })

  test("a snapshot event has the plain type or the coarser one", () => {
    expect(isSnapshotType("v1.invoice.paid", "invoice.paid")).toBe(true)
    expect(isSnapshotType("v1.customer.subscription.past_due", "customer.subscription.updated")).toBe(true)
    expect(isSnapshotType("v1.invoice.paid", "invoice.voided")).toBe(false)
    expect(snapshotTypeOf("v2.core.account.updated")).toBeNull()
  })

  test("the package reads the same notification", () => {
    const thin = thinOf(event("invoice.paid", INVOICE), { snapshot_event: "evt_1", context: "acct_1" })
    const parsed = new Stripe("sk_test_1").parseEventNotificationWithoutVerification(JSON.stringify(thin))
    const delivery = deliveryOf(thin)
    expect([parsed.id, parsed.type, parsed.snapshot_event, parsed.context?.toString()]).toEqual([
      delivery.providerEventId,
      delivery.type,
      delivery.needs?.snapshotEventId,
      delivery.account,
    ])
  })
})

/** A failing bill is open while it fails; some recorded events are inconsistent in that. */
const withOpenBill = (snapshot: Snapshot): Snapshot =>
  snapshot.type === "invoice.payment_failed" || snapshot.type === "invoice.payment_action_required"
    ? { ...snapshot, data: { ...snapshot.data, object: { ...snapshot.data.object, status: "open" } } }
    : snapshot

const RECORDED: readonly (readonly [string, Snapshot])[] = recordedEvents().flatMap(({ name, body }) => {
  const read = normalize(body)
  const isRead = read.ok && read.value.facts.length > 0
  // Recorded events have all fields of a valid envelope.
  return isRead && deliveryOf(thinOf(body as unknown as Snapshot)).needs
    ? [[name, withOpenBill(body as unknown as Snapshot)] as const]
    : []
})

test.each(RECORDED)("%s and its thin event fold to the same state as it alone, in both orders", (_, snapshot) => {
  const snapshotFacts = factsOf(deliveryOf(snapshot), "m")
  for (const type of thinTypesOf(snapshot.type)) {
    for (const id of ["a", "z"]) {
      const thinEvent = thinFacts(snapshot, type, id)
      expect(stateOf([...snapshotFacts, ...thinEvent]), `${type}, ${id}`).toEqual(stateOf(snapshotFacts))
    }
  }
})

test("there are enough recorded events", () => {
  expect(new Set(RECORDED.map(([, { type }]) => type)).size).toBeGreaterThanOrEqual(18)
})

const SCENARIO = failedRenewalScenario("thin0000", new Date("2026-06-01T12:00:00.000Z"))
  .events as unknown as readonly Snapshot[]

/** Some events of the scenario with a thin event each: its type, its place in the ledger, and its difference in seconds. */
const thinEventsOf = (seconds: fc.Arbitrary<number>) =>
  fc.array(fc.record({ has: fc.boolean(), type: fc.nat(), isFirst: fc.boolean(), seconds }), {
    minLength: SCENARIO.length,
    maxLength: SCENARIO.length,
  })

const scenarioFacts = SCENARIO.flatMap((snapshot, index) => factsOf(deliveryOf(snapshot), `m${index}`))
const thinFactsOf = (thinEvents: readonly { has: boolean; type: number; isFirst: boolean; seconds: number }[]) =>
  SCENARIO.flatMap((snapshot, index) => {
    const thinEvent = thinEvents[index]
    const types = thinTypesOf(snapshot.type)
    const type = types[(thinEvent?.type ?? 0) % types.length]
    if (!thinEvent?.has || type === undefined) return []
    return thinFacts(snapshot, type, `${thinEvent.isFirst ? "a" : "z"}${index}`, thinEvent.seconds)
  })

test("a whole scenario with thin events of any of its events has the same state", () => {
  fc.assert(
    fc.property(thinEventsOf(fc.constant(0)), (thinEvents) => {
      expect(stateOf([...scenarioFacts, ...thinFactsOf(thinEvents)])).toEqual(stateOf(scenarioFacts))
    }),
    { numRuns: 500 },
  )
})

test("with thin events a second off the cases and ends are the same, each failure counted once", () => {
  const casesAndEnds = (facts: readonly Fact[]) =>
    rebuild(facts).cases.map((entry) => [
      entry.id,
      entry.status,
      entry.closeReason,
      failureCountOf(entry),
      entry.amountMinor,
      entry.recoveredMinor,
    ])
  fc.assert(
    fc.property(thinEventsOf(fc.integer({ min: -1, max: 1 })), (thinEvents) => {
      const facts = [...scenarioFacts, ...thinFactsOf(thinEvents)]
      expect(casesAndEnds(facts)).toEqual(casesAndEnds(scenarioFacts))
      expect(invariantViolations(rebuild(facts))).toEqual([])
      // However far apart they are received: folding onto a snapshot gives the same as a rebuild.
      const ordered = inLedgerOrder(facts)
      expect(fold(ordered.slice(4), fold(ordered.slice(0, 4)))).toEqual(rebuild(facts))
    }),
    { numRuns: 500 },
  )
})

test("a scenario of thin events only has the same cases and ends", () => {
  const thin = thinFactsOf(SCENARIO.map(() => ({ has: true, type: 0, isFirst: true, seconds: 0 })))
  expect(rebuild(thin).cases.map(({ id, status }) => [id, status])).toEqual(
    rebuild(scenarioFacts).cases.map(({ id, status }) => [id, status]),
  )
})

describe("an object that has changed since", () => {
  const eventSeconds = 1_767_225_600
  const readCurrent = (type: string, object: JsonObject) =>
    currentObjectDelivery(deliveryOf(thinOf({ ...event(type, object), created: eventSeconds })), object, {})
  const bill = (more: object) => ({
    ...INVOICE,
    amount_remaining: 0,
    attempt_count: 3,
    next_payment_attempt: null,
    ...more,
  })

  test("a failed invoice that is paid by now failed at the event and was paid since, for the whole amount", () => {
    const { facts } = readCurrent(
      "invoice.payment_failed",
      bill({ status: "paid", status_transitions: { paid_at: eventSeconds + 3600 }, charge: "ch_of_a_later_attempt" }),
    )
    expect(facts).toMatchObject([
      {
        kind: "payment_failed",
        amountMinor: 500,
        attempt: null,
        chargeId: null,
        occurredAt: "2026-01-01T00:00:00.000Z",
      },
      { kind: "payment_succeeded", amountMinor: 500, occurredAt: "2026-01-01T01:00:00.000Z" },
    ])
    expect(facts[0]).not.toHaveProperty("nextAttemptAt")
    const [recovered] = rebuild(facts.map((fact, index) => ({ ...fact, id: `f${index}` }))).cases
    expect(recovered).toMatchObject({ status: "recovered", recoveredMinor: 500 })
  })

  test.each([
    ["void", "voided_at", "invoice_voided"],
    ["uncollectible", "marked_uncollectible_at", "invoice_uncollectible"],
  ])("a failed invoice that is %s by now has that outcome at its own time", (status, at, kind) => {
    const { facts } = readCurrent(
      "invoice.payment_failed",
      bill({ status, status_transitions: { [at]: eventSeconds + 60 } }),
    )
    expect(facts.at(-1)).toMatchObject({ kind, occurredAt: "2026-01-01T00:01:00.000Z" })
    expect(facts).toHaveLength(2)
  })

  test("an open one without further attempts does not end collection at the event", () => {
    const { facts } = readCurrent("invoice.payment_failed", bill({ status: "open", amount_remaining: 500 }))
    expect(rebuild(facts.map((fact, index) => ({ ...fact, id: `f${index}` }))).cases).toMatchObject([
      { status: "open" },
    ])
  })

  test("a subscription that has ended gives its end, at its time", () => {
    const { facts } = readCurrent("customer.subscription.updated", {
      ...SUBSCRIPTION,
      status: "canceled",
      ended_at: eventSeconds + 60,
    })
    expect(facts).toMatchObject([{ kind: "subscription_ended", occurredAt: "2026-01-01T00:01:00.000Z" }])
  })

  test.each([
    ["payment_intent.payment_failed", { id: "pi_1", object: "payment_intent", customer: "cus_1", status: "succeeded" }],
    ["charge.failed", { id: "ch_1", object: "charge", customer: "cus_1", status: "succeeded" }],
  ])("%s has no facts of a failure that the object no longer shows", (type, object) => {
    expect(readCurrent(type, object)).toMatchObject({ facts: [], unhandled: expect.stringContaining("moved on") })
  })

  test("a payment method that was detached has no customer", () => {
    const object = { id: "pm_1", object: "payment_method", customer: null }
    expect(readCurrent("payment_method.attached", object)).toMatchObject({
      facts: [],
      unhandled: "thin event, and its object names nobody now",
    })
  })

  test("a customer that was deleted does not lose its address by it", () => {
    const { facts, contact } = readCurrent("customer.updated", { id: "cus_1", object: "customer", deleted: true })
    expect(facts).toMatchObject([{ kind: "customer_seen", deleted: true }])
    expect(contact).toBeNull()
  })
})

test("any object gives a well-formed delivery", () => {
  const bodies = RECORDED.map(([, snapshot]) => snapshot)
  fc.assert(
    fc.property(fc.constantFrom(...bodies), fc.jsonValue(), fc.string(), (snapshot, value, field) => {
      const object = { ...snapshot.data.object, [field]: value }
      const delivery = currentObjectDelivery(deliveryOf(thinOf(snapshot)), object, isObject(value) ? value : {})
      expectWellFormed({
        ...delivery,
        facts: delivery.facts.map((fact) => ({ ...fact, occurredAt: delivery.occurredAt })),
      })
    }),
    { numRuns: 500 },
  )
})
