/** Calls to Stripe for a thin event, their account, and the handling of answers. The local replacement answers over HTTP. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import type { Delivery, ExpandedEvent } from "../../../../shared/provider.ts"
import { deliveryOf, event, INVOICE, thinOf } from "../../../../test/fixtures/stripe/constructed/event.ts"
import { apiOf } from "../../../../test/support/grants.ts"
import { stripeProvider } from "../index.ts"

let server: Server
let apiUrl: string
let requests: { readonly call: string; readonly account: unknown; readonly context: unknown }[] = []
let answers: Record<string, object | number> = {}

beforeAll(async () => {
  server = createServer((request, response) => {
    const call = `${request.method} ${request.url}`
    requests.push({ call, account: request.headers["stripe-account"], context: request.headers["stripe-context"] })
    const answer = answers[call] ?? 404
    response
      .writeHead(typeof answer === "number" ? answer : 200, { "content-type": "application/json" })
      .end(JSON.stringify(typeof answer === "number" ? { error: { code: "x", message: "ann@example.com" } } : answer))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // A server that listens on a port has an address of this kind.
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())
beforeEach(() => {
  requests = []
  answers = {}
})

const OPEN = { ...INVOICE, status: "open" }
const SNAPSHOT = event("invoice.payment_failed", OPEN)
const thin = (more: object = {}) => deliveryOf(thinOf(SNAPSHOT, more))
const NAMING = { snapshot_event: "evt_1" }
const FULL = "GET /v2/core/events/evt_thin_1"
const SNAPSHOT_EVENT = "GET /v1/events/evt_1"
const INVOICE_1 = "GET /v1/invoices/in_1"

async function expand(delivery: Delivery): Promise<ExpandedEvent> {
  const api = apiOf(stripeProvider({ apiKey: "sk_test_1", apiUrl }), delivery.account)
  if (!api.expand) throw new Error("Stripe's thin events can be expanded")
  return api.expand(delivery)
}
const calls = () => requests.map(({ call }) => call)
const readOf = (expanded: ExpandedEvent) => (expanded.kind === "delivery" ? expanded.delivery : null)

test("only the snapshot event that the thin event names is requested", async () => {
  answers = { [SNAPSHOT_EVENT]: SNAPSHOT }
  expect(await expand(thin(NAMING))).toEqual({ kind: "snapshot", body: SNAPSHOT })
  expect(calls()).toEqual([SNAPSHOT_EVENT])
})

test("an event that names none is read as a whole, for its snapshot event and for what it changed", async () => {
  answers = { [FULL]: { id: "evt_thin_1", object: "v2.core.event", ...NAMING }, [SNAPSHOT_EVENT]: SNAPSHOT }
  expect(await expand(thin())).toEqual({ kind: "snapshot", body: SNAPSHOT })
  expect(calls()).toEqual([FULL, SNAPSHOT_EVENT])
})

test("the former values are those of the event itself where there is no snapshot event", async () => {
  const now = { id: "sub_1", object: "subscription", customer: "cus_1", status: "active", cancel_at: 1_800_000_000 }
  const changed = thinOf(event("customer.subscription.updated", now), {
    type: "v1.customer.subscription.cancel_at_changed",
  })
  answers = { [FULL]: { changes: { before: { cancel_at: null } } }, "GET /v1/subscriptions/sub_1": now }
  expect(readOf(await expand(deliveryOf(changed)))).toMatchObject({
    customer: "cus_1",
    facts: [{ kind: "cancellation_announced" }],
  })
})

test("without a snapshot event, or with one of another type, the current object is read", async () => {
  answers = { [INVOICE_1]: OPEN }
  expect(readOf(await expand(thin(NAMING)))).toMatchObject({
    providerEventId: "evt_thin_1",
    customer: "cus_1",
    objects: ["in_1"],
    facts: [{ kind: "payment_failed", occurredAt: "2026-01-01T00:00:00.000Z" }],
    unhandled: null,
  })
  expect(calls()).toEqual([SNAPSHOT_EVENT, INVOICE_1])
  for (const other of [
    { ...SNAPSHOT, type: "invoice.paid" },
    { ...SNAPSHOT, id: "evt_2" },
    { ...SNAPSHOT, object: "v2.core.event" },
  ]) {
    answers = { [SNAPSHOT_EVENT]: other, [INVOICE_1]: OPEN }
    expect(readOf(await expand(thin(NAMING)))?.facts).toHaveLength(1)
  }
})

test("a connected account is named in the request, and its snapshot event has it as a delivery would", async () => {
  answers = { [SNAPSHOT_EVENT]: SNAPSHOT }
  const expanded = await expand(thin({ ...NAMING, context: "acct_1" }))
  expect(expanded).toMatchObject({ kind: "snapshot", body: { account: "acct_1" } })
  expect(requests).toMatchObject([{ account: "acct_1" }])
  requests = []
  answers = {}
  await expand(thin({ context: "org_1/acct_1" }))
  expect(requests).toMatchObject([
    { call: FULL, context: "acct_1" },
    { call: INVOICE_1, account: "acct_1" },
  ])
})

test("only known types are read, by id; the URL in the event is not followed", async () => {
  for (const related_object of [
    { id: "in_1", type: "invoice", url: "https://evil.example/v1/invoices/in_1" },
    { id: "in_1", type: "secret", url: "/v1/secrets/in_1" },
    { id: "in_1/../../x", type: "invoice", url: "" },
  ]) {
    await expand(thin({ related_object }))
  }
  expect(calls()).toEqual([FULL, INVOICE_1, FULL, FULL, "GET /v1/invoices/in_1%2F..%2F..%2Fx"])
  const invalid = thin({ related_object: { id: "in_1\u0000", type: "invoice", url: "" } })
  expect(invalid).toMatchObject({ unhandled: "thin event names nothing" })
})

test("an object that is gone, or another than requested, gives no facts", async () => {
  for (const answer of [404, { ...OPEN, id: "in_2" }, { ...OPEN, object: "charge" }, []]) {
    answers = { [INVOICE_1]: answer }
    expect(readOf(await expand(thin()))).toMatchObject({ facts: [], unhandled: "thin event, and its object is gone" })
  }
})

test.each([
  [429, true],
  [500, true],
  [401, false],
  [403, false],
])("an answer of %i is an error that contains no text of it", async (status, retry) => {
  answers = { [SNAPSHOT_EVENT]: status }
  const error = await expand(thin(NAMING)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ name: "ProviderApiError", status, retry })
  expect(JSON.stringify(error) + String(error)).not.toContain("ann@")
})
