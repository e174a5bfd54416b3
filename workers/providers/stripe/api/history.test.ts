/** The import from Stripe's lists: every object once, pages within their bounds, and a cursor to continue from any page. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { ProviderApiError } from "../../../../shared/provider.ts"
import { stripeHistory } from "../../../../test/support/events/stripe-history.ts"
import { apiOf } from "../../../../test/support/grants.ts"
import { stripeProvider } from "../index.ts"

type Item = Readonly<Record<string, unknown>> & { readonly id: string }
interface RecordedRequest {
  readonly path: string
  readonly query: URLSearchParams
  readonly account: string | undefined
}

let server: Server
let apiUrl: string
let lists: ReadonlyMap<string, readonly Item[]> = new Map()
let requests: RecordedRequest[] = []
let status = 200

/** Lists like Stripe's: newest first, by `created`, after a cursor. */
function listOf(collection: string, query: URLSearchParams): object | null {
  const edge = (name: string, none: number) => Number(query.get(`created[${name}]`) ?? none)
  const all = (lists.get(collection) ?? [])
    .filter(
      ({ created }) => Number(created) >= edge("gte", 0) && Number(created) < edge("lt", Number.POSITIVE_INFINITY),
    )
    .filter(({ created }) => Number(created) <= edge("lte", Number.POSITIVE_INFINITY))
    .filter(({ payment_intent: intent }) => [null, intent].includes(query.get("payment_intent")))
    .sort((a, b) => Number(b.created) - Number(a.created))
  const after = query.get("starting_after")
  if (after !== null && !all.some(({ id }) => id === after)) return null
  const rest = after === null ? all : all.slice(all.findIndex(({ id }) => id === after) + 1)
  const limit = Number(query.get("limit") ?? 10)
  return { object: "list", data: rest.slice(0, limit), has_more: rest.length > limit }
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://stripe.invalid")
    const account = request.headers["stripe-account"]
    requests.push({
      path: url.pathname,
      query: url.searchParams,
      account: account === undefined ? undefined : String(account),
    })
    const list = listOf(url.pathname.slice(4), url.searchParams)
    const error = { type: "invalid_request_error", code: status === 200 ? "resource_missing" : "api_error" }
    const answered = status === 200 && list === null ? 400 : status
    const body = answered === 200 ? list : { error }
    response.writeHead(answered, { "content-type": "application/json" }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // A server that listens on a port has an address of this kind.
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())
beforeEach(() => {
  lists = new Map()
  requests = []
  status = 200
})

const since = new Date("2025-01-01T00:00:00Z")
const until = new Date("2026-01-01T00:00:00Z")
const [start, end] = [since.getTime() / 1000, until.getTime() / 1000]
const api = (account: string | null = null) => apiOf(stripeProvider({ apiKey: "sk_test_1", apiUrl }), account)
const page = (cursor: string | null, limit = 50, account: string | null = null) =>
  api(account).listHistory({ since, until, cursor, limit })

/** All pages, from the first on. */
async function importAll(limit: number) {
  const pages = []
  let cursor: string | null = null
  do {
    const one: Awaited<ReturnType<typeof page>> = await page(cursor, limit)
    pages.push(one.events.map(({ providerEventId }) => providerEventId))
    cursor = one.cursor
  } while (cursor !== null && pages.length < 2_000)
  return pages
}

function histories(count: number): ReadonlyMap<string, readonly Item[]> {
  const merged = new Map<string, Item[]>()
  for (let seed = 1; seed <= count; seed++) {
    for (const [collection, objects] of stripeHistory(`w${seed}`, seed * 31, { start, end }).objects) {
      merged.set(collection, [...(merged.get(collection) ?? []), ...objects])
    }
  }
  return merged
}

describe("the import", () => {
  test("has the same events, each once, for any page size", async () => {
    lists = histories(8)
    const [small, large] = [await importAll(7), await importAll(50)]
    expect(small.flat().sort()).toEqual(large.flat().sort())
    expect(new Set(large.flat()).size).toBe(large.flat().length)
    expect(large.flat().length).toBeGreaterThan(200)
    expect(Math.max(...large.map(({ length }) => length))).toBeLessThanOrEqual(50)
    // A page has at least one object, and no object here has more than seven events.
    expect(Math.max(...small.map(({ length }) => length))).toBeLessThanOrEqual(7)
  })

  test("needs a bounded number of calls for a page, even if every invoice of it failed", async () => {
    const invoice = {
      object: "invoice",
      customer: "cus_1",
      currency: "usd",
      amount_due: 5,
      status: "open",
      attempt_count: 1,
    }
    const payments = (n: number) => ({ data: [{ payment: { type: "payment_intent", payment_intent: `pi_${n}` } }] })
    lists = new Map<string, Item[]>([
      [
        "invoices",
        Array.from({ length: 60 }, (_, n) => ({
          ...invoice,
          id: `in_${n}`,
          created: start + n,
          payments: payments(n),
        })),
      ],
      [
        "charges",
        Array.from({ length: 60 }, (_, n) => ({
          id: `ch_${n}`,
          object: "charge",
          status: "failed",
          customer: "cus_1",
          created: start + n,
          payment_intent: `pi_${n}`,
        })),
      ],
    ])
    let cursor: string | null = null
    const eventIds: string[] = []
    do {
      requests = []
      const one: Awaited<ReturnType<typeof page>> = await page(cursor)
      expect(requests.length).toBeLessThanOrEqual(28)
      eventIds.push(
        ...one.events.map(({ providerEventId }) => providerEventId).filter((id) => id.startsWith("history_in_")),
      )
      cursor = one.cursor
    } while (cursor !== null)
    expect(eventIds).toHaveLength(60)
  })

  test("starts a list again when the object of the cursor is gone", async () => {
    lists = histories(2)
    const [first] = lists.get("charges") ?? []
    const gone = JSON.stringify({ stage: "charges", from: start, after: "ch_gone" })
    const fromStart = JSON.stringify({ stage: "charges", from: start, after: null })
    expect(first).toBeDefined()
    expect((await page(gone)).events).toEqual((await page(fromStart)).events)
  })

  test("of an empty account ends, with few pages for many months", async () => {
    const pages = await importAll(50)
    expect(pages.flat()).toEqual([])
    expect(pages.length).toBeLessThan(10)
  })

  test("lists subscriptions in every status, and customers whenever they were created", async () => {
    await importAll(50)
    const of = (path: string) =>
      requests.filter((one) => one.path === path).map(({ query }) => Object.fromEntries(query))
    expect(of("/v1/subscriptions")).toEqual([{ limit: "50", status: "all", "created[lte]": String(end) }])
    expect(of("/v1/customers")).toEqual([{ limit: "50", "created[lte]": String(end) }])
    const spans = of("/v1/invoices").map((query) => [query["created[gte]"], query["created[lt]"]])
    expect(spans[0]?.[0]).toBe(String(start))
    expect(spans.at(-1)?.[1]).toBe(String(end + 1))
    for (const [index, [from]] of spans.entries()) if (index > 0) expect(from).toBe(spans[index - 1]?.[1])
  })

  test("reads the requested account", async () => {
    await page(null, 50, "acct_1")
    expect(new Set(requests.map(({ account }) => account))).toEqual(new Set(["acct_1"]))
  })
})

test("a cursor of another list is a permanent error, an outage is not", async () => {
  for (const cursor of ["", "{", '{"stage":"payouts"}', '{"stage":"charges","from":"now","after":null}']) {
    await expect(page(cursor)).rejects.toMatchObject({ name: "ProviderApiError", retry: false })
  }
  expect(requests).toEqual([])
  status = 503
  await expect(page(null)).rejects.toMatchObject({ retry: true, status: 503 })
  const none = apiOf(stripeProvider({ apiKey: null, apiUrl }))
  await expect(none.listHistory({ since, until, cursor: null, limit: 50 })).rejects.toBeInstanceOf(ProviderApiError)
})
