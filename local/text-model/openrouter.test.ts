import { describe, expect, test } from "vitest"
import { suggestionPrompt } from "../../shared/domain/messaging/templates/suggestion.ts"
import { faultsOf } from "../../shared/domain/messaging/templates/templates.ts"
import type { Draft } from "../../shared/text-model.ts"
import { openRouterModel } from "../../workers/messaging/openrouter.ts"
import { handleOpenRouter } from "./openrouter.ts"

const ANY = { stage: null, ask: null, channel: null, language: null }

/** A draft through the Worker's own client. */
const draft = (voice: string | null, key = "key"): Promise<Draft> =>
  openRouterModel({
    ...{ apiKey: key, apiUrl: "http://stand-in.example/api/v1", model: "local/stand-in", timeoutMs: 1_000 },
    async fetch(input, init = {}) {
      const request = { method: init.method, url: new URL(String(input)).pathname, headers: headersOf(init) }
      const { status, headers, body } = handleOpenRouter(request, Buffer.from(String(init.body)), "key")
      return new Response(String(body), { status, ...(headers && { headers }) })
    },
  }).draft(suggestionPrompt({ caseKind: "payment", ...ANY, words: { subject: "{brand}: pay" }, voice }), {
    requestId: "r",
  })

const headersOf = (init: RequestInit) => Object.fromEntries(new Headers(init.headers))

test("words that a template accepts, made from the current ones", async () => {
  const made = await draft("warm, and (never) at https://evil.example")
  if (made.kind !== "drafted") throw new Error(made.kind)
  expect(made.words.subject).toBe("A quick note: {brand}: pay")
  expect(faultsOf(made.words)).toEqual([])
})

describe("a word in the voice makes it fail as the real one does", () => {
  test.each([
    ["stand-in:refusal", { kind: "refused" }],
    ["stand-in:moderation", { kind: "refused" }],
    ["stand-in:no-credits", { kind: "unavailable", reason: "http_402" }],
    ["stand-in:error-in-answer", { kind: "unavailable", reason: "http_502" }],
    ["stand-in:garbage", { kind: "unusable", reason: "unexpected_answer" }],
    ["stand-in:cut-off", { kind: "unusable", reason: "cut_off" }],
  ])("%s", async (voice, expected) => {
    expect(await draft(voice)).toMatchObject(expected)
  })
})

test("a wrong key and another path are refused", async () => {
  expect(await draft(null, "other")).toMatchObject({ kind: "unavailable", reason: "http_401" })
  const request = { method: "GET", url: "/api/v1/models", headers: { authorization: "Bearer key" } }
  expect(handleOpenRouter(request, Buffer.from(""), "key").status).toBe(404)
  expect(
    handleOpenRouter({ ...request, method: "POST", url: "/api/v1/chat/completions" }, Buffer.from("x"), "key").status,
  ).toBe(400)
})
