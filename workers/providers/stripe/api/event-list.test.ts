/** Stripe's list of events, as webhooks. */
import { expect, test } from "vitest"
import { fromUtf8 } from "../../../../shared/crypto/bytes.ts"
import { ProviderApiError } from "../../../../shared/provider.ts"
import { apiOf } from "../../../../test/support/grants.ts"
import { normalize } from "../facts/normalize.ts"
import { stripeProvider } from "../index.ts"

type Answer = readonly [status: number, body: unknown]

/** A client whose network is a function, and its requests. */
function clientWith(answer: (path: string) => Answer) {
  const requests: { readonly path: string; readonly account: string | null }[] = []
  const stripe = (account: string | null = null) =>
    apiOf(stripeProvider({ apiKey: "sk_test_1", apiUrl: "https://api.stripe.com" }), account)
  const send: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    const url = new URL(request.url)
    requests.push({
      path: decodeURIComponent(`${url.pathname}${url.search}`),
      account: request.headers.get("stripe-account"),
    })
    const [status, body] = answer(url.pathname)
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status })
  }
  return { stripe, requests, send }
}

/** The client reads `fetch` when it is created. */
async function withFetch<T>(
  answer: (path: string) => Answer,
  work: (client: ReturnType<typeof clientWith>) => Promise<T>,
) {
  const original = globalThis.fetch
  let client: ReturnType<typeof clientWith> | null = null
  globalThis.fetch = (input, init) => {
    if (client === null) throw new Error("a call before the client was created")
    return client.send(input, init)
  }
  try {
    client = clientWith(answer)
    return await work(client)
  } finally {
    globalThis.fetch = original
  }
}

const EVENT = {
  id: "evt_1",
  object: "event",
  api_version: "2019-05-16",
  created: 1_790_000_000,
  type: "invoice.payment_failed",
  livemode: true,
  data: {
    object: {
      id: "in_1",
      object: "invoice",
      customer: "cus_1",
      currency: "usd",
      amount_due: 1999,
      unit_amount_decimal: "19.99",
    },
  },
}
const WINDOW = { since: new Date("2026-09-01T00:00:00Z"), until: new Date("2026-09-20T00:00:00Z"), limit: 250 }
const SUBSCRIPTION = { id: "sub_1", object: "subscription", customer: "cus_1", status: "active", items: { data: [] } }
const AT = new Date("2026-09-21T14:13:20.900Z")

test("a page is requested by time and cursor, and has each event unchanged, in its own version", async () => {
  await withFetch(
    () => [200, { object: "list", data: [EVENT], has_more: true }],
    async ({ stripe, requests }) => {
      const page = await stripe().listEvents({ ...WINDOW, cursor: "evt_0" })
      expect(requests).toEqual([
        {
          path: "/v1/events?created[gte]=1788220800&created[lte]=1789862400&limit=100&starting_after=evt_0",
          account: null,
        },
      ])
      expect(page.cursor).toBe("evt_1")
      const [event] = page.events
      expect(event).toMatchObject({
        providerEventId: "evt_1",
        type: EVENT.type,
        occurredAt: "2026-09-21T14:13:20.000Z",
      })
      expect(JSON.parse(fromUtf8(event?.rawBody ?? new Uint8Array()))).toEqual(EVENT)
    },
  )
})

test("the last page has no cursor, an empty one neither", async () => {
  for (const data of [[EVENT], []]) {
    await withFetch(
      () => [200, { data, has_more: false }],
      async ({ stripe }) => expect((await stripe().listEvents({ ...WINDOW, cursor: null })).cursor).toBeNull(),
    )
  }
})

test("a connected account is named in the request, and its events name it", async () => {
  await withFetch(
    () => [200, { data: [EVENT], has_more: false }],
    async ({ stripe, requests }) => {
      const { events } = await stripe("acct_1").listEvents({ ...WINDOW, cursor: null })
      expect(requests[0]?.account).toBe("acct_1")
      const delivery = normalize(JSON.parse(fromUtf8(events[0]?.rawBody ?? new Uint8Array())))
      expect(delivery).toMatchObject({ ok: true, value: { account: "acct_1", providerEventId: "evt_1" } })
    },
  )
})

test.each([
  [429, { error: { type: "invalid_request_error" } }, true],
  [500, { error: { type: "api_error" } }, true],
  [401, { error: { type: "invalid_request_error" } }, false],
  [400, { error: { type: "invalid_request_error", code: "resource_missing", param: "starting_after" } }, false],
  [200, { data: "none" }, true],
])("an answer %i is an error that can, or cannot, be retried", async (status, body, retry) => {
  await withFetch(
    () => [status, body],
    async ({ stripe }) => {
      const error: unknown = await stripe()
        .listEvents({ ...WINDOW, cursor: null })
        .catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(ProviderApiError)
      expect(error).toMatchObject({ retry, status })
    },
  )
})

test("a subscription becomes an update, an end or a resumption, at the time of reading", async () => {
  const kindsOf = async (object: object, isRevived: boolean) =>
    withFetch(
      () => [200, { data: [object], has_more: false }],
      async ({ stripe }) => {
        const { subscriptions } = await stripe().listSubscriptions({ cursor: null, limit: 10 })
        const event = subscriptions[0]?.toEvent({ id: "sync_1", at: AT, isRevived })
        const delivery = normalize(JSON.parse(fromUtf8(event?.rawBody ?? new Uint8Array())))
        if (!delivery.ok) throw new Error("not readable")
        expect(delivery.value).toMatchObject({ providerEventId: "sync_1", customer: "cus_1", objects: ["sub_1"] })
        expect(delivery.value.occurredAt).toBe("2026-09-21T14:13:20.000Z")
        return delivery.value.facts.map(({ kind }) => kind)
      },
    )
  expect(await kindsOf(SUBSCRIPTION, false)).toEqual(["subscription_changed"])
  expect(await kindsOf({ ...SUBSCRIPTION, cancel_at_period_end: true }, false)).toEqual(["subscription_changed"])
  expect(await kindsOf(SUBSCRIPTION, true)).toEqual(["subscription_resumed"])
  expect(await kindsOf({ ...SUBSCRIPTION, status: "canceled" }, false)).toEqual(["subscription_ended"])
  expect(await kindsOf({ ...SUBSCRIPTION, status: "incomplete_expired" }, false)).toEqual(["subscription_ended"])
})

test("one subscription is found by its id, or is null", async () => {
  await withFetch(
    (path) =>
      path === "/v1/subscriptions/sub_1" ? [200, SUBSCRIPTION] : [404, { error: { type: "invalid_request_error" } }],
    async ({ stripe, requests }) => {
      expect((await stripe().findSubscription({ subscriptionId: "sub_1" }))?.subscriptionId).toBe("sub_1")
      expect(await stripe().findSubscription({ subscriptionId: "sub_2" })).toBeNull()
      expect(await stripe().findSubscription({ subscriptionId: ".." })).toBeNull()
      expect(requests).toHaveLength(2)
      expect(await stripe().findSubscription({ subscriptionId: "../customers" })).toBeNull()
      expect(requests).toHaveLength(3)
    },
  )
})
