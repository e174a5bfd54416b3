/** Refused input: a clear problem document, nothing stored, and later requests work. */
import { beforeAll, beforeEach, describe, expect, test } from "vitest"
import {
  type Answer,
  envelope,
  fresh,
  invoiceEvent,
  post,
  sendStripe,
  stripeSecrets,
  stripeSignature,
} from "../../support/events/providers.ts"
import { api, reset, sql, waitUntilProcessed, world, worldNow } from "../../support/world/world.ts"

let event: ReturnType<typeof invoiceEvent>
let body: string
let now: number

beforeAll(reset)
beforeEach(async () => {
  const at = await worldNow()
  now = Math.floor(at.getTime() / 1000)
  event = invoiceEvent({ type: "invoice.payment_failed", at, customer: fresh("cus"), invoice: fresh("in") })
  body = JSON.stringify(event)
})

async function expectRefusal(answer: Answer, status: number, code: string): Promise<void> {
  expect(answer.status).toBe(status)
  expect(answer.headers.get("content-type")).toBe("application/problem+json")
  expect(answer.body).toMatchObject({
    status,
    code,
    type: expect.any(String),
    title: expect.any(String),
    detail: expect.any(String),
  })
  expect(answer.headers.get("x-request-id")).toBeTruthy()
  expect(JSON.stringify(answer.body)).not.toMatch(/\bat \S+ \(|\.ts:\d+|node_modules/)
  const [row] = await sql<{ stored: string }>("select count(*) as stored from webhook_events")
  expect(row?.stored).toBe("0")
  const health = await fetch(`${world().workerUrl}/api/health/live`)
  expect(health.status).toBe(200)
}

describe("signatures", () => {
  test.each<[string, () => Promise<string | null>]>([
    ["missing", async () => null],
    ["empty", async () => ""],
    ["of another secret", () => stripeSignature(body, now, "whsec_another_secret_0123456789")],
    ["of another body", () => stripeSignature(`${body} `, now)],
    ["stale by a second", () => stripeSignature(body, now - 302)],
    ["in the future by a second", () => stripeSignature(body, now + 302)],
    ["truncated", async () => (await stripeSignature(body, now)).slice(0, -1)],
    [
      "doubled, like two joined headers",
      async () => `${await stripeSignature(body, now)}, ${await stripeSignature(body, now)}`,
    ],
    ["without a timestamp", async () => (await stripeSignature(body, now)).replace(/t=\d+,/, "")],
    [
      "with a timestamp that is no number",
      async () => (await stripeSignature(body, now)).replace(/t=\d+/, `t=${now}abc`),
    ],
    ["of the retired scheme only", async () => (await stripeSignature(body, now)).replace("v1=", "v0=")],
    ["garbage", async () => "\u0001\u0002=,=,t=v1"],
  ])("a signature that is %s is refused", async (_, signature) => {
    let header = await signature()
    if (header !== null) header = header.replace(/[^\x20-\x7e]/g, "?")
    await expectRefusal(await sendStripe(body, { signature: header }), 401, "UNAUTHENTICATED")
  })

  test("either of two secrets that are valid at once is accepted", async () => {
    for (const secret of stripeSecrets()) {
      const answer = await sendStripe({ ...event, id: fresh("evt") }, { secret })
      expect(answer.status).toBe(200)
    }
    await reset()
  })

  test.each([-299, 299])("a signature %i seconds away is accepted", async (offset) => {
    const answer = await sendStripe(body, { signature: await stripeSignature(body, now + offset) })
    expect(answer.status).toBe(200)
    await reset()
  })
})

describe("signed bodies", () => {
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`
  test.each<[string, () => string]>([
    ["empty", () => ""],
    ["no JSON", () => "{"],
    ["no object", () => "[]"],
    ["null", () => "null"],
    ["nested deeply and no object", () => deep],
    ["an id of the wrong type", () => JSON.stringify({ ...event, id: 7 })],
    ["a type of the wrong type", () => JSON.stringify({ ...event, type: ["invoice.paid"] })],
  ])("%s is malformed", async (_, text) => {
    await expectRefusal(await sendStripe(text()), 400, "MALFORMED")
  })

  test.each<[string, () => string]>([
    ["a time of the wrong type", () => JSON.stringify({ ...event, created: "yesterday" })],
    ["a time out of range", () => JSON.stringify({ ...event, created: -5 })],
    ["no data", () => JSON.stringify({ ...event, data: null })],
  ])("an event with %s is stored, and nothing is read of it", async (_, text) => {
    expect((await sendStripe(text())).status).toBe(200)
    expect(await sql("select status, error is null as silent from webhook_events")).toEqual([
      { status: "unhandled", silent: false },
    ])
    await reset()
  })

  test.each<[string, string]>([
    ["nested 200 000 deep", deep],
    ["with a __proto__ key", '{"__proto__":{"admin":true}}'],
    ["with an integer beyond 2^53", '{"discord_id":805978396974514206}'],
  ])("a failure whose metadata are %s opens its case", async (_, metadata) => {
    expect((await sendStripe(body.replace('"amount_due"', `"metadata":${metadata},"amount_due"`))).status).toBe(200)
    await waitUntilProcessed()
    const { data } = (await api<{ data: unknown[] }>("/api/cases")).body
    await reset()
    expect(data).toMatchObject([{ status: "open", amountMinor: 1999, currency: "usd" }])
  })

  test.each(["9007199254740993", "1e400", "null"])(
    "a failure of %s opens its case without an amount",
    async (amount) => {
      expect((await sendStripe(body.replaceAll(":1999", `:${amount}`))).status).toBe(200)
      await waitUntilProcessed()
      const { data } = (await api<{ data: unknown[] }>("/api/cases")).body
      await reset()
      expect(data).toMatchObject([{ status: "open", amountMinor: null, currency: null }])
    },
  )

  test("bytes that are not UTF-8 are malformed", async () => {
    const bytes = new Uint8Array([...new TextEncoder().encode(body.slice(0, -1)), 0xff, 0x7d])
    const { createHmac } = await import("node:crypto")
    const mac = createHmac("sha256", stripeSecrets()[0] ?? "")
      .update(`${now}.`)
      .update(bytes)
      .digest("hex")
    const answer = await post("/api/webhooks/stripe", bytes, { "stripe-signature": `t=${now},v1=${mac}` })
    await expectRefusal(answer, 400, "MALFORMED")
  })

  test("a body over 1 MiB is refused", async () => {
    const large = JSON.stringify({ ...event, padding: "x".repeat(1024 * 1024) })
    await expectRefusal(await sendStripe(large), 413, "PAYLOAD_TOO_LARGE")
  })

  test("a compressed body is refused", async () => {
    await expectRefusal(
      await sendStripe(body, { headers: { "content-encoding": "gzip" } }),
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    )
  })
})

describe("unknown paths", () => {
  test.each([
    ["an unknown provider", "/api/webhooks/paypal"],
    ["a provider named like a property of every object", "/api/webhooks/constructor"],
    ["an unknown company", "/api/webhooks/stripe/no_such_company"],
    ["an invalid company id", "/api/webhooks/stripe/%2e%2e%2f"],
    ["an unknown path", "/webhooks/stripe"],
  ])("%s is not found", async (_, path) => {
    await expectRefusal(await sendStripe(body, { path }), 404, "NOT_FOUND")
  })
})

describe("unusual input is accepted", () => {
  test("an unknown type is stored as unhandled", async () => {
    const strange = envelope("quantum.entangled", new Date(now * 1000), fresh("evt"), { id: "q_1", object: "quantum" })
    expect((await sendStripe(strange)).status).toBe(200)
    expect(await sql("select type, status from webhook_events")).toEqual([
      { type: "quantum.entangled", status: "unhandled" },
    ])
    await reset()
  })

  test("NUL, lone surrogates and markup in every text are stored without harm", async () => {
    const nasty = "\u0000\ud800<script>alert(1)</script>' OR 1=1; --"
    const customer = fresh("cus")
    const at = new Date(now * 1000)
    const strange = invoiceEvent({
      type: "invoice.payment_failed",
      at,
      customer,
      invoice: fresh("in"),
      more: { customer_name: nasty, description: nasty, metadata: { [nasty]: nasty } },
    })
    expect((await sendStripe(strange)).status).toBe(200)
    await waitUntilProcessed()
    expect(await sql("select status from recovery_cases")).toEqual([{ status: "open" }])
    await reset()
  })

  test("NUL and half a surrogate pair in what becomes a column or a fact are stored too", async () => {
    const odd = "a\u0000b\ud800c"
    const customer = fresh("cus")
    const charge = {
      id: fresh("ch"),
      object: "charge",
      customer,
      amount: 1999,
      currency: "usd",
      status: "failed",
      failure_code: odd,
      payment_intent: fresh("pi"),
    }
    const event = envelope("charge.failed", new Date(now * 1000), fresh("evt"), charge)
    expect((await sendStripe({ ...event, api_version: odd })).status).toBe(200)
    await waitUntilProcessed()
    expect(await sql("select status, error from webhook_events")).toEqual([{ status: "processed", error: null }])
    await reset()
  })
})
