import { expect, test } from "vitest"
import { utf8 } from "../../shared/crypto/bytes.ts"
import { isSignal, readStoredSignal, signalSchema, usageSchema } from "../webhooks/signal.ts"

const RECEIVED = new Date("2026-03-01T10:00:00.000Z")

test.each([
  [
    { kind: "usage_recorded", meter: "logins", quantity: 3.5, subscriptionId: null },
    { kind: "usage_recorded", meter: "logins", quantity: 3.5, subscriptionId: null },
  ],
  [
    { kind: "ticket_opened", ticketId: "7", sentiment: "negative" },
    { kind: "ticket_opened", ticketId: "7", isNegative: true },
  ],
  [
    { kind: "ticket_opened", ticketId: "7" },
    { kind: "ticket_opened", ticketId: "7", isNegative: false },
  ],
  [
    { kind: "ticket_closed", ticketId: "7", sentiment: "positive" },
    { kind: "ticket_closed", ticketId: "7", isNegative: false },
  ],
  [
    { kind: "ticket_closed", ticketId: "7" },
    { kind: "ticket_closed", ticketId: "7", isNegative: null },
  ],
])("a stored signal is read as its fact: %j", async (signal, fact) => {
  const occurredAt = "2026-02-28T00:00:00.000Z"
  const stored = { ...signal, id: "s1", customerId: "cus_1", occurredAt }
  const { delivery, eventId } = await readStoredSignal("stripe", utf8(JSON.stringify(stored)), RECEIVED)
  expect(delivery.facts).toEqual([{ ...fact, occurredAt }])
  expect(delivery).toMatchObject({ provider: "stripe", customer: "cus_1", providerEventId: "signal_s1", occurredAt })
  expect(isSignal(delivery.type)).toBe(true)
  expect(eventId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test("ids of signals and tickets that contain e-mail addresses are stored as hashes", async () => {
  const occurredAt = "2026-02-28T00:00:00.000Z"
  const stored = {
    kind: "ticket_closed",
    id: "ann@example.com",
    ticketId: "bob@example.com/7",
    customerId: "c",
    occurredAt,
  }
  const { delivery } = await readStoredSignal("stripe", utf8(JSON.stringify(stored)), RECEIVED)
  expect(delivery.providerEventId).toMatch(/^signal_hashed_[0-9a-f]{40}$/)
  expect(delivery.facts).toMatchObject([{ ticketId: expect.stringMatching(/^hashed_[0-9a-f]{40}$/) }])
  expect(JSON.stringify(delivery)).not.toContain("@")
})

test.each([
  ["no id", { customerId: "c", meter: "m", quantity: 1 }],
  ["a negative quantity", { id: "1", customerId: "c", meter: "m", quantity: -1 }],
  ["a quantity that is NaN", { id: "1", customerId: "c", meter: "m", quantity: Number.NaN }],
  ["an infinite quantity", { id: "1", customerId: "c", meter: "m", quantity: Number.POSITIVE_INFINITY }],
  ["a meter that is a sentence", { id: "1", customerId: "c", meter: "ann@example.com logged in", quantity: 1 }],
  ["a time without a zone", { id: "1", customerId: "c", meter: "m", quantity: 1, occurredAt: "2026-01-01T00:00:00" }],
  ["an unknown field", { id: "1", customerId: "c", meter: "m", quantity: 1, name: "Ann" }],
])("a usage record with %s is rejected", (_, record) => {
  expect(usageSchema.safeParse(record).success).toBe(false)
})

test("a signal of unknown kind is rejected", () => {
  expect(signalSchema.safeParse({ kind: "payment_failed", id: "1", customerId: "c" }).success).toBe(false)
})
