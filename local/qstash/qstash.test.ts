/** Tests of the local QStash against its documentation. One file of more than 300 lines, since all tests share one receiver and setup. */
import { mkdtempSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client, Receiver } from "@upstash/qstash"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { createFaults, type Faults } from "../faults.ts"
import { createClock, type VirtualClock } from "../time/clock.ts"
import { type Qstash, type QstashOptions, startQstash } from "./server.ts"

const KEYS = { currentSigningKey: "sig_current_0123456789", nextSigningKey: "sig_next_0123456789" }
const TOKEN = "token"

type Delivery = { readonly path: string; readonly headers: Headers; readonly body: string; readonly url: string }
type Answer = {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly afterMs?: number
}

let clock: VirtualClock
let faults: Faults
let qstash: Qstash
let client: Client
let deliveries: Delivery[]
let answerWith: (delivery: Delivery, count: number) => Answer
let receiver: { readonly url: string; stop(): void }
let peak: number

beforeEach(async () => {
  clock = createClock()
  faults = createFaults({ slowMs: 10 })
  deliveries = []
  answerWith = () => ({ status: 200 })
  receiver = await startReceiver()
  await start({})
})

afterEach(async () => {
  await qstash.stop()
  receiver.stop()
})

async function start(options: Partial<QstashOptions>): Promise<void> {
  qstash = await startQstash({ clock, faults, token: TOKEN, ...KEYS, ...options })
  qstash.release()
  client = new Client({ baseUrl: qstash.url, token: TOKEN, devMode: false, retry: false, enableTelemetry: false })
}

async function startReceiver() {
  let active = 0
  peak = 0
  const server = createServer(async (req, res) => {
    active += 1
    peak = Math.max(peak, active)
    const chunks: Buffer[] = []
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
    const delivery = {
      path: req.url ?? "",
      url: `http://${req.headers.host}${req.url}`,
      headers: new Headers(Object.entries(req.headers) as [string, string][]),
      body: Buffer.concat(chunks).toString(),
    }
    deliveries.push(delivery)
    const answer = answerWith(delivery, deliveries.length)
    if (answer.afterMs) await new Promise((resolve) => setTimeout(resolve, answer.afterMs))
    active -= 1
    res.writeHead(answer.status, answer.headers).end(answer.body ?? "")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Moves time and runs everything that is due. */
async function pass(duration: string): Promise<void> {
  clock.advance(duration)
  await qstash.fireDue()
  await qstash.idle()
}

const retriedOf = (): (string | null)[] => deliveries.map(({ headers }) => headers.get("upstash-retried"))

describe("publishing", () => {
  test("a message arrives with its body, its forwarded headers and the documented ones", async () => {
    const { messageId } = await client.publishJSON({
      url: `${receiver.url}/jobs/a?b=c&d=e%20f`,
      body: { hello: "world" },
      headers: { "x-mine": "1" },
    })
    await qstash.idle()
    expect(deliveries).toHaveLength(1)
    const [delivery] = deliveries
    expect(delivery?.path).toBe("/jobs/a?b=c&d=e%20f")
    expect(delivery?.body).toBe('{"hello":"world"}')
    expect(Object.fromEntries(delivery?.headers ?? [])).toMatchObject({
      "user-agent": "Upstash-QStash",
      "upstash-message-id": messageId,
      "upstash-retried": "0",
      "x-mine": "1",
      "content-type": "application/json",
    })
  })

  test("a destination may be escaped in the path", async () => {
    const response = await fetch(`${qstash.url}/v2/publish/${encodeURIComponent(`${receiver.url}/x?y=1`)}`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}` },
      body: "hi",
    })
    expect(response.status).toBe(201)
    await qstash.idle()
    expect(deliveries.map(({ path, body }) => [path, body])).toEqual([["/x?y=1", "hi"]])
  })

  test("a batch is accepted as a whole, and not at all when one message is invalid", async () => {
    const one = { url: `${receiver.url}/1`, body: 1 }
    await expect(client.batchJSON([one, { url: "https://example.com", body: 2 }])).rejects.toThrow(
      /not on this machine/,
    )
    await qstash.idle()
    expect(deliveries).toHaveLength(0)
    const ids = await client.batchJSON([one, { url: `${receiver.url}/2`, body: 2 }])
    expect(ids).toHaveLength(2)
    await qstash.idle()
    expect(deliveries.map(({ path }) => path).toSorted()).toEqual(["/1", "/2"])
  })

  test("a delayed message is delivered at its time", async () => {
    await client.publishJSON({ url: receiver.url, delay: "2d", body: 1 })
    await pass("P1DT23H59M")
    expect(deliveries).toHaveLength(0)
    expect(qstash.nextDueAt()?.getTime()).toBeGreaterThan(clock.now().getTime())
    await pass("PT1M")
    expect(deliveries).toHaveLength(1)
    expect(qstash.nextDueAt()).toBeNull()
  })

  test("not-before takes precedence over delay", async () => {
    const notBefore = Math.ceil(clock.now().getTime() / 1_000) + 3_600
    await client.publishJSON({ url: receiver.url, delay: 5, notBefore, body: 1 })
    await pass("PT59M")
    expect(deliveries).toHaveLength(0)
    await pass("PT2M")
    expect(deliveries).toHaveLength(1)
  })

  test("a duplicate within ten minutes gets the first id; after that it is a new message", async () => {
    const publish = () => client.publishJSON({ url: receiver.url, body: 1, deduplicationId: "once" })
    const first = await publish()
    await pass("PT9M")
    expect(await publish()).toEqual({ messageId: first.messageId, url: receiver.url, deduplicated: true })
    await pass("PT2M")
    expect((await publish()).messageId).not.toBe(first.messageId)
    await qstash.idle()
    expect(deliveries).toHaveLength(2)
  })

  test("content-based deduplication distinguishes bodies", async () => {
    for (const body of [1, 1, 2]) await client.publishJSON({ url: receiver.url, body, contentBasedDeduplication: true })
    await qstash.idle()
    expect(deliveries.map(({ body }) => body).toSorted()).toEqual(["1", "2"])
  })

  test.each([
    ["no token", "", 401, `/v2/publish/http://127.0.0.1:1/`],
    ["a wrong token", "Bearer other", 401, `/v2/publish/http://127.0.0.1:1/`],
    ["another machine", `Bearer ${TOKEN}`, 400, `/v2/publish/https://example.com/`],
    ["no url", `Bearer ${TOKEN}`, 400, `/v2/publish/some-topic`],
    ["an unknown path", `Bearer ${TOKEN}`, 404, `/v2/nothing`],
    ["an unknown message", `Bearer ${TOKEN}`, 404, `/v2/messages/msg_none`],
  ])("%s is refused", async (_case, authorization, status, path) => {
    const method = path.includes("publish") ? "POST" : "GET"
    const response = await fetch(qstash.url + path, { method, headers: { authorization } })
    expect(response.status).toBe(status)
    expect(await response.json()).toHaveProperty("error")
  })

  test("an invalid retry delay is refused when it is published", async () => {
    await expect(client.publish({ url: receiver.url, retryDelay: "process.exit()" })).rejects.toThrow(/retry delay/)
    await expect(client.publish({ url: receiver.url, retries: 3, retryDelay: "sqrt(1 - retried)" })).rejects.toThrow(
      /not a number/,
    )
  })

  test("the keys can be read", async () => {
    const response = await fetch(`${qstash.url}/v2/keys`, { headers: { authorization: `Bearer ${TOKEN}` } })
    expect(await response.json()).toEqual({ current: KEYS.currentSigningKey, next: KEYS.nextSigningKey })
  })
})

describe("signatures", () => {
  const verify = (delivery: Delivery | undefined, { url = delivery?.url ?? "", body = delivery?.body ?? "" } = {}) =>
    new Receiver({ ...KEYS, devMode: false }).verify({
      signature: delivery?.headers.get("upstash-signature") ?? "",
      body,
      url,
    })

  test("the SDK's receiver accepts a delivery, and not with another body or url", async () => {
    await client.publishJSON({ url: `${receiver.url}/jobs/a?b=c`, body: { ümläut: "✓" } })
    await qstash.idle()
    expect(await verify(deliveries[0])).toBe(true)
    await expect(verify(deliveries[0], { body: "{}" })).rejects.toThrow(/body hash/)
    await expect(verify(deliveries[0], { url: `${receiver.url}/jobs/b` })).rejects.toThrow(/invalid subject/)
  })

  test("claims are exactly the documented ones", async () => {
    await client.publish({ url: receiver.url, body: "" })
    await qstash.idle()
    const [header = "", payload = ""] = (deliveries[0]?.headers.get("upstash-signature") ?? "").split(".")
    const decode = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString())
    expect(decode(header)).toEqual({ alg: "HS256", typ: "JWT" })
    const claims = decode(payload)
    expect(claims).toMatchObject({
      iss: "Upstash",
      sub: receiver.url,
      body: expect.any(String),
      jti: expect.any(String),
    })
    expect(claims.exp - claims.iat).toBe(300)
    expect(claims.nbf).toBe(claims.iat)
  })

  test("a rotation makes the next key the current one; after a second one a receiver with the old keys refuses", async () => {
    const rotate = async () => {
      const response = await fetch(`${qstash.url}/v2/keys/rotate`, {
        method: "POST",
        headers: { authorization: `Bearer ${TOKEN}` },
      })
      return (await response.json()) as { current: string; next: string }
    }
    const deliver = async () => {
      await client.publishJSON({ url: `${receiver.url}/jobs/a`, body: 1 })
      await qstash.idle()
      return verify(deliveries.at(-1))
    }
    const once = await rotate()
    expect(once).toEqual({ current: KEYS.nextSigningKey, next: expect.stringMatching(/^sig_[A-Za-z0-9_-]{28}$/) })
    expect(await deliver()).toBe(true)
    expect((await rotate()).current).toBe(once.next)
    await expect(deliver()).rejects.toThrow()
    qstash.clear()
    expect(await deliver()).toBe(true)
  })

  test("a delivery that is signed with the next key is accepted", async () => {
    await qstash.stop()
    await start({ signWith: "next" })
    await client.publishJSON({ url: `${receiver.url}/jobs/a`, body: 1 })
    await qstash.idle()
    expect(await verify(deliveries[0])).toBe(true)
  })
})

describe("retries", () => {
  test("the default curve is 12 s, 2 m 28 s and 30 m 8 s; then the message is a dead letter", async () => {
    answerWith = () => ({ status: 500, body: "no" })
    await client.publishJSON({ url: receiver.url, body: { a: 1 } })
    await qstash.idle()
    for (const [wait, count] of [
      ["PT10S", 1],
      ["PT2S", 2],
      ["PT2M26S", 2],
      ["PT2S", 3],
      ["PT30M6S", 3],
      ["PT2S", 4],
    ] as const) {
      await pass(wait)
      expect(deliveries).toHaveLength(count)
    }
    expect(retriedOf()).toEqual(["0", "1", "2", "3"])
    const { messages } = await client.dlq.listMessages()
    expect(messages).toHaveLength(1)
    expect(messages[0]).toMatchObject({ responseStatus: 500, responseBody: "no", url: receiver.url, body: '{"a":1}' })
  })

  test("dead letters are listed in pages, the earliest first", async () => {
    answerWith = () => ({ status: 489, headers: { "Upstash-NonRetryable-Error": "true" } })
    for (let index = 0; index < 5; index++) {
      await client.publishJSON({ url: receiver.url, body: index })
      await pass("PT1S")
    }
    const bodies: unknown[] = []
    let cursor: string | undefined
    do {
      const page = await client.dlq.listMessages({ count: 2, ...(cursor && { cursor }) })
      expect(page.messages.length).toBeLessThanOrEqual(2)
      bodies.push(...page.messages.map(({ body }) => body))
      cursor = page.cursor
    } while (cursor)
    expect(bodies).toEqual(["0", "1", "2", "3", "4"])
  })

  test("the sender's expression sets the delays", async () => {
    answerWith = (_delivery, count) => ({ status: count < 3 ? 500 : 200 })
    await client.publishJSON({ url: receiver.url, body: 1, retryDelay: "max(1000, pow(2, retried) * 60000)" })
    await qstash.idle()
    await pass("PT59S")
    expect(deliveries).toHaveLength(1)
    await pass("PT2S")
    expect(deliveries).toHaveLength(2)
    await pass("PT1M50S")
    expect(deliveries).toHaveLength(2)
    await pass("PT11S")
    expect(deliveries).toHaveLength(3)
  })

  test("Retry-After is used", async () => {
    answerWith = (_delivery, count) =>
      count === 1 ? { status: 429, headers: { "retry-after": "7200" } } : { status: 200 }
    await client.publishJSON({ url: receiver.url, body: 1 })
    await qstash.idle()
    await pass("PT1H59M")
    expect(deliveries).toHaveLength(1)
    await pass("PT1M1S")
    expect(deliveries).toHaveLength(2)
  })

  test("489 with its header ends retries; 489 without it does not", async () => {
    answerWith = ({ path }) => ({
      status: 489,
      headers: path === "/stop" ? { "upstash-nonretryable-error": "true" } : {},
    })
    await client.publish({ url: `${receiver.url}/stop` })
    await client.publish({ url: `${receiver.url}/again` })
    await qstash.idle()
    const { messages } = await client.dlq.listMessages()
    expect(messages.map(({ url }) => url)).toEqual([`${receiver.url}/stop`])
    expect(qstash.nextDueAt()).not.toBeNull()
  })

  test("no answer in time is a failure", async () => {
    answerWith = () => ({ status: 200, afterMs: 3_000 })
    await client.publish({ url: receiver.url, timeout: 1, retries: 0 })
    await qstash.idle()
    const { messages } = await client.dlq.listMessages()
    expect(messages[0]?.responseStatus).toBe(0)
  })
})

describe("dead letters", () => {
  beforeEach(async () => {
    answerWith = () => ({ status: 500 })
    await client.batch([1, 2].map((n) => ({ url: `${receiver.url}/${n}`, retries: 0, label: `l${n}`, body: "b" })))
    await qstash.idle()
    answerWith = () => ({ status: 200 })
  })

  test("dead letters are listed in pages, oldest first, or newest first on request", async () => {
    answerWith = () => ({ status: 500 })
    for (const body of ["first", "second", "third"]) {
      await client.publish({ url: receiver.url, body, retries: 0 })
      await qstash.idle()
    }
    const page = await client.dlq.listMessages({ count: 3 })
    expect(page.messages.map(({ body }) => body)).toEqual(["b", "b", "first"])
    const rest = await client.dlq.listMessages({ count: 3, cursor: page.cursor ?? "" })
    expect(rest.messages.map(({ body }) => body)).toEqual(["second", "third"])
    expect(rest.cursor).toBeUndefined()
    const newest = await fetch(`${qstash.url}/v2/dlq?count=2&order=latestFirst`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    expect(await newest.json()).toMatchObject({ messages: [{ body: "third" }, { body: "second" }] })
  })

  test("dead letters can be filtered by destination", async () => {
    const filter = { url: `${receiver.url}/2` }
    const { messages, cursor } = await client.dlq.listMessages({ filter, count: 1 })
    expect([messages.map(({ url }) => url), cursor]).toEqual([[filter.url], undefined])
  })

  test("a retry sends the message again with a new id and removes the dead letter", async () => {
    const { messages } = await client.dlq.listMessages({ filter: { label: "l1" } })
    expect(messages).toHaveLength(1)
    const { responses } = await client.dlq.retry(messages[0]?.dlqId ?? "")
    await qstash.idle()
    expect(responses).toHaveLength(1)
    expect(responses[0]?.messageId).not.toBe(messages[0]?.messageId)
    expect(deliveries.at(-1)?.headers.get("upstash-message-id")).toBe(responses[0]?.messageId)
    expect((await client.dlq.listMessages()).messages).toHaveLength(1)
  })

  test("one can be read and deleted, all can be deleted", async () => {
    const { messages } = await client.dlq.listMessages()
    const dlqId = messages[0]?.dlqId ?? ""
    const one = await fetch(`${qstash.url}/v2/dlq/${dlqId}`, { headers: { authorization: `Bearer ${TOKEN}` } })
    expect(await one.json()).toMatchObject({ dlqId, body: "b" })
    await client.dlq.delete(dlqId)
    await expect(client.dlq.delete(dlqId)).rejects.toThrow(/not found/)
    expect(await client.dlq.delete({ all: true })).toMatchObject({ deleted: 1 })
  })
})

describe("callbacks", () => {
  test("report each attempt; the failure callback reports the end", async () => {
    answerWith = ({ path }) => ({ status: path.startsWith("/callback") ? 200 : 503, body: "busy" })
    const { messageId } = await client.publishJSON({
      url: `${receiver.url}/work`,
      body: { job: 1 },
      retries: 1,
      retryDelay: "1000",
      callback: `${receiver.url}/callback/each`,
      failureCallback: `${receiver.url}/callback/end`,
    })
    await qstash.idle()
    await pass("PT2S")
    const callbacks = deliveries.filter(({ path }) => path.startsWith("/callback"))
    expect(callbacks.map(({ path }) => path).toSorted()).toEqual(["/callback/each", "/callback/each", "/callback/end"])
    const end = JSON.parse(callbacks.find(({ path }) => path === "/callback/end")?.body ?? "{}")
    expect(end).toMatchObject({
      status: 503,
      retried: 1,
      maxRetries: 1,
      sourceMessageId: messageId,
      url: `${receiver.url}/work`,
    })
    expect(end.dlqId).toBe((await client.dlq.listMessages()).messages[0]?.dlqId)
    expect(Buffer.from(end.body, "base64").toString()).toBe("busy")
    expect(Buffer.from(end.sourceBody, "base64").toString()).toBe('{"job":1}')
  })
})

describe("schedules", () => {
  const create = (cron: string, scheduleId = "reminders") =>
    client.schedules.create({ destination: `${receiver.url}/jobs/reminders`, cron, scheduleId, body: "{}" })

  test("moving time over many slots fires once, and the next slot fires again", async () => {
    await create("*/5 * * * *")
    await pass("PT6H")
    expect(deliveries).toHaveLength(1)
    expect(deliveries[0]?.headers.get("upstash-schedule-id")).toBe("reminders")
    await pass("PT5M")
    expect(deliveries).toHaveLength(2)
  })

  test("an existing id is overwritten; pause, resume, list and delete work", async () => {
    await create("0 * * * *")
    await create("*/5 * * * *")
    expect(await client.schedules.list()).toMatchObject([
      { scheduleId: "reminders", cron: "*/5 * * * *", isPaused: false },
    ])
    await client.schedules.pause({ schedule: "reminders" })
    await pass("PT1H")
    expect(deliveries).toHaveLength(0)
    await client.schedules.resume({ schedule: "reminders" })
    await pass("PT1H")
    expect(deliveries).toHaveLength(1)
    expect((await client.schedules.get("reminders")).lastScheduleTime).toBeDefined()
    await client.schedules.delete("reminders")
    await expect(client.schedules.get("reminders")).rejects.toThrow(/not found/)
  })

  test("an invalid cron is refused", async () => {
    await expect(create("every day")).rejects.toThrow(/cron/)
    await expect(create("CRON_TZ=Nowhere/Land 0 * * * *")).rejects.toThrow(/zone/)
  })

  test("its slots can be read by the end of its path", async () => {
    await create("*/5 * * * *", "other-id")
    const at = qstash.slotOf("reminders", new Date("2030-01-01T10:02:00Z"))
    expect(at?.toISOString()).toBe("2030-01-01T10:05:00.000Z")
    expect(qstash.slotOf("reminders", new Date("2030-01-01T10:05:00Z"))?.toISOString()).toBe("2030-01-01T10:05:00.000Z")
  })
})

describe("messages, queues and flow control", () => {
  test("a waiting message can be read and canceled", async () => {
    const { messageId } = await client.publishJSON({ url: receiver.url, delay: 60, body: { a: 1 } })
    expect(await client.messages.get(messageId)).toMatchObject({
      messageId,
      url: receiver.url,
      body: '{"a":1}',
      maxRetries: 3,
    })
    expect(await client.messages.cancel(messageId)).toEqual({ cancelled: 1 })
    await expect(client.messages.cancel(messageId)).rejects.toThrow(/not found/)
    await pass("PT2M")
    expect(deliveries).toHaveLength(0)
  })

  test("flow control limits parallelism and delivers all", async () => {
    answerWith = () => ({ status: 200, afterMs: 10 })
    const flowControl = { key: "company-1", parallelism: 2 }
    await client.batchJSON(Array.from({ length: 9 }, (_, n) => ({ url: receiver.url, body: n, flowControl })))
    await qstash.idle()
    expect(deliveries).toHaveLength(9)
    expect(peak).toBe(2)
  })

  test("a queue delivers in order, and a failing message blocks the rest", async () => {
    answerWith = (_delivery, count) => ({ status: count === 1 ? 500 : 200 })
    const queue = client.queue({ queueName: "orders" })
    for (const n of [1, 2, 3]) await queue.enqueueJSON({ url: receiver.url, body: n })
    await qstash.idle()
    expect(deliveries).toHaveLength(1)
    await pass("PT13S")
    expect(deliveries.map(({ body }) => body)).toEqual(["1", "1", "2", "3"])
  })

  test("duplicates can be requested, and are delivered at the same time with the same id", async () => {
    await qstash.stop()
    await start({ duplicates: () => 2 })
    await client.publishJSON({ url: receiver.url, body: 1 })
    await qstash.idle()
    expect(deliveries).toHaveLength(3)
    expect(new Set(deliveries.map(({ headers }) => headers.get("upstash-message-id"))).size).toBe(1)
  })
})

describe("faults and restarts", () => {
  test.each(["down", "hang", "error"] as const)(
    "while it is in mode %s nothing goes out; afterwards everything does",
    async (mode) => {
      await client.publishJSON({ url: receiver.url, delay: 60, body: 1 })
      faults.set("qstash", mode)
      await pass("PT5M")
      expect(deliveries).toHaveLength(0)
      faults.set("qstash", "off")
      await expect.poll(() => deliveries.length).toBe(1)
    },
  )

  test("a publish whose answer is lost has taken effect", async () => {
    faults.set("qstash", "drop")
    await expect(client.publishJSON({ url: receiver.url, body: 1 })).rejects.toThrow()
    await qstash.idle()
    expect(deliveries).toHaveLength(1)
  })

  test("messages, schedules and deduplication survive a restart", async () => {
    await qstash.stop()
    const stateFile = join(mkdtempSync(join(tmpdir(), "qstash-")), "qstash.json")
    await start({ stateFile })
    await client.publishJSON({ url: receiver.url, delay: 60, body: 1, deduplicationId: "d" })
    await client.schedules.create({ destination: receiver.url, cron: "0 0 * * *", scheduleId: "s" })
    await qstash.stop()
    await start({ stateFile })
    expect((await client.publishJSON({ url: receiver.url, body: 1, deduplicationId: "d" })).deduplicated).toBe(true)
    expect(await client.schedules.list()).toHaveLength(1)
    await pass("PT61S")
    expect(deliveries).toHaveLength(1)
  })

  test("deliveries running at a stop are repeated", async () => {
    await qstash.stop()
    const stateFile = join(mkdtempSync(join(tmpdir(), "qstash-")), "qstash.json")
    await start({ stateFile })
    answerWith = (_delivery, count) => ({ status: 200, afterMs: count === 1 ? 500 : 0 })
    await client.publishJSON({ url: receiver.url, body: 1 })
    await expect.poll(() => deliveries.length).toBe(1)
    await qstash.stop()
    await start({ stateFile })
    await qstash.idle()
    expect(retriedOf()).toEqual(["0", "0"])
  })

  test("clearing deletes messages and dead letters and keeps schedules", async () => {
    await client.publishJSON({ url: receiver.url, delay: 60, body: 1 })
    await client.schedules.create({ destination: receiver.url, cron: "0 0 1 1 *", scheduleId: "s" })
    qstash.clear()
    await pass("PT2M")
    expect(deliveries).toHaveLength(0)
    expect(await client.schedules.list()).toHaveLength(1)
  })
})
