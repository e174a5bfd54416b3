import { describe, expect, test } from "vitest"
import { features } from "../../domain/scoring/features.ts"
import { type LoggedEvent, ledgersOf } from "./event-log.ts"

const DAY_MS = 86_400_000
const START_MS = Date.parse("2026-01-01T00:00:00.000Z")
const at = (day: number): string => new Date(START_MS + day * DAY_MS).toISOString()

let count = 0
const event = (day: number, type: string, more: Partial<LoggedEvent> = {}): LoggedEvent => {
  const occurredAtMs = START_MS + day * DAY_MS
  count += 1
  return { id: `e${count}`, customer: "c1", type, occurredAtMs, receivedAtMs: occurredAtMs, ...more }
}
const created = (more: Partial<LoggedEvent> = {}) =>
  event(0, "customer.subscription.created", { plan: "pro", interval: "month", amount: 79, ...more })
const ledger = (events: readonly LoggedEvent[]) => ledgersOf(events, { monthDays: 30 }).ledgers.get("c1") ?? []

describe("a log as a ledger", () => {
  test("an event counts once, from when it was first received", () => {
    const ticket = event(10, "ticket.opened", { sentiment: "negative", receivedAtMs: START_MS + 12 * DAY_MS })
    const facts = ledger([created(), { ...ticket, receivedAtMs: START_MS + 13 * DAY_MS }, ticket])
    expect(features(facts, at(11)).negative_tickets_30d).toBe(0)
    expect(features(facts, at(12)).negative_tickets_30d).toBe(1)
    expect(features(facts, at(14)).negative_tickets_30d).toBe(1)
  })

  test("retries belong to the previous invoice, and a payment recovers it", () => {
    const bill = { amount: 79 }
    const facts = ledger([
      created(),
      event(0.1, "invoice.paid", { ...bill, attempt: 1 }),
      event(30, "invoice.payment_failed", { ...bill, attempt: 1 }),
      event(33, "invoice.payment_failed", { ...bill, attempt: 2 }),
      event(35, "invoice.paid", { ...bill, attempt: 3 }),
    ])
    expect(features(facts, at(34))).toMatchObject({
      failed_invoices_30d: 1,
      failed_attempts_30d: 2,
      unrecovered_invoices_30d: 1,
      recovered_invoices_90d: 0,
    })
    expect(features(facts, at(36))).toMatchObject({
      failed_invoices_30d: 1,
      unrecovered_invoices_30d: 0,
      recovered_invoices_90d: 1,
      payments: 2,
    })
  })

  test("a yearly plan is due for renewal at the end of its twelve months, and not before", () => {
    const yearly = { interval: "year", amount: 790 }
    const facts = ledger([created(yearly), event(0.1, "invoice.paid", { amount: 790, attempt: 1 })])
    expect(features(facts, at(300))).toMatchObject({ interval: "year", long_plan: 1, long_renewal_due: 0 })
    expect(features(facts, at(340))).toMatchObject({ long_plan: 0, long_renewal_due: 1 })
  })

  test("a plan change received late is not known from an invoice received before it", () => {
    const change = { plan: "basic", interval: "month", amount: 19, receivedAtMs: START_MS + 50 * DAY_MS }
    const facts = ledger([
      created(),
      event(29, "customer.subscription.updated", change),
      event(30, "invoice.paid", { amount: 19, attempt: 1 }),
    ])
    expect(features(facts, at(40))).toMatchObject({ price_class: "up_to_100", downgrades_30d: 0 })
    expect(features(facts, at(51))).toMatchObject({ price_class: "up_to_30", downgrades_30d: 1 })
  })

  test("events of unknown types are counted and skipped", () => {
    const { unread } = ledgersOf([created(), event(1, "invoice.upcoming")], { monthDays: 30 })
    expect([...unread]).toEqual([["invoice.upcoming", 1]])
  })
})
