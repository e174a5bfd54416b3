import { describe, expect, test } from "vitest"
import { NotSent } from "../../../shared/network/outbound-fetch.ts"
import { QstashError } from "./call.ts"
import { qstashPublisher } from "./publish.ts"

const TOKEN = "token-of-the-tests"

/** A publisher whose calls are recorded, and answered by `answer`. */
function publisher(answer: (url: string, init: RequestInit) => Response | Promise<Response>) {
  const calls: { url: string; method: string; headers: Record<string, string>; body: unknown }[] = []
  const qstash = qstashPublisher({
    url: "https://qstash.example",
    token: TOKEN,
    retriesMax: 3,
    fetch: async (url, init) => {
      const body = typeof init.body === "string" ? JSON.parse(init.body) : undefined
      calls.push({ url, method: String(init.method), headers: Object.fromEntries(new Headers(init.headers)), body })
      return answer(url, init)
    },
  })
  return { qstash, calls }
}

const accepted = () => Response.json({ messageId: "msg_1" }, { status: 201 })
const PUBLICATION = {
  url: "https://churn.example.com/jobs/send-nudge",
  body: { nudgeId: "n_1" },
  deduplicationId: "outbox-1",
}

async function failureOf(work: Promise<unknown>): Promise<QstashError> {
  const error = await work.catch((thrown: unknown) => thrown)
  if (!(error instanceof QstashError)) throw new Error("it should have failed with a QstashError")
  return error
}

test("a publication sends all of its options", async () => {
  const { qstash, calls } = publisher(accepted)
  const published = await qstash.publish({
    ...PUBLICATION,
    delaySeconds: 1.2,
    notBefore: new Date("2026-03-01T10:00:00.001Z"),
    retries: 2,
    retryDelay: "1000 * (1 + retried)",
    flowControl: { key: "acme", parallelism: 4 },
    deliveryTimeoutSeconds: 30,
  })
  expect(published).toEqual({ messageId: "msg_1", isDuplicate: false })
  expect(calls).toEqual([
    {
      url: "https://qstash.example/v2/publish/https://churn.example.com/jobs/send-nudge",
      method: "POST",
      headers: {
        authorization: `Bearer ${TOKEN}`,
        "content-type": "application/json",
        "upstash-method": "POST",
        "upstash-deduplication-id": "outbox-1",
        "upstash-delay": "2s",
        "upstash-not-before": "1772359201",
        "upstash-retries": "2",
        "upstash-retry-delay": "1000 * (1 + retried)",
        "upstash-timeout": "30s",
        "upstash-flow-control-key": "acme",
        "upstash-flow-control-value": "parallelism=4",
      },
      body: { nudgeId: "n_1" },
    },
  ])
})

test("retries never exceed the configured maximum", async () => {
  const { qstash, calls } = publisher(accepted)
  await qstash.publish({ ...PUBLICATION, retries: 10 })
  await qstash.publish(PUBLICATION)
  expect(calls.map((call) => call.headers["upstash-retries"])).toEqual(["3", "3"])
})

test("a duplicate is reported", async () => {
  const { qstash } = publisher(() => Response.json({ messageId: "msg_0", deduplicated: true }, { status: 202 }))
  expect(await qstash.publish(PUBLICATION)).toEqual({ messageId: "msg_0", isDuplicate: true })
})

describe("a failure states whether to retry, and contains no body", () => {
  test.each([
    [400, false],
    [401, false],
    [404, false],
    [412, false],
    [408, true],
    [429, true],
    [500, true],
    [503, true],
  ])("status %d", async (status, retry) => {
    const { qstash, calls } = publisher(() => new Response('{"error":"jenny@example.com is wrong"}', { status }))
    const error = await failureOf(qstash.publish(PUBLICATION))
    expect(error).toMatchObject({ status, retry, reason: "refused" })
    expect(`${error.message} ${String(error.cause)} ${JSON.stringify(error)}`).not.toContain("jenny")
    expect(calls).toHaveLength(1)
  })

  test("no connection", async () => {
    const { qstash } = publisher(() => Promise.reject(new TypeError("fetch failed: jenny@example.com")))
    const error = await failureOf(qstash.publish(PUBLICATION))
    expect(error).toMatchObject({ status: null, retry: true, reason: "unreachable" })
    expect(error.message).not.toContain("jenny")
  })

  test("no answer in time", async () => {
    const { qstash } = publisher(
      (_, init) =>
        new Promise((_resolve, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason))),
    )
    const error = await failureOf(qstash.publish({ ...PUBLICATION, timeoutMs: 20 }))
    expect(error).toMatchObject({ status: null, retry: true, reason: "timeout" })
  })

  test.each(["", "<html>", "{}", '{"messageId":7}'])("an answer that cannot be parsed: %s", async (text) => {
    const { qstash } = publisher(() => new Response(text))
    expect(await failureOf(qstash.publish(PUBLICATION))).toMatchObject({ retry: true, reason: "answer_not_understood" })
  })

  test("a flow control key that does not fit into a header", async () => {
    const { qstash, calls } = publisher(accepted)
    for (const key of ["", "a\r\nUpstash-Retries: 9", "Zoë"]) {
      const error = await failureOf(qstash.publish({ ...PUBLICATION, flowControl: { key, parallelism: 1 } }))
      expect(error).toMatchObject({ retry: false, reason: "header_not_ascii" })
    }
    expect(calls).toEqual([])
  })
})

test("dead letters are listed in pages, without their bodies", async () => {
  const message = {
    dlqId: "d_1",
    messageId: "msg_1",
    url: PUBLICATION.url,
    createdAt: 1_772_359_200_000,
    maxRetries: 3,
  }
  const { qstash, calls } = publisher(() =>
    Response.json({ cursor: "next", messages: [{ ...message, responseStatus: 500, body: "secret" }, message] }),
  )
  const expected = {
    dlqId: "d_1",
    messageId: "msg_1",
    url: PUBLICATION.url,
    createdAt: new Date("2026-03-01T10:00:00Z"),
  }
  expect(await qstash.listDeadLetters({ cursor: "a b", limit: 500 })).toEqual({
    cursor: "next",
    messages: [
      { ...expected, responseStatus: 500, reason: null },
      { ...expected, responseStatus: null, reason: null },
    ],
  })
  expect(calls[0]?.url).toBe("https://qstash.example/v2/dlq?count=100&order=latestFirst&cursor=a+b")
  await qstash.listDeadLetters({ url: PUBLICATION.url, limit: 5 })
  const { searchParams } = new URL(calls[1]?.url ?? "")
  expect(Object.fromEntries(searchParams)).toEqual({ count: "5", order: "latestFirst", url: PUBLICATION.url })
})

test("dead letters are redriven by their ids, and an empty list makes no call", async () => {
  const { qstash, calls } = publisher(() => Response.json({ responses: [] }))
  await qstash.redriveDeadLetters([])
  expect(calls).toEqual([])
  await qstash.redriveDeadLetters(Array.from({ length: 51 }, (_, index) => `d_${index}`))
  expect(calls.map((call) => new URL(call.url).searchParams.getAll("dlqIds").length)).toEqual([50, 1])
  expect(calls[0]?.url).toMatch(/^https:\/\/qstash\.example\/v2\/dlq\/retry\?dlqIds=d_0&dlqIds=d_1&/)
})

test.each([
  ['{"job":"ingest","gaveUp":"copy_not_ours"}', "copy_not_ours"],
  ['{"title":"Temporarily unavailable","code":"UNAVAILABLE"}', "unavailable"],
  ['{"gaveUp":"<b>ann@example.com</b>"}', null],
  ["<html>ann@example.com</html>", null],
  ["null", null],
])("of the last answer %s a dead message tells our own code only", async (responseBody, reason) => {
  const message = { dlqId: "d/1", messageId: "msg_1", url: PUBLICATION.url, createdAt: 0, responseStatus: 489 }
  const { qstash, calls } = publisher(() => Response.json({ ...message, responseBody, body: "secret" }))
  expect(await qstash.findDeadLetter("d/1")).toEqual({ ...message, createdAt: new Date(0), reason })
  expect(calls[0]?.url).toBe("https://qstash.example/v2/dlq/d%2F1")
})

test("a dead letter that no longer exists is null; any other refusal is an error", async () => {
  expect(await publisher(() => new Response("", { status: 404 })).qstash.findDeadLetter("d_1")).toBeNull()
  const { qstash } = publisher(() => new Response("", { status: 500 }))
  expect(await failureOf(qstash.findDeadLetter("d_1"))).toMatchObject({ status: 500, retry: true })
})

test("a call that was not made gives the reason and may be retried; the last resort bypasses the breaker", async () => {
  const urls: string[] = []
  const qstash = qstashPublisher({
    ...{ url: "https://qstash.example", token: TOKEN, retriesMax: 3 },
    fetch: () => Promise.reject(new NotSent("circuit_open", 5_000)),
    fetchPastBreaker: async (url) => {
      urls.push(url)
      return accepted()
    },
  })
  expect(await failureOf(qstash.publish(PUBLICATION))).toMatchObject({
    retry: true,
    status: null,
    reason: "circuit_open",
  })
  expect(urls).toEqual([])
  expect(await qstash.publish({ ...PUBLICATION, isLastResort: true })).toMatchObject({ messageId: "msg_1" })
  expect(urls).toHaveLength(1)
})
