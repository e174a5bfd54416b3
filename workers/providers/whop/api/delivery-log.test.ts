/** Whop's delivery log and objects, as webhooks; a webhook and the event built from its object count once. */
import WhopSdk from "@whop/sdk"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { fromUtf8 } from "../../../../shared/crypto/bytes.ts"
import type { Fact } from "../../../../shared/domain/facts.ts"
import { rebuild } from "../../../../shared/domain/recovery/fold.ts"
import { type HistoricalEvent, ProviderApiError } from "../../../../shared/provider.ts"
import { normalize } from "../facts/normalize.ts"
import { whopApi } from "./client.ts"
import { disputeEvents, paymentEvents, refundEvents, type WhopObject } from "./events-from-objects.ts"

const OUR_URL = "https://churn.example/api/webhooks/whop"
const AT = "2026-09-21T14:13:20.000Z"
const ago = (minutes: number) => new Date(Date.parse(AT) - minutes * 60_000).toISOString()

type Route = (url: URL) => readonly [status: number, body: unknown]

function apiWith(route: Route) {
  const requests: string[] = []
  const send: typeof fetch = async (input, init) => {
    const url = new URL(new Request(input, init).url)
    requests.push(`${url.pathname.replace("/api/v1", "")}${url.search}`)
    const [status, body] = route(url)
    return Response.json(body, { status })
  }
  return { requests, api: whopApi({ apiKey: "key", companyId: "biz_1", webhookUrl: OUR_URL, fetch: send }) }
}

const page = (data: readonly unknown[], end: string | null = null) =>
  [200, { data, page_info: { end_cursor: end, has_next_page: end !== null } }] as const
const hook = (id: string, url = OUR_URL, more: object = {}) => ({
  id,
  url,
  api_version: "v1",
  enabled: true,
  ...more,
})
const sent = (id: string, sentAt: string) => ({
  id: `whdel_${id}`,
  sent_at: sentAt,
  request_body: {
    id: `msg_${id}`,
    type: "payment.failed",
    timestamp: sentAt,
    api_version: "v1",
    data: {},
    company_id: "biz_1",
  },
})
const WINDOW = { since: new Date(ago(600)), until: new Date(AT), limit: 100 }

/** All pages, one after the other. */
async function readAll(api: ReturnType<typeof apiWith>["api"]): Promise<HistoricalEvent[]> {
  const events: HistoricalEvent[] = []
  let cursor: string | null = null
  do {
    const read = await api.listEvents({ ...WINDOW, cursor })
    events.push(...read.events)
    cursor = read.cursor
  } while (cursor !== null)
  return events
}

describe("the delivery log", () => {
  test("is read for our own endpoints only, page by page, until it is too old", async () => {
    const { api, requests } = apiWith(({ pathname, searchParams }) => {
      if (pathname.endsWith("/webhooks"))
        return page([
          hook("hook_1"),
          hook("hook_2", `${OUR_URL}/company_2`),
          hook("hook_3", "https://other.example/api/webhooks/whop"),
          hook("hook_4", `${OUR_URL}s`),
          hook("hook_5", OUR_URL, { api_version: "v5" }),
        ])
      if (pathname.includes("hook_2"))
        return page([sent("3", ago(3)), sent("old", ago(601)), sent("older", ago(700))], "x")
      return searchParams.get("after") === null
        ? page([sent("1", ago(1)), sent("1", ago(2))], "c1")
        : page([sent("2", ago(5))])
    })
    const events = await readAll(api)
    expect(events.map(({ providerEventId }) => providerEventId)).toEqual(["msg_1", "msg_2", "msg_3"])
    expect(requests).toEqual([
      "/webhooks?first=50&company_id=biz_1",
      "/webhooks/hook_1/deliveries?first=50",
      "/webhooks/hook_1/deliveries?first=50&after=c1",
      "/webhooks/hook_2/deliveries?first=50",
    ])
    const [first] = events
    expect(JSON.parse(fromUtf8(first?.rawBody ?? new Uint8Array()))).toEqual(sent("1", ago(2)).request_body)
    expect(first?.isConstructed).toBeUndefined()
  })

  test.each([
    ["a log that this key may not read", (): ReturnType<Route> => [403, { error: {} }]],
    ["no endpoint of ours", (): ReturnType<Route> => page([hook("hook_1", "https://other.example/")])],
  ])("with %s the objects are read", async (_, webhooks) => {
    const { api, requests } = apiWith(({ pathname }) => (pathname.endsWith("/webhooks") ? webhooks() : page([])))
    expect(await readAll(api)).toEqual([])
    expect(requests.map((path) => path.split("?")[0])).toEqual(["/webhooks", "/payments", "/refunds", "/disputes"])
  })

  test("of a disabled endpoint is read, and the objects as well", async () => {
    const { api, requests } = apiWith(({ pathname }) =>
      pathname.endsWith("/webhooks") ? page([hook("hook_1", OUR_URL, { enabled: false })]) : page([]),
    )
    await readAll(api)
    expect(requests.map((path) => path.split("?")[0])).toEqual([
      ...["/webhooks", "/webhooks/hook_1/deliveries", "/payments", "/refunds", "/disputes"],
    ])
  })

  test("ends where a page repeats its own cursor, and so do the objects and the memberships", async () => {
    const { api, requests } = apiWith(({ pathname, searchParams }) => {
      if (pathname.endsWith("/webhooks")) return page([hook("hook_1", OUR_URL, { enabled: false })])
      return page([], searchParams.get("after") ?? "c1")
    })
    expect(await readAll(api)).toEqual([])
    expect(requests).toHaveLength(9)
    expect(await api.listSubscriptions({ cursor: "c1", limit: 10 })).toMatchObject({ cursor: null })
  })

  test("that fails in another way is an error, and not an empty list", async () => {
    for (const [status, retry] of [
      [429, true],
      [503, true],
      [400, false],
    ] as const) {
      const { api } = apiWith(() => [status, {}])
      const error: unknown = await readAll(api).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(ProviderApiError)
      expect(error).toMatchObject({ status, retry })
    }
    const { api } = apiWith(() => page([]))
    await expect(api.listEvents({ ...WINDOW, cursor: "none of ours" })).rejects.toBeInstanceOf(ProviderApiError)
  })
})

test("objects are requested as by Whop's package", async () => {
  const { api, requests } = apiWith(({ pathname }) => (pathname.endsWith("/webhooks") ? [403, {}] : page([])))
  await readAll(api)
  await api.listSubscriptions({ cursor: "c", limit: 500 })
  const own: string[] = []
  const sdk = new WhopSdk({
    apiKey: "key",
    fetch: async (input, init) => {
      const url = new URL(new Request(input, init).url)
      own.push(`${url.pathname.replace("/api/v1", "")}${url.search}`)
      return Response.json({ data: [], page_info: {} })
    },
  })
  const common = { first: 50, company_id: "biz_1" }
  const [after, until] = [WINDOW.since.toISOString(), WINDOW.until.toISOString()]
  await sdk.payments.list({ ...common, updated_after: after, updated_before: until, direction: "desc" })
  await sdk.refunds.list({ ...common, created_after: after, created_before: until, direction: "desc" })
  await sdk.disputes.list({ ...common, created_after: after, created_before: until, direction: "desc" })
  await sdk.memberships.list({ first: 50, company_id: "biz_1", after: "c" })
  const sorted = (paths: readonly string[]) => paths.map((path) => path.split(/[?&]/).sort().join("&"))
  expect(sorted(requests.slice(1))).toEqual(sorted(own))
})

describe("an object", () => {
  const bill = (more: object): WhopObject => ({
    ...{ id: "pay_1", user: { id: "user_1" }, membership: { id: "mem_1" }, total: 29.99, currency: "usd" },
    ...{ status: "open", payments_failed: 2, last_payment_attempt: ago(5), updated_at: ago(4) },
    ...more,
  })
  const ids = (events: readonly HistoricalEvent[]) =>
    events.map(({ providerEventId, type }) => `${type} ${providerEventId}`)
  const second = (minutes: number) => Math.floor(Date.parse(ago(minutes)) / 1000)

  test("that is a bill gives its payment, or its n-th failure, and else nothing", () => {
    const idsOf = (more: object) => ids(paymentEvents(bill(more), "biz_1"))
    expect(idsOf({})).toEqual([`payment.failed made_pay_1_failed2_${second(5)}`])
    expect(idsOf({ status: "paid", paid_at: ago(2) })).toEqual([`payment.succeeded made_pay_1_paid_${second(2)}`])
    expect(idsOf({ payments_failed: 0, substatus: "pending" })).toEqual([])
    expect(idsOf({ payments_failed: 0, substatus: "past_due" })).toEqual([
      `payment.failed made_pay_1_failed1_${second(5)}`,
    ])
    for (const status of ["draft", "pending", "void", "uncollectible"]) expect(idsOf({ status })).toEqual([])
    expect(idsOf({ last_payment_attempt: null, updated_at: null })).toEqual([])
  })

  test("that is a refund or a dispute gives one event for each status", () => {
    const money = { amount: 5, currency: "usd", payment: { id: "pay_1" }, created_at: ago(9) }
    expect(ids(refundEvents({ id: "rf_1", status: "succeeded", ...money }, null))).toEqual([
      `refund.created made_rf_1_refunded_${second(9)}`,
    ])
    expect(refundEvents({ id: "rf_1", status: "pending", ...money }, null)).toEqual([])
    expect(ids(disputeEvents({ id: "dspt_1", status: "won", ...money }, null))).toEqual([
      `dispute.created made_dspt_1_won_${second(9)}`,
    ])
  })

  test("names its account, its own before the requested one", () => {
    const accountOf = (more: object) => {
      const [event] = paymentEvents(bill(more), "biz_1")
      return JSON.parse(fromUtf8(event?.rawBody ?? new Uint8Array())).company_id
    }
    expect(accountOf({})).toBe("biz_1")
    expect(accountOf({ company: { id: "biz_1" } })).toBe("biz_1")
  })
})

describe("a webhook and the event built from its object", () => {
  const factsOf = (body: unknown, id: string): Fact[] => {
    const read = normalize(body, { receivedAt: new Date(AT), headers: new Headers() })
    if (!read.ok) throw new Error(read.error.detail)
    return read.value.facts.map((fact, index) => ({ ...fact, id: `${id}.${index}` }))
  }
  const occurrence = fc.record({
    gapMinutes: fc.integer({ min: 1, max: 5_000 }),
    delaySeconds: fc.integer({ min: 0, max: 90 }),
    salt: fc.nat({ max: 999 }),
    isListed: fc.boolean(),
  })
  const scenario = fc.record({
    failures: fc.array(occurrence, { minLength: 1, maxLength: 4 }),
    payment: fc.option(occurrence),
    reason: fc.constantFrom("insufficient_funds", "stolen_card", null),
    hasEnded: fc.boolean(),
  })

  test("fold to the same state as the webhook alone, whenever the object was read", () => {
    let objectFactCount = 0
    fc.assert(
      fc.property(scenario, ({ failures, payment, reason, hasEnded }) => {
        const webhookFacts: Fact[] = []
        const objectFacts: Fact[] = []
        let at = Date.parse("2026-03-02T10:00:00Z")
        const addEvent = (
          type: string,
          object: WhopObject,
          { delaySeconds, salt, isListed }: (typeof failures)[number],
        ) => {
          const timestamp = new Date(at + delaySeconds * 1000).toISOString()
          webhookFacts.push(
            ...factsOf({ id: `msg_${salt}_${at}`, api_version: "v1", type, timestamp, data: object }, `${salt}_${at}`),
          )
          for (const event of isListed ? paymentEvents(object, "biz_1") : []) {
            objectFacts.push(...factsOf(JSON.parse(fromUtf8(event.rawBody)), `${999 - salt}_${event.providerEventId}`))
          }
        }
        const bill = {
          ...{
            id: "pay_1",
            company: { id: "biz_1" },
            user: { id: "user_1", email: "a@example.com" },
            membership: { id: "mem_1" },
          },
          ...{
            total: 29.99,
            currency: "usd",
            billing_reason: "subscription_cycle",
            created_at: "2026-03-01T10:00:00Z",
          },
          failure_message: reason,
        }
        failures.forEach((entry, index) => {
          at += entry.gapMinutes * 60_000
          const time = new Date(at).toISOString()
          const next = hasEnded && index === failures.length - 1 ? null : new Date(at + 86_400_000).toISOString()
          const failed = { ...bill, status: "open", payments_failed: index + 1, next_payment_attempt: next }
          addEvent("payment.failed", { ...failed, last_payment_attempt: time, updated_at: time }, entry)
        })
        if (payment) {
          at += payment.gapMinutes * 60_000
          const time = new Date(at).toISOString()
          addEvent(
            "payment.succeeded",
            { ...bill, status: "paid", payments_failed: failures.length, paid_at: time, updated_at: time },
            payment,
          )
        }
        objectFactCount += objectFacts.length
        const { position: _, ...alone } = rebuild(webhookFacts)
        const { position: __, ...together } = rebuild([...objectFacts, ...webhookFacts])
        expect(together).toEqual(alone)
        expect(alone.cases).toMatchObject([{ invoiceFailures: { length: failures.length } }])
      }),
      { numRuns: 500 },
    )
    expect(objectFactCount).toBeGreaterThan(500)
  })
})
