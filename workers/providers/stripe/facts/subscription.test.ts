import { describe, expect, test } from "vitest"
import { event, factOf, SUBSCRIPTION } from "../../../../test/fixtures/stripe/constructed/event.ts"

describe("the fact of a changed subscription is the most specific one", () => {
  const changed = (now: object, before: object, status = "active") =>
    factOf(
      event(
        "customer.subscription.updated",
        { ...SUBSCRIPTION, status, ...now },
        {
          data: { object: { ...SUBSCRIPTION, status, ...now }, previous_attributes: before },
        },
      ),
    )

  test.each([
    ["cancellation_announced", changed({ cancel_at: 1_767_225_600 }, { cancel_at: null })],
    // In versions with reasons, a date without one is no request of the member (docs/INTENT.md).
    [
      "subscription_changed",
      changed({ cancel_at: 1_767_225_600, cancellation_details: { reason: null } }, { cancel_at: null }),
    ],
    [
      "cancellation_announced",
      changed(
        { cancel_at: 1_767_225_600, cancellation_details: { reason: "cancellation_requested" } },
        { cancel_at: null },
      ),
    ],
    ["cancellation_announced", changed({ cancel_at_period_end: true }, { cancel_at_period_end: false })],
    ["subscription_changed", changed({ cancel_at_period_end: true }, { metadata: {} })],
    ["subscription_changed", changed({ cancel_at: 2 }, { cancel_at: 1 })],
    ["subscription_resumed", changed({ cancel_at: null }, { cancel_at: 1 })],
    // A term that was agreed at the start and is extended, at anyone's request.
    [
      "subscription_changed",
      changed(
        {
          ...{ created: 1_760_000_000, cancel_at: 1_767_225_600, canceled_at: 1_762_000_000 },
          cancellation_details: { reason: "cancellation_requested" },
        },
        { cancel_at: 1_765_000_000, canceled_at: 1_760_000_000 },
      ),
    ],
    ["subscription_paused", changed({ pause_collection: { behavior: "void" } }, { pause_collection: null })],
    [
      "subscription_changed",
      changed({ pause_collection: { behavior: "void" } }, { pause_collection: { resumes_at: 1 } }),
    ],
    ["subscription_resumed", changed({ pause_collection: null }, { pause_collection: { behavior: "void" } })],
    ["subscription_paused", changed({}, { status: "active" }, "paused")],
    ["subscription_resumed", changed({}, { status: "paused" })],
    ["subscription_ended", changed({}, { status: "incomplete" }, "incomplete_expired")],
    ["subscription_ended", changed({}, { status: "paused" }, "canceled")],
    ["subscription_changed", changed({}, { cancellation_details: { comment: null } }, "canceled")],
    ["subscription_changed", changed({ cancel_at: null }, { cancel_at: 1 }, "canceled")],
    ["subscription_changed", changed({}, { status: "active" }, "past_due")],
    ["subscription_changed", changed({}, {})],
  ])("%s", (kind, fact) => {
    expect(fact?.kind).toBe(kind)
  })

  const snapshot = (fields: object) => {
    const fact = factOf(event("customer.subscription.created", { ...SUBSCRIPTION, ...fields }))
    return fact?.kind === "subscription_started" ? fact.subscription : null
  }
  const item = (end: number) => ({ current_period_end: end, price: { id: "price_1", unit_amount: 1 } })

  test("with an unknown status", () => {
    expect(snapshot({ status: "dormant" })).toMatchObject({ status: "unknown" })
  })

  test("with periods of its items: the first is the next renewal, the cancellation is at the last", () => {
    const items = { data: [item(1_770_000_000), item(1_767_225_600)] }
    expect(snapshot({ items, cancel_at_period_end: true })).toMatchObject({
      currentPeriodEnd: "2026-01-01T00:00:00.000Z",
      cancelAt: "2026-02-02T02:40:00.000Z",
    })
  })

  test.each([
    ["requested", { status: "active", pause_collection: { behavior: "void" } }],
    ["requested", { status: "paused", status_details: { paused: { subscription: { type: "pause_requested" } } } }],
    [
      "payment_failure",
      { status: "paused", status_details: { paused: { subscription: { type: "first_payment_failure" } } } },
    ],
    ["payment_failure", { status: "paused" }],
    [null, { status: "active", pause_collection: null }],
  ])("paused: %s", (paused, fields) => {
    expect(snapshot(fields)).toMatchObject({ paused })
  })

  test.each([
    ["requested", { cancellation_details: { reason: "cancellation_requested" } }],
    ["payment_failed", { cancellation_details: { reason: "payment_failed" } }],
    ["payment_disputed", { cancellation_details: { reason: "payment_disputed" } }],
    ["policy", { cancellation_details: { reason: "canceled_by_retention_policy" } }],
    ["unknown", { cancellation_details: { reason: "a_new_one" } }],
    ["requested", { cancel_at_period_end: true }],
    ["unknown", {}],
  ])("ended: %s", (reason, fields) => {
    expect(
      factOf(event("customer.subscription.deleted", { ...SUBSCRIPTION, status: "canceled", ...fields })),
    ).toMatchObject({
      kind: "subscription_ended",
      reason,
    })
  })
})
