/** Dead letters: one list with reasons, and a retry by an operator. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { qstash, redis } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  reset,
  setFault,
  sql,
  waitFor,
  waitUntilProcessed,
  world,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["postgres", "qstash", "redis"]) await setFault(target, "off")
})

interface Letter {
  readonly kind: "event" | "message" | "parked"
  readonly id: string
  readonly reason: string | null
  readonly job: string | null
  readonly eventId: string | null
  readonly attempts: number | null
  readonly responseStatus: number | null
  readonly at: string
  readonly isRetryable: boolean
}
interface List {
  readonly data: readonly Letter[]
  readonly nextCursor: string | null
  readonly unavailable: readonly string[]
}

const list = async (query = "", key?: string) =>
  api<List>(`/api/dead-letters${query}`, key === undefined ? {} : { key })
const retry = (kind: string, id: string, key?: string) =>
  api<{ status: string; code?: string }>(`/api/dead-letters/${kind}/${encodeURIComponent(id)}/retry`, {
    method: "POST",
    ...(key !== undefined && { key }),
  })

/** An event whose processing has failed permanently. */
async function deadEvent(): Promise<string> {
  const { body } = await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  await sql("update webhook_events set status = 'dead', error = 'processing_failed', attempts = 8 where id = $1", [
    body.id,
  ])
  return String(body.id)
}

/** A message that was answered 489. */
async function deadMessage(url = `${world().vars.APP_URL}/jobs/nudges`): Promise<void> {
  const { QSTASH_URL: base = "", QSTASH_TOKEN: token = "" } = world().vars
  const before = (await qstash<{ messages: unknown[] }>("/v2/dlq")).messages.length
  await fetch(`${base}/v2/publish/${url}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "upstash-retries": "0" },
    body: '{"secret":"ann@example.com"}',
  })
  await waitFor(async () => (await qstash<{ messages: unknown[] }>("/v2/dlq")).messages.length > before)
}

/** A rejected fallback delivery that could be stored. */
async function rejectedDelivery(): Promise<{ readonly id: string; readonly customer: string }> {
  const customer = fresh("cus")
  await setFault("postgres", "down")
  await setFault("qstash", "down")
  expect((await failPayment(customer, fresh("in"))).status).toBe(200)
  await setFault("postgres", "off")
  await setFault("qstash", "off")
  const [[entryId, [, sealed]] = ["", ["", ""]]] = await redis<[string, [string, string]][]>(
    ...["XRANGE", "parked:deliveries", "-", "+"],
  )
  await redis("XDEL", "parked:deliveries", entryId)
  const id = await redis<string>("XADD", "parked:refused", "*", "sealed", sealed ?? "", "reason", "unknown_company")
  return { id, customer }
}

test("each kind is listed with its reason, and no body is shown", async () => {
  const eventId = await deadEvent()
  await deadMessage()
  await deadMessage(`${world().controlUrl}/somebody-else`)
  const { id: parkedId } = await rejectedDelivery()
  const { status, body } = await list()
  expect(status).toBe(200)
  expect(body).toEqual({
    data: [
      {
        ...{ kind: "event", id: eventId, reason: "processing_failed", job: null, eventId, attempts: 8 },
        ...{ responseStatus: null, at: expect.any(String), isRetryable: true },
      },
      {
        ...{ kind: "message", id: expect.any(String), reason: "payload_not_understood", job: "nudges", eventId: null },
        ...{ attempts: null, responseStatus: 489, at: expect.any(String), isRetryable: true },
      },
      {
        ...{ kind: "parked", id: parkedId, reason: "unknown_company", job: "ingest", eventId: null, attempts: null },
        ...{ responseStatus: null, at: expect.any(String), isRetryable: true },
      },
    ],
    nextCursor: null,
    unavailable: [],
  })
  expect(JSON.stringify(body)).not.toMatch(/ann@example|sealed|secret/)
})

test("the pages of the list contain each dead letter once, at any size", async () => {
  const events = [await deadEvent(), await deadEvent(), await deadEvent()]
  for (let message = 0; message < 3; message++) await deadMessage()
  for (let copy = 0; copy < 3; copy++)
    await redis("XADD", "parked:refused", "*", "sealed", "x", "reason", "copy_not_ours")
  const all = (await list()).body.data
  expect(all.map(({ kind }) => kind)).toEqual(["event", "message", "parked"].flatMap((kind) => [kind, kind, kind]))
  expect(all.slice(0, 3).map(({ id }) => id)).toEqual(events.reverse())
  for (const limit of [1, 2, 3, 4]) {
    const seen: Letter[] = []
    for (let cursor: string | null = ""; cursor !== null; ) {
      const { body }: { body: List } = await list(`?limit=${limit}${cursor && `&cursor=${cursor}`}`)
      expect(body.data.length).toBeLessThanOrEqual(limit)
      seen.push(...body.data)
      cursor = body.nextCursor
    }
    expect([limit, seen]).toEqual([limit, all])
  }
  expect((await list("?kind=message")).body.data).toEqual(all.slice(3, 6))
  for (const query of ["?kind=other", "?cursor=x", "?limit=0", "?company=x"]) {
    expect([query, (await list(query)).status]).toEqual([query, 400])
  }
})

test("the other kinds are listed while QStash or Redis is down", async () => {
  const eventId = await deadEvent()
  await deadMessage()
  for (const [target, kind] of [
    ["qstash", "message"],
    ["redis", "parked"],
  ] as const) {
    await setFault(target, "down")
    const { status, body } = await list()
    expect([status, body.unavailable, body.data[0]?.id]).toEqual([200, [kind], eventId])
    const id = kind === "message" ? "dlq_1" : "1-0"
    expect([kind, (await retry(kind, id)).status]).toEqual([kind, 503])
    await setFault(target, "off")
  }
})

describe("a retry", () => {
  test("of an event processes it, and of one that is not dead is refused", async () => {
    const eventId = await deadEvent()
    expect(await retry("event", eventId)).toMatchObject({ status: 200, body: { status: "processed" } })
    expect((await list()).body.data).toEqual([])
    expect((await retry("event", eventId)).status).toBe(404)
  })

  test("of an event whose payload was purged is a conflict, and the list shows it", async () => {
    const eventId = await deadEvent()
    await sql("update webhook_events set payload = null")
    expect((await list()).body.data).toMatchObject([{ isRetryable: false }])
    expect(await retry("event", eventId)).toMatchObject({ status: 409, body: { code: "CONFLICT" } })
  })

  test("of a message delivers it again; one of another deployment is not found", async () => {
    await deadMessage()
    await deadMessage(`${world().controlUrl}/somebody-else`)
    const dead = () => qstash<{ messages: { dlqId: string; url: string }[] }>("/v2/dlq")
    const [letter] = (await list()).body.data
    const foreign = (await dead()).messages.find(({ url }) => url.includes("somebody-else"))
    expect((await retry("message", foreign?.dlqId ?? "")).status).toBe(404)
    expect(await retry("message", letter?.id ?? "")).toMatchObject({ status: 200, body: { status: "queued" } })
    const again = await waitFor(async () => {
      const { data } = (await list()).body
      return data[0] && data[0].id !== letter?.id ? data : null
    })
    expect(again).toMatchObject([{ kind: "message", reason: "payload_not_understood" }])
    expect((await retry("message", letter?.id ?? "")).status).toBe(404)
  })

  test("of a fallback delivery stores it with the next sweep", async () => {
    const { id, customer } = await rejectedDelivery()
    expect(await retry("parked", id)).toMatchObject({ status: 200, body: { status: "queued" } })
    expect((await retry("parked", id)).status).toBe(404)
    await advanceClock("PT2M")
    expect(await sql("select provider_customer_id as id from customers")).toEqual([{ id: customer }])
    expect((await list()).body.data).toEqual([])
  })

  test("of an invalid id is not found", async () => {
    for (const [kind, id] of [
      ["event", "no-uuid"],
      ["event", "00000000-0000-8000-8000-000000000000"],
      ["message", "unknown"],
      ["parked", "1-1"],
      ["parked", "-"],
      ["other", "1"],
    ] as const) {
      expect([kind, id, (await retry(kind, id)).status]).toEqual([kind, id, 404])
    }
  })
})

describe("a company's key", () => {
  test("shows the company's own events only, and retries them only for admins", async () => {
    const B = fresh("company")
    await addCompany(B)
    const eventId = await deadEvent()
    await deadMessage()
    await redis("XADD", "parked:refused", "*", "sealed", "x", "reason", "copy_not_ours")
    const [own, other] = [await newApiKey("success-manager"), await newApiKey("admin", B)]
    expect((await list("", own)).body.data.map(({ id }) => id)).toEqual([eventId])
    expect((await list("", other)).body.data).toEqual([])
    expect((await list("", await newApiKey("success-analyst"))).status).toBe(403)
    for (const kind of ["message", "parked"]) {
      expect((await list(`?kind=${kind}`, other)).status).toBe(403)
      expect((await retry(kind, "1-1", other)).status).toBe(403)
    }
    const cursorOfMessages = (await list("?limit=1")).body.nextCursor
    expect((await list(`?cursor=${cursorOfMessages}`, own)).body.data.every(({ kind }) => kind === "event")).toBe(true)
    expect((await retry("event", eventId, own)).status).toBe(403)
    expect((await retry("event", eventId, other)).status).toBe(404)
    expect((await retry("event", eventId, await newApiKey("admin"))).body).toMatchObject({ status: "processed" })
  })
})

/** More than one sweep reads. */
const OTHERS = 1_001

test("a delivery in QStash alone is redriven although a thousand dead letters of others are before it", async () => {
  const customer = fresh("cus")
  await setFault("postgres", "down")
  expect((await failPayment(customer, fresh("in"))).status).toBe(200)
  const dead = async () => (await qstash<{ messages: { url: string }[] }>("/v2/dlq?count=2000")).messages
  await advanceClock("PT2M")
  expect((await dead()).map(({ url }) => url)).toEqual([`${world().vars.APP_URL}/jobs/ingest`])

  const { QSTASH_URL: url = "", QSTASH_TOKEN: token = "" } = world().vars
  const other = { destination: `${world().controlUrl}/somebody-else`, headers: { "upstash-retries": "0" }, body: "{}" }
  const published = await fetch(`${url}/v2/batch`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(Array.from({ length: OTHERS }, () => other)),
  })
  expect(published.ok).toBe(true)
  await waitFor(async () => (await dead()).length === 1 + OTHERS)

  await setFault("postgres", "off")
  await advanceClock("PT5M")
  expect(await sql("select provider_customer_id as id from customers")).toEqual([{ id: customer }])
  expect((await dead()).every(({ url: target }) => target === other.destination)).toBe(true)
  expect(await dead()).toHaveLength(OTHERS)
})
