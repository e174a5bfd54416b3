/**
 * What clients of the API rely on: shapes, pages, filters, refusals and headers. Over 300 lines because all tests share one set
 * of rows.
 */
import { beforeAll, describe, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { caseOf, failPayment, failWhopPayment, payInvoice, sendNewCustomer } from "../../support/actions/members.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import { advanceClock, api, reset, sql, waitUntilProcessed, world, worldNow } from "../../support/world/world.ts"

const ROWS = 20
const PAGE = 3

const customers = Array.from({ length: ROWS }, (_, index) => `cus_page${String(index).padStart(2, "0")}`)
const invoiceOf = (customer: string) => `in_of_${customer}`

let answered: Awaited<ReturnType<typeof failPayment>>[] = []

beforeAll(async () => {
  await reset()
  const at = new Date(Math.floor((await worldNow()).getTime() / 1_000) * 1_000)
  // Half of the cases open in the same second, so the id decides.
  answered = await Promise.all(
    customers.map((customer, index) =>
      failPayment(customer, invoiceOf(customer), { at: new Date(at.getTime() - (index % 2) * 60_000 * index) }),
    ),
  )
  expect(answered.map(({ status }) => status)).toEqual(answered.map(() => 200))
  await failWhopPayment(
    { user: "user_api1", membership: "mem_api1", payment: "pay_api1" },
    { email: "ben@example.com" },
  )
  await sendStripe(envelope("product.created", at, fresh("evt"), { id: "prod_1", object: "product" }))
  await waitUntilProcessed()
  await payInvoice(customers[0] ?? "", invoiceOf(customers[0] ?? ""))
  await waitUntilProcessed()
})

interface List {
  readonly data: readonly (Readonly<Record<string, unknown>> & { readonly id: string })[]
  readonly nextCursor: string | null
}

const list = async (path: string) => (await api<List>(path)).body

/** All pages of a list, one after the other; `between` runs after each. */
async function pages(path: string, between: () => Promise<unknown> = async () => undefined): Promise<string[][]> {
  const read: string[][] = []
  let cursor: string | null = ""
  while (cursor !== null) {
    const after: string = cursor === "" ? "" : `&cursor=${cursor}`
    const page: List = await list(`${path}${path.includes("?") ? "&" : "?"}limit=${PAGE}${after}`)
    read.push(page.data.map(({ id }) => id))
    cursor = page.nextCursor
    await between()
  }
  return read
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/

describe("shapes", () => {
  test("a case has the fields that clients rely on", async () => {
    const { data } = await list(`/api/cases?invoiceId=${invoiceOf("cus_page01")}`)
    expect(data).toHaveLength(1)
    expect(data[0]).toMatchObject({
      companyId: world().companyId,
      kind: "payment",
      status: "open",
      provider: "stripe",
      customerId: "stripe_cus_page01",
      subscriptionId: "sub_of_cus_page01",
      invoiceId: "in_of_cus_page01",
      amountMinor: 1999,
      currency: "usd",
      declineCode: null,
      failureCount: 1,
      openedAt: expect.stringMatching(INSTANT),
      closedAt: null,
      cause: null,
    })
  })

  test("one case adds its nudges, by day, and its timeline, in order", async () => {
    const recovery = await caseOf(invoiceOf("cus_page01"))
    expect(recovery.nudges.map(({ step }) => step)).toEqual([0, 2, 4])
    for (const nudge of recovery.nudges) {
      expect(Object.keys(nudge)).toEqual(
        expect.arrayContaining(["id", "step", "channel", "status", "reason", "dueAt", "sentAt"]),
      )
      expect(["planned", "sent", "failed", "suppressed", "unknown"]).toContain(nudge.status)
      expect(nudge.dueAt).toMatch(INSTANT)
    }
    const times = recovery.timeline.map(({ occurredAt }) => String(occurredAt))
    expect(times).toEqual([...times].sort())
    expect(recovery.timeline[0]).toMatchObject({ kind: "payment_failed" })
  })

  test("an event has the fields that clients rely on, in the list and alone", async () => {
    const { id } = answered[3]?.body ?? {}
    const { body } = await api(`/api/events/${id}`)
    expect(body).toMatchObject({
      id,
      provider: "stripe",
      providerEventId: expect.stringMatching(/^evt_/),
      type: "invoice.payment_failed",
      apiVersion: "2026-10-28.endive",
      status: "processed",
      attempts: 0,
      occurredAt: expect.stringMatching(INSTANT),
      receivedAt: expect.stringMatching(INSTANT),
      processedAt: expect.stringMatching(INSTANT),
      error: null,
    })
    const listed = await list(`/api/events?providerEventId=${body.providerEventId}`)
    expect(listed.data).toEqual([body])
    expect(JSON.stringify(body)).not.toContain("@")
  })

  test("a customer is found by our id and by the provider's, with the name and address as the role may see them", async () => {
    const ours = await api("/api/customers/stripe_cus_page02")
    const theirs = await api("/api/customers/cus_page02")
    expect(ours.body).toEqual(theirs.body)
    expect(ours.body).toMatchObject({
      id: "stripe_cus_page02",
      companyId: world().companyId,
      provider: "stripe",
      providerCustomerId: "cus_page02",
      name: "Ann Example",
      email: "cus_page02@example.com",
      timeZone: null,
      score: null,
      health: null,
      consents: [],
    })
    expect(Array.isArray(ours.body.subscriptions)).toBe(true)
    const key = await newApiKey("success-analyst")
    expect((await api("/api/customers/cus_page02", { key })).body).toMatchObject({ name: null, email: null })
  })

  test("the summary's counts are those of the rows", async () => {
    const { body } = await api<Record<string, Record<string, number>>>("/api/summary")
    const counted = async (text: string) =>
      Object.fromEntries((await sql<{ word: string; n: string }>(text)).map(({ word, n }) => [word, Number(n)]))
    expect(body.events).toMatchObject(
      await counted("select status as word, count(*) as n from webhook_events group by 1"),
    )
    expect(body.cases).toEqual({ open: ROWS, recovered: 1, lost: 0, reversed: 0 })
    expect(body.recoveredMinor).toEqual({ usd: 1999 })
    const [nudges] = await sql<{ n: string }>("select count(*) as n from nudges")
    const byChannel = Object.values(body.nudges ?? {}).flatMap((statuses) =>
      Object.values(statuses as unknown as object),
    )
    expect(byChannel.reduce((sum: number, n: number) => sum + n, 0)).toBe(Number(nudges?.n))
  })
})

describe("pages", () => {
  test.each(["/api/cases", "/api/customers", "/api/events", "/api/cases?provider=stripe"])(
    "of %s contain every row once, newest first, and not more than requested",
    async (path) => {
      const whole = (await list(`${path}${path.includes("?") ? "&" : "?"}limit=200`)).data
      expect(whole.length).toBeGreaterThanOrEqual(ROWS)
      const read = await pages(path)
      expect(read.flat()).toEqual(whole.map(({ id }) => id))
      expect(read.slice(0, -1).every((page) => page.length === PAGE)).toBe(true)
      const times = whole.map((row) => String(row.openedAt ?? row.receivedAt ?? ""))
      expect(times).toEqual([...times].sort().reverse())
    },
  )

  test("contain all rows that existed at the beginning, while others are added and changed", async () => {
    const before = (await list("/api/cases?limit=200")).data.map(({ id }) => id)
    const read = (
      await pages("/api/cases", async () => {
        await failPayment(fresh("cus"), fresh("in"))
        await waitUntilProcessed()
      })
    ).flat()
    expect(new Set(read).size).toBe(read.length)
    expect(read.filter((id) => before.includes(id))).toEqual(before)
    await sql("delete from recovery_cases where id = any ($1)", [
      (await list("/api/cases?limit=200")).data.map(({ id }) => id).filter((id) => !before.includes(id)),
    ])
  })

  test("end without a cursor when exactly full", async () => {
    const { data } = await list("/api/customers?limit=200")
    const all = await list(`/api/customers?limit=${data.length}`)
    expect([all.data.length, all.nextCursor]).toEqual([data.length, null])
    expect((await list(`/api/customers?limit=${data.length - 1}`)).nextCursor).not.toBeNull()
  })
})

describe("filters", () => {
  test.each([
    ["/api/cases?status=recovered", 1],
    ["/api/cases?status=lost", 0],
    ["/api/cases?status=open&provider=whop", 1],
    ["/api/cases?provider=whop&currency=USD", 1],
    ["/api/cases?currency=whop_usd", 0],
    ["/api/cases?kind=cancellation", 0],
    ["/api/cases?customerId=cus_page05", 1],
    ["/api/cases?customerId=stripe_cus_page05", 1],
    ["/api/cases?subscriptionId=sub_of_cus_page05", 1],
    ["/api/cases?invoiceId=constructor", 0],
    ["/api/cases?declineCode=insufficient_funds", 1],
    ["/api/nudges?status=unknown", 0],
    ["/api/nudges?caseId=nothing", 0],
    ["/api/nudges?customerId=stripe_cus_page05", 3],
    ["/api/events?type=product.created&status=unhandled", 1],
    ["/api/events?provider=whop", 1],
    ["/api/events?customerId=stripe_cus_page00", 2],
    ["/api/customers?provider=whop", 1],
    ["/api/customers?providerCustomerId=cus_page07", 1],
    ["/api/customers?providerCustomerId=%25", 0],
    ["/api/customers?providerCustomerId=' or 1=1 --", 0],
  ])("%s has %i", async (path, count) => {
    const { status, body } = await api<List>(path)
    expect([status, body.data?.length]).toEqual([200, count])
  })
})

describe("unknown parameters are refused by name", () => {
  const elsewhere = Buffer.from(JSON.stringify(["2026-01-01T00:00:00.000Z", "x\0"])).toString("base64url")
  test.each([
    "/api/cases?state=open",
    "/api/cases?status=closed",
    "/api/cases?status=open&status=lost",
    "/api/cases?limit=0",
    "/api/cases?limit=201",
    "/api/cases?limit=-1",
    "/api/cases?limit=1e2",
    "/api/cases?limit=",
    "/api/cases?cursor=",
    "/api/cases?cursor=nonsense",
    `/api/cases?cursor=${elsewhere}`,
    "/api/cases?currency=usdollar",
    "/api/cases?invoiceId=",
    "/api/cases?invoiceId=%00",
    "/api/events?cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwLjAwMFoiLCJ4Il0",
    "/api/events?limit=10&company=x",
    "/api/customers?email=ann@example.com",
    "/api/summary?since=2026",
  ])("%s", async (path) => {
    const { status, body } = await api(path)
    expect([path, status, body.code]).toEqual([path, 400, "MALFORMED"])
    expect(body).toMatchObject({ type: expect.any(String), title: expect.any(String), status: 400 })
  })

  test.each([
    ["/api/cases/nobody", 404],
    ["/api/customers/nobody", 404],
    ["/api/events/nobody", 404],
    [`/api/events/${crypto.randomUUID()}`, 404],
    ["/api/nothing", 404],
    ["/api/cases/x/y/z", 404],
    ["/api/CASES", 404],
    ["/api//cases", 404],
    ["/api/cases%2fx", 404],
  ])("%s is answered %i", async (path, status) => {
    expect((await api(path)).status).toBe(status)
  })

  test("a body of another type, with unknown fields or not JSON is refused without effect", async () => {
    const before = (await api("/api/settings")).body
    const put = (body: string, type: string | null) =>
      api("/api/settings", { method: "PUT", body, headers: type === null ? {} : { "content-type": type } })
    expect((await put('{"brandName":"X"}', "text/plain")).status).toBe(415)
    expect((await put('{"brandName":"X"}', null)).status).toBe(415)
    expect((await put('{"brandName":"X","companyId":"other"}', "application/json")).status).toBe(400)
    expect((await put('{"brandName":', "application/json")).status).toBe(400)
    expect((await put(`{"brandName":"${"x".repeat(70_000)}"}`, "application/json")).status).toBe(413)
    expect((await api("/api/settings")).body).toEqual(before)
  })
})

describe("access", () => {
  test("requires a known key", async () => {
    for (const authorization of [
      "",
      "Bearer ",
      "Bearer x",
      `Basic ${world().adminApiKey}`,
      `Bearer ${world().adminApiKey}x`,
    ]) {
      const response = await fetch(`${world().workerUrl}/api/cases`, { headers: { authorization } })
      expect([authorization, response.status]).toEqual([authorization, 401])
      expect(response.headers.get("www-authenticate")).toContain("Bearer")
    }
    const long = await fetch(`${world().workerUrl}/api/cases`, {
      headers: { authorization: `Bearer ${"x".repeat(9_999)}` },
    })
    expect(long.status).toBe(401)
  })

  test("depends on the role", async () => {
    const { id } = await caseOf(invoiceOf("cus_page03"))
    const asked: readonly (readonly [string, string, number, number])[] = [
      ["GET", "/api/summary", 200, 200],
      ["GET", "/api/cases", 200, 200],
      ["GET", "/api/customers", 200, 200],
      ["GET", "/api/events", 403, 200],
      ["GET", "/api/settings", 403, 200],
      ["PUT", "/api/settings", 403, 403],
      ["POST", `/api/events/${answered[3]?.body.id}/replay`, 403, 403],
      ["POST", `/api/cases/${id}/close`, 403, 200],
      ["POST", "/jobs/sweep", 403, 403],
    ]
    const [analyst, manager] = [await newApiKey("success-analyst"), await newApiKey("success-manager")]
    for (const [method, path, forAnalyst, forManager] of asked) {
      expect([path, (await api(path, { method, key: analyst })).status]).toEqual([path, forAnalyst])
      expect([path, (await api(path, { method, key: manager })).status]).toEqual([path, forManager])
    }
  })

  test("ends within a minute after a key is revoked", async () => {
    const key = await newApiKey("success-manager")
    expect((await api("/api/cases", { key })).status).toBe(200)
    await sql("update api_keys set revoked_at = now()")
    await advanceClock("PT1M")
    expect((await api("/api/cases", { key })).status).toBe(401)
  })
})

test("a replayed event changes nothing, repeatedly and concurrently", async () => {
  await sendNewCustomer("cus_page04", { email: "new@example.com", phone: "+4915112345678", timeZone: "Europe/Berlin" })
  await waitUntilProcessed()
  const whole = () =>
    sql(
      `select (select jsonb_agg(to_jsonb(c) - 'version' - 'updated_at' - 'undo' order by id) from customers c where id = 'stripe_cus_page04') as c,
        (select jsonb_agg(to_jsonb(r) order by id) from recovery_cases r) as r,
        (select jsonb_agg(to_jsonb(f) order by id) from facts f where subject = 'cus_page04') as f,
        (select jsonb_agg(to_jsonb(n) order by id) from nudges n where customer_id = 'stripe_cus_page04') as n`,
    )
  const before = await whole()
  const { id } = answered[4]?.body ?? {}
  const replay = () => api(`/api/events/${id}/replay`, { method: "POST" })
  expect(await replay()).toMatchObject({ status: 200, body: { id, status: "processed" } })
  const answers = await Promise.all(Array.from({ length: 5 }, replay))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  expect(await whole()).toEqual(before)
})

test("every answer has an id, is not cached and reveals nothing unnecessary", async () => {
  const paths = ["/api/cases", "/api/summary", "/api/cases?x=1", "/api/cases/none", "/api/nothing", "/nothing"]
  for (const path of paths) {
    for (const authorization of [`Bearer ${world().adminApiKey}`, "Bearer wrong"]) {
      const { headers, status } = await fetch(`${world().workerUrl}${path}`, { headers: { authorization } })
      expect([path, status, headers.get("cache-control")]).toEqual([path, status, "no-store"])
      expect(headers.get("x-request-id")).toMatch(/^[\w-]{8,64}$/)
      expect(headers.get("x-content-type-options")).toBe("nosniff")
      expect(headers.get("strict-transport-security")).toContain("max-age=31536000")
      expect(headers.get("x-powered-by")).toBeNull()
    }
  }
  const given = await fetch(`${world().workerUrl}/api/nothing`, { headers: { "x-request-id": "from-the-caller-1" } })
  expect(given.headers.get("x-request-id")).toBe("from-the-caller-1")
})

test("HEAD is answered like GET, without a body", async () => {
  const headers = { authorization: `Bearer ${world().adminApiKey}` }
  for (const path of ["/api/cases", `/api/events/${answered[1]?.body.id}`, "/api/summary"]) {
    const response = await fetch(`${world().workerUrl}${path}`, { method: "HEAD", headers })
    expect([path, response.status, await response.text()]).toEqual([path, 200, ""])
    expect(response.headers.get("content-type")).toContain("application/json")
  }
  expect((await fetch(`${world().workerUrl}/api/cases`, { method: "HEAD" })).status).toBe(401)
})

test("methods that a path does not have have no effect", async () => {
  const { id } = await caseOf(invoiceOf("cus_page06"))
  for (const method of ["DELETE", "PATCH", "PUT", "POST"]) {
    const response = await fetch(`${world().workerUrl}/api/cases/${id}`, { method })
    expect([method, response.status, response.headers.get("allow")]).toEqual([method, 405, "GET, HEAD"])
    expect(await response.json()).toMatchObject({ status: 405, code: "METHOD_NOT_ALLOWED" })
    expect(response.headers.get("x-request-id")).toBeTruthy()
  }
  for (const [method, path, allow] of [
    ["GET", "/api/webhooks/stripe", "POST"],
    ["PUT", "/api/webhooks/stripe/acme", "POST"],
    ["OPTIONS", "/api/settings", "GET, HEAD, PUT"],
    ["DELETE", "/unsubscribe/token", "GET, HEAD, POST"],
    ["POST", "/api/health", "GET, HEAD"],
    ["GET", "/jobs/sweep", "POST"],
  ] as const) {
    const response = await fetch(`${world().workerUrl}${path}`, { method })
    expect([path, response.status, response.headers.get("allow")]).toEqual([path, 405, allow])
  }
  expect((await caseOf(invoiceOf("cus_page06"))).status).toBe("open")
})
