/** The past from Whop's lists, page by page. */
import { describe, expect, test } from "vitest"
import { apiOf } from "../../../../test/support/grants.ts"
import type { JsonObject } from "../events/fields.ts"
import { normalize } from "../facts/normalize.ts"
import { whopProvider } from "../index.ts"
import { membershipEvents, paymentEvents } from "./history-events.ts"

const since = new Date("2026-01-01T00:00:00Z")
const until = new Date("2026-03-01T00:00:00Z")
const range = { since: since.toISOString(), until: until.toISOString(), companyId: "biz_1" }
const user = { id: "user_1", name: "Ann", username: "ann" }

type Lists = Readonly<Record<string, readonly JsonObject[]>>

/** Whop's lists, two to a page; pages end without an `end_cursor`, as the SDK reads them. */
function lists(objects: Lists) {
  const requests: URL[] = []
  const send: typeof fetch = async (input) => {
    const url = new URL(new Request(input).url)
    requests.push(url)
    const all = objects[url.pathname.split("/").at(-1) ?? ""] ?? []
    const from = Number(url.searchParams.get("after") ?? 0)
    const isLast = from + 2 >= all.length
    const end_cursor = isLast ? null : String(from + 2)
    return Response.json({ data: all.slice(from, from + 2), page_info: { end_cursor, has_next_page: !isLast } })
  }
  return { requests, api: apiOf(whopProvider({ apiKey: "key", fetchFor: () => send }), "biz_1") }
}

const factsOf = (events: ReturnType<typeof paymentEvents>) =>
  events.flatMap(({ rawBody, headers }) => {
    const delivery = normalize(JSON.parse(new TextDecoder().decode(rawBody)), { receivedAt: until, headers })
    return delivery.ok ? delivery.value.facts.filter(({ kind }) => kind !== "customer_seen") : []
  })

test("every page of every list is read once, for the given range, memberships whenever they started", async () => {
  const at = "2026-01-05T10:00:00.000Z"
  const payments = [1, 2, 3, 4, 5].map((n) => ({
    id: `pay_${n}`,
    user,
    currency: "usd",
    total: 5,
    created_at: at,
    paid_at: at,
    status: "paid",
  }))
  const { requests, api } = lists({
    memberships: [{ id: "mem_1", user, status: "active", created_at: "2025-01-05T10:00:00.000Z" }],
    payments,
    disputes: [{ id: "dspt_1", amount: 5, currency: "usd", status: "won", payment: { id: "pay_1" }, created_at: at }],
  })
  const eventIds: string[] = []
  let cursor: string | null = null
  do {
    const page: Awaited<ReturnType<typeof api.listHistory>> = await api.listHistory({ since, until, cursor, limit: 50 })
    eventIds.push(...page.events.map(({ providerEventId }) => providerEventId))
    cursor = page.cursor
  } while (cursor !== null)
  expect(eventIds).toEqual([
    "history_mem_1_activated",
    ...payments.map(({ id }) => `history_${id}_succeeded`),
    "history_dspt_1_created",
  ])
  for (const { pathname, searchParams } of requests) {
    expect(searchParams.get("company_id")).toBe("biz_1")
    expect(searchParams.get("created_before")).toBe(range.until)
    expect(searchParams.get("created_after")).toBe(pathname.endsWith("/memberships") ? null : range.since)
  }
})

test("without a company there is no call, and a cursor of another list is an error", async () => {
  const { requests, api } = lists({})
  await expect(api.listHistory({ since, until, cursor: "x", limit: 50 })).rejects.toMatchObject({ retry: false })
  const withoutCompany = apiOf(
    whopProvider({ apiKey: "key", fetchFor: () => () => Promise.reject(new Error("called")) }),
  )
  await expect(withoutCompany.listHistory({ since, until, cursor: null, limit: 50 })).rejects.toMatchObject({
    retry: false,
  })
  expect(requests).toEqual([])
})

describe("a payment", () => {
  const bill = {
    id: "pay_1",
    user,
    membership: { id: "mem_1" },
    currency: "usd",
    total: 19.99,
    created_at: "2026-01-05T10:00:00.000Z",
  }
  const paid = { ...bill, status: "paid", paid_at: "2026-01-08T10:00:00.000Z", billing_reason: "subscription_cycle" }

  test("that failed before it was paid gives both", () => {
    expect(factsOf(paymentEvents({ ...paid, payments_failed: 2 }, range))).toMatchObject([
      { kind: "payment_failed", attempt: 1, occurredAt: bill.created_at, nextAttemptAt: paid.paid_at },
      { kind: "payment_succeeded", occurredAt: paid.paid_at, amountMinor: 1_999 },
    ])
  })

  test("that is still owed gives its first and its last attempt", () => {
    const owed = {
      ...bill,
      status: "open",
      paid_at: null,
      payments_failed: 3,
      last_payment_attempt: "2026-01-12T10:00:00.000Z",
      next_payment_attempt: null,
    }
    expect(factsOf(paymentEvents(owed, range))).toMatchObject([
      { kind: "payment_failed", attempt: 1, nextAttemptAt: owed.last_payment_attempt },
      { kind: "payment_failed", attempt: 3, occurredAt: owed.last_payment_attempt, nextAttemptAt: null },
    ])
  })

  test("that was paid after the end of the range is not paid yet", () => {
    expect(factsOf(paymentEvents({ ...paid, paid_at: "2026-03-02T10:00:00.000Z" }, range))).toEqual([])
  })
})

describe("a membership", () => {
  const member = { id: "mem_1", user, created_at: "2025-06-01T10:00:00.000Z", updated_at: "2026-02-20T10:00:00.000Z" }
  const cancellation = {
    cancel_at_period_end: true,
    canceled_at: "2026-02-01T10:00:00.000Z",
    renewal_period_end: "2026-02-15T10:00:00.000Z",
  }
  const kinds = (object: JsonObject) =>
    factsOf(membershipEvents(object, range)).map(({ kind, occurredAt }) => [kind, occurredAt])
  const started = ["subscription_started", member.created_at]

  test.each([
    ["that is active", { status: "active" }, [started]],
    [
      "that is canceling",
      { ...cancellation, status: "canceling", renewal_period_end: "2026-04-01T10:00:00.000Z" },
      [started, ["cancellation_announced", cancellation.canceled_at]],
    ],
    [
      "that ended as announced",
      { ...cancellation, status: "expired" },
      [
        started,
        ["cancellation_announced", cancellation.canceled_at],
        ["subscription_ended", cancellation.renewal_period_end],
      ],
    ],
    [
      "that was canceled at once",
      { status: "canceled", canceled_at: cancellation.canceled_at },
      [started, ["subscription_ended", cancellation.canceled_at]],
    ],
    ["that is past due", { status: "past_due" }, [started, ["subscription_changed", range.until]]],
    [
      "that is paused",
      { status: "active", payment_collection_paused: true },
      [started, ["subscription_paused", range.until]],
    ],
    ["that was only drafted", { status: "drafted" }, []],
    ["that ended before the range", { status: "canceled", canceled_at: "2025-12-01T10:00:00.000Z" }, []],
  ])("%s", (_, fields, expected) => {
    expect(kinds({ ...member, ...fields })).toEqual(expected)
  })
})
