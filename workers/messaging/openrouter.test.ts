import { describe, expect, test } from "vitest"
import { NotSent } from "../../shared/network/outbound-fetch.ts"
import { draftOf, openRouterModel } from "./openrouter.ts"

const TEXTS = { subject: "S", opening: " O ", ask: "A", button: "", short: "T" }
const PROMPT = { system: "task", user: "template" }

const answered = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  draftOf(
    {
      kind: "answered",
      status,
      headers: new Headers(headers),
      body: typeof body === "string" ? body : JSON.stringify(body),
    },
    "vendor/model",
  )

const completed = (message: object, finishReason = "stop", more: object = {}) =>
  answered({ ...more, choices: [{ finish_reason: finishReason, message }] })

describe("an answer", () => {
  test("with all texts is a draft; an empty text is left out", () => {
    const draft = completed({ content: JSON.stringify(TEXTS) }, "stop", { model: "vendor/model-2026" })
    expect(draft).toEqual({
      ...{ kind: "drafted", model: "vendor/model-2026" },
      words: { subject: "S", opening: "O", ask: "A", short: "T" },
    })
    expect(completed({ content: JSON.stringify({ ...TEXTS, extra: 1 }) })).toMatchObject({ model: "vendor/model" })
  })

  test.each<[string, object, string]>([
    ["a refusal", { content: null, refusal: "no" }, "stop"],
    ["filtered content", { content: "" }, "content_filter"],
  ])("is refused: %s", (_, message, reason) => {
    expect(completed(message, reason)).toEqual({ kind: "refused" })
  })

  test.each<[string, unknown]>([
    ["text around it", { content: "Sure!" }],
    ["no text", { content: null }],
    ["a missing part", { content: JSON.stringify({ ...TEXTS, ask: undefined }) }],
    ["a part that is no text", { content: JSON.stringify({ ...TEXTS, ask: 1 }) }],
    ["a part without end", { content: JSON.stringify({ ...TEXTS, ask: "x".repeat(2_001) }) }],
    ["a list", { content: JSON.stringify([TEXTS]) }],
  ])("is unusable: %s", (_, message) => {
    expect(completed(message as object)).toEqual({ kind: "unusable", reason: "unexpected_answer" })
  })

  test.each(["", "{", "[]", "{}", '{"choices":[]}', '{"choices":"x"}'])("is unusable: %j", (body) => {
    expect(answered(body)).toEqual({ kind: "unusable", reason: "unexpected_answer" })
  })

  test("that was cut off is unusable", () => {
    expect(completed({ content: '{"subject": "S' }, "length")).toEqual({ kind: "unusable", reason: "cut_off" })
  })

  test.each([
    [401, {}, "http_401", null],
    [402, {}, "http_402", null],
    [429, { "retry-after": "7" }, "http_429", 7_000],
    [503, {}, "http_503", null],
    [302, {}, "http_302", null],
  ])("with status %i is unavailable", (status, headers, reason, retryAfterMs) => {
    expect(answered("x", status, headers as Record<string, string>)).toEqual({
      kind: "unavailable",
      reason,
      retryAfterMs,
    })
  })

  test("of moderation is a refusal", () => {
    expect(answered({ error: { code: 403, message: "flagged" } }, 403)).toEqual({ kind: "refused" })
  })

  test.each([
    ["of the request", { error: { code: 502, message: "x" } }],
    ["of the choice", { choices: [{ finish_reason: "error", error: { code: "502" } }] }],
  ])("that reports an error %s in its body is unavailable", (_, body) => {
    expect(answered(body)).toMatchObject({ kind: "unavailable", reason: "http_502" })
  })
})

describe("a request", () => {
  const options = { apiKey: "sk-or-key", apiUrl: "https://ai.example/api/v1", model: "vendor/model", timeoutMs: 5_000 }

  test("asks for our texts, from providers that keep to the schema and store nothing", async () => {
    const sent: { url: string; init: RequestInit }[] = []
    const model = openRouterModel({
      ...options,
      async fetch(input, init = {}) {
        sent.push({ url: String(input), init })
        return Response.json({ choices: [{ finish_reason: "stop", message: { content: JSON.stringify(TEXTS) } }] })
      },
    })
    expect(await model.draft(PROMPT, { requestId: "r_1" })).toMatchObject({ kind: "drafted" })
    expect(sent).toHaveLength(1)
    const { url, init } = sent[0] ?? { url: "", init: {} }
    expect([url, init.method]).toEqual(["https://ai.example/api/v1/chat/completions", "POST"])
    expect(new Headers(init.headers).get("authorization")).toBe("Bearer sk-or-key")
    expect(JSON.parse(String(init.body))).toMatchObject({
      model: "vendor/model",
      messages: [
        { role: "system", content: "task" },
        { role: "user", content: "template" },
      ],
      response_format: { type: "json_schema", json_schema: { strict: true } },
      provider: { require_parameters: true, data_collection: "deny" },
    })
  })

  test.each<[string, () => never, string]>([
    ["times out", () => fail(new DOMException("late", "TimeoutError")), "timeout"],
    ["loses its connection", () => fail(new TypeError("lost")), "connection_lost"],
    ["finds the breaker open", () => fail(new NotSent("circuit_open", 9_000)), "circuit_open"],
  ])("that %s is unavailable", async (_, fetch, reason) => {
    const model = openRouterModel({ ...options, fetch: async () => fetch() })
    expect(await model.draft(PROMPT, { requestId: "r_1" })).toMatchObject({ kind: "unavailable", reason })
  })
})

function fail(error: Error): never {
  throw error
}
