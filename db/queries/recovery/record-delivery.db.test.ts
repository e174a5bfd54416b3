import { expect, test } from "vitest"
import type { Fact } from "../../../shared/domain/facts.ts"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { readQuarantine, releaseQuarantine } from "./quarantines.ts"
import { type NewEvent, recordDelivery } from "./stream.ts"

const { db, rows, addCompany } = useDatabase()

const AT = "2026-10-05T12:00:00.000Z"

const failed = (n: number): Fact => ({
  kind: "payment_failed",
  id: `fact ${n}`,
  occurredAt: AT,
  invoiceId: `in_${n}`,
  subscriptionId: null,
  paymentIntentId: null,
  chargeId: null,
  amountMinor: 4_900,
  currency: "usd",
  declineCode: null,
  attempt: 1,
  nextAttemptAt: null,
  isFirstInvoice: false,
})

const event = (n: number, more: Partial<NewEvent> = {}): NewEvent => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
  companyId: TEST_COMPANY,
  provider: "stripe",
  account: null,
  providerEventId: `evt_${n}`,
  type: "invoice.payment_failed",
  apiVersion: null,
  status: "received",
  error: null,
  occurredAt: AT,
  receivedAt: AT,
  knownAt: AT,
  nextAttemptAt: "2026-10-05T12:01:00.000Z",
  customer: "cus_1",
  objects: [`in_${n}`],
  facts: [failed(n)],
  customerEventsMax: 1_000,
  sealedPayload: new Uint8Array([1, 2, 3]),
  ...more,
})

const count = async (table: "facts" | "webhook_events"): Promise<number> => {
  const [row] = await rows<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)
  return row?.n ?? 0
}

test("an event is recorded once with its facts, and a repeated one changes nothing", async () => {
  const first = await recordDelivery(db, event(1))
  expect(first).toMatchObject({ isNew: true, setAside: null })
  expect(first.stream?.facts.map(({ id }) => id)).toEqual(["fact 1"])
  expect(await recordDelivery(db, event(1))).toEqual({ isNew: false, setAside: null, stream: null })
  expect([await count("webhook_events"), await count("facts")]).toEqual([1, 1])
})

test("the stream holds what earlier events of the customer brought, and nothing of other companies", async () => {
  await addCompany("other")
  await recordDelivery(db, event(1, { companyId: "other" }))
  await recordDelivery(db, event(2))
  const { stream } = await recordDelivery(db, event(3))
  expect(stream?.facts.map(({ id }) => id).sort()).toEqual(["fact 2", "fact 3"])
})

test("facts without a customer wait under their object, and come with the event that names the customer", async () => {
  const early = await recordDelivery(db, event(1, { customer: null, objects: ["in_7"] }))
  expect(early).toMatchObject({ isNew: true, stream: null })
  const { stream } = await recordDelivery(db, event(2, { objects: ["in_7"] }))
  expect(stream?.facts.map(({ id }) => id).sort()).toEqual(["fact 1", "fact 2"])
})

test("more events than a customer may have in an hour are kept and not processed; the customer is in quarantine", async () => {
  const limited = { customerEventsMax: 2 }
  await recordDelivery(db, event(1, limited))
  const second = await recordDelivery(db, event(2, limited))
  const third = await recordDelivery(db, event(3, limited))
  expect(second.setAside).toBeNull()
  expect(third).toMatchObject({ isNew: true, setAside: "customer_flood", stream: null })
  expect(await rows("SELECT status, error FROM webhook_events WHERE provider_event_id = 'evt_3'")).toEqual([
    { status: "dead", error: "customer_flood" },
  ])
  expect(await count("facts")).toBe(2)
  const customerId = second.stream?.customer.id ?? ""
  expect(await readQuarantine(db, TEST_COMPANY, customerId)).toMatchObject({ reason: "customer_flood" })
  expect(await releaseQuarantine(db, TEST_COMPANY, customerId, new Date(AT))).toBe(true)
  expect(await releaseQuarantine(db, TEST_COMPANY, customerId, new Date(AT))).toBe(false)
})

test("another customer is not limited by it", async () => {
  const limited = { customerEventsMax: 1 }
  await recordDelivery(db, event(1, limited))
  expect((await recordDelivery(db, event(2, { ...limited, customer: "cus_2" }))).setAside).toBeNull()
})
