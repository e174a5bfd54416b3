/** Requests to Stripe's API and the handling of its answers. The local replacement answers like Stripe, over HTTP. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import Stripe from "stripe"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { NotSent } from "../../../../shared/network/outbound-fetch.ts"
import { ProviderApiError } from "../../../../shared/provider.ts"
import { apiOf } from "../../../../test/support/grants.ts"
import { stripeProvider } from "../index.ts"
import { API_VERSION, stripeClient } from "./client.ts"

interface Sent {
  readonly call: string
  readonly form: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, unknown>>
}
type Answer = readonly [status: number, body: object]

let server: Server
let apiUrl: string
let sent: Sent[] = []
let answers: Record<string, (request: Sent) => Answer> = {}

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = ""
    for await (const chunk of request) body += chunk
    const url = new URL(request.url ?? "/", "http://stripe.invalid")
    const form = Object.fromEntries(new URLSearchParams(body || url.search))
    const one = { call: `${request.method} ${url.pathname}`, form, headers: request.headers }
    sent.push(one)
    const [status, answer] = answers[one.call]?.(one) ?? [404, { error: { code: "resource_missing" } }]
    response
      .writeHead(status, { "content-type": "application/json", "request-id": "req_1" })
      .end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // A server that listens on a port has an address of this kind.
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())
beforeEach(() => {
  sent = []
  answers = {}
})

const api = () => apiOf(stripeProvider({ apiKey: "sk_test_1", apiUrl }))
const calls = () => sent.map(({ call }) => call)
const refused = (status: number, error: object): Answer => [status, { error }]

test("the requested API version is the one that the package is written for", () => {
  expect(Stripe.API_VERSION).toBe(API_VERSION)
})

test("the address of the API is an origin", () => {
  expect(() => stripeClient({ apiKey: "sk_test_1", apiUrl: "https://api.stripe.com/v1", account: null })).toThrow(
    TypeError,
  )
  expect(() => stripeClient({ apiKey: "sk_test_1", apiUrl: "https://api.stripe.com", account: null })).not.toThrow()
})

describe("the payment page", () => {
  const PORTAL = "POST /v1/billing_portal/sessions"
  const page = (customer = "cus_1") =>
    api().paymentPage({ customer, subscriptionId: "sub_1", returnUrl: "https://example.com/back" })

  test("starts at the change of the payment method", async () => {
    answers = { [PORTAL]: () => [200, { customer: "cus_1", url: "https://billing.stripe.com/p/session/1" }] }
    expect(await page()).toBe("https://billing.stripe.com/p/session/1")
    expect(sent).toMatchObject([
      {
        form: { customer: "cus_1", return_url: "https://example.com/back", "flow_data[type]": "payment_method_update" },
        headers: { "stripe-version": API_VERSION, authorization: "Bearer sk_test_1" },
      },
    ])
  })

  test("is the plain portal where that is disabled, and null where there is no portal", async () => {
    answers = {
      [PORTAL]: ({ form }) =>
        form["flow_data[type]"] ? refused(400, {}) : [200, { customer: "cus_1", url: "https://billing.stripe.com/p" }],
    }
    expect(await page()).toBe("https://billing.stripe.com/p")
    answers = { [PORTAL]: () => refused(400, { code: "resource_missing" }) }
    expect(await page()).toBeNull()
  })

  test("of a customer that is an account is requested for the account", async () => {
    answers = {
      [PORTAL]: () => [200, { customer: null, customer_account: "acct_1", url: "https://billing.stripe.com/p" }],
    }
    await page("acct_1")
    expect(sent[0]?.form).toMatchObject({ customer_account: "acct_1" })
    expect(sent[0]?.form).not.toHaveProperty("customer")
  })
})

describe("an error of the API", () => {
  const SUBSCRIPTION = "GET /v1/subscriptions/sub_1"
  const failWith = async (status: number, error: object) => {
    answers = { [SUBSCRIPTION]: () => refused(status, error) }
    return api()
      .customerOf("sub_1")
      .catch((thrown: unknown) => thrown)
  }

  test.each([
    [401, false],
    [403, false],
    [402, false],
    [409, true],
    [429, true],
    [500, true],
    [503, true],
  ])("with status %i can be retried: %s", async (status, retry) => {
    const error = await failWith(status, { code: "lock_timeout" })
    expect(error).toBeInstanceOf(ProviderApiError)
    expect(error).toMatchObject({ status, retry })
  })

  test("contains no text of the answer", async () => {
    const error = await failWith(401, {
      message: "No such customer ann@example.com",
      code: "ann@example.com",
      type: "x",
    })
    const text = error instanceof ProviderApiError ? `${error.message} ${error.stack} ${JSON.stringify(error)}` : ""
    expect(text).toContain("was answered 401")
    expect(text + JSON.stringify(error instanceof Error ? error.cause : "")).not.toMatch(/ann|sk_test/)
  })

  test("of a call that was not sent can be retried, and has its cause", async () => {
    const fetch = () => Promise.reject(new NotSent("circuit_open", 5_000))
    const withOpenCircuit = apiOf(stripeProvider({ apiKey: "sk_test_1", apiUrl, fetchFor: () => fetch }))
    const error = await withOpenCircuit.customerOf("sub_1").catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ retry: true, status: null, cause: { reason: "circuit_open" } })
    expect(calls()).toEqual([])
  })

  test("is not retried by the package: the outbound fetch does that", async () => {
    await failWith(500, {})
    expect(calls()).toHaveLength(1)
  })

  test("of a call without an answer can be retried", async () => {
    const unreachable = apiOf(stripeProvider({ apiKey: "sk_test_1", apiUrl: "http://127.0.0.1:1" }))
    await expect(unreachable.customerOf("sub_1")).rejects.toMatchObject({ status: null, retry: true })
  })
})

describe("an incentive", () => {
  const READ = "GET /v1/subscriptions/sub_1"
  const UPDATE = "POST /v1/subscriptions/sub_1"
  const COUPON = "POST /v1/coupons"
  const discount = { kind: "discount", percentOff: 25, months: 3 } as const
  const freeDays = { kind: "free_days", days: 7 } as const
  const apply = (incentive: typeof discount | typeof freeDays, customer = "cus_1") =>
    api().applyIncentive({ customer, subscriptionId: "sub_1", incentive, idempotencyKey: "case-1" })

  const subscription = (fields: object = {}) => ({
    id: "sub_1",
    object: "subscription",
    customer: "cus_1",
    status: "active",
    discounts: [{ id: "di_old", source: { coupon: "welcome" } }],
    items: { data: [{ current_period_end: 1_000_000_000 }] },
    metadata: {},
    trial_end: null,
    ...fields,
  })
  const withCoupon = (coupon: string) => subscription({ discounts: [{ id: "di_new", source: { coupon } }] })

  test("of a discount is a coupon of its own beside the existing discounts", async () => {
    answers = {
      [READ]: () => [200, subscription()],
      [COUPON]: ({ form }) => [200, { id: form.id }],
      [UPDATE]: ({ form }) => [200, withCoupon(form["discounts[1][coupon]"] ?? "")],
    }
    expect(await apply(discount)).toEqual({ receiptId: "di_new" })
    expect(calls()).toEqual([READ, COUPON, UPDATE])
    expect(sent[1]).toMatchObject({
      form: { percent_off: "25", duration: "repeating", duration_in_months: "3", max_redemptions: "1" },
      headers: { "idempotency-key": "case-1:coupon" },
    })
    expect(sent[2]).toMatchObject({
      form: { "discounts[0][discount]": "di_old", "discounts[1][coupon]": sent[1]?.form.id },
      headers: { "idempotency-key": "case-1:discount" },
    })
  })

  test("of a discount is applied once, however late it is repeated", async () => {
    let coupon = ""
    answers = {
      [READ]: () => [200, coupon === "" ? subscription() : withCoupon(coupon)],
      [COUPON]: ({ form }) => [200, { id: form.id }],
      [UPDATE]: ({ form }) => {
        coupon = form["discounts[1][coupon]"] ?? ""
        return refused(500, {}) // applied, and the answer is lost
      },
    }
    await expect(apply(discount)).rejects.toMatchObject({ retry: true })
    const before = calls().filter((call) => call === COUPON).length
    expect(await apply(discount)).toEqual({ receiptId: "di_new" })
    expect(calls().filter((call) => call === COUPON)).toHaveLength(before)
  })

  test("of a discount continues with the coupon of an earlier attempt", async () => {
    answers = {
      [READ]: () => [200, subscription()],
      [COUPON]: () => refused(400, { code: "resource_already_exists" }),
      [UPDATE]: ({ form }) => [200, withCoupon(form["discounts[1][coupon]"] ?? "")],
    }
    expect(await apply(discount)).toEqual({ receiptId: "di_new" })
  })

  test("of free days moves the next payment, once", async () => {
    let metadata: Record<string, string> = {}
    answers = {
      [READ]: () => [200, subscription({ metadata })],
      [UPDATE]: ({ form }) => {
        const [mark] = Object.keys(form).flatMap((key) => /^metadata\[(.+)\]$/.exec(key)?.[1] ?? [])
        metadata = { [mark ?? ""]: "7 free days" }
        return [200, subscription({ metadata })]
      },
    }
    expect(await apply(freeDays)).toEqual({ receiptId: "sub_1" })
    expect(sent[1]?.form).toMatchObject({ trial_end: `${1_000_000_000 + 7 * 86_400}`, proration_behavior: "none" })
    expect(await apply(freeDays)).toEqual({ receiptId: "sub_1" })
    expect(calls()).toEqual([READ, UPDATE, READ])
  })

  test.each([
    ["free days while something is owed", freeDays, { status: "past_due" }],
    [
      "free days over several periods",
      freeDays,
      { items: { data: [{ current_period_end: 1 }, { current_period_end: 2 }] } },
    ],
    ["a discount on what has ended", discount, { status: "canceled" }],
    ["anything for another customer", discount, { customer: "cus_2" }],
  ])("is refused permanently: %s", async (_, incentive, fields) => {
    answers = { [READ]: () => [200, subscription(fields)] }
    await expect(apply(incentive)).rejects.toMatchObject({ name: "ProviderApiError", retry: false })
    expect(calls()).toEqual([READ])
  })
})

describe("the customer of an object", () => {
  const one = (path: string, body: object) => ({ [`GET /v1/${path}`]: (): Answer => [200, body] })
  const invoice = {
    id: "in_1",
    object: "invoice",
    customer: "cus_1",
    parent: { subscription_details: { subscription: "sub_1" } },
  }
  const payments = one("invoice_payments", { data: [{ object: "invoice_payment", invoice: "in_1" }] })
  const charge = one("charges/ch_1", { id: "ch_1", object: "charge", customer: "cus_1", payment_intent: "pi_1" })
  const intent = one("payment_intents/pi_1", {
    id: "pi_1",
    object: "payment_intent",
    customer: null,
    latest_charge: "ch_1",
  })

  test.each([
    ["ch_1", ["ch_1", "pi_1", "in_1", "sub_1"]],
    ["pi_1", ["ch_1", "pi_1", "in_1", "sub_1"]],
    ["du_1", ["ch_1", "pi_1", "in_1", "sub_1"]],
    ["in_1", ["in_1", "sub_1"]],
  ])("%s is found, with the ids of related objects", async (id, objects) => {
    answers = {
      ...one("invoices/in_1", invoice),
      ...one("disputes/du_1", { id: "du_1", object: "dispute", charge: "ch_1", payment_intent: "pi_1" }),
      ...payments,
      ...charge,
      ...intent,
    }
    expect(await api().customerOf(id)).toEqual({ customer: "cus_1", objects })
  })

  test("is looked up by payment intent, because the list has no filter by charge", async () => {
    answers = { ...payments, ...charge, ...one("invoices/in_1", invoice) }
    await api().customerOf("ch_1")
    const form = { "payment[type]": "payment_intent", "payment[payment_intent]": "pi_1" }
    expect(sent.find(({ call }) => call.endsWith("invoice_payments"))?.form).toMatchObject(form)
  })

  test("is null for an unknown object, one without a customer, and one that is no payment", async () => {
    answers = { ...one("charges/ch_1", { id: "ch_1", object: "charge", customer: null }) }
    expect(await api().customerOf("ch_1")).toBeNull()
    expect(await api().customerOf("ch_none")).toBeNull()
    expect(await api().customerOf("prod_1")).toBeNull()
    expect(await api().customerOf("")).toBeNull()
  })
})
