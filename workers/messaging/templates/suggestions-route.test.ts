/** Drafts where the deployment has no key, and when a company asks too often; the flows have all the rest. */
import { Hono } from "hono"
import { expect, test } from "vitest"
import { errorResponse } from "../../platform/http/error-response.ts"
import { suggestionsLimit } from "../../platform/limits/limits.ts"
import type { AppEnv, Services } from "../../platform/services.ts"
import { suggestions } from "./suggestions-route.ts"

/** The services that the route uses before it would ask for anything else. */
const services = (textModel: Services["textModel"]) =>
  ({
    textModel,
    config: { limits: {} },
    log: { info: () => {}, warn: () => {}, error: () => {} },
    now: () => new Date("2026-03-02T10:00:00Z"),
    newId: () => "id",
    sharedLimit: async () => null,
  }) as unknown as Services

const ask = async (textModel: Services["textModel"]) => {
  const app = new Hono<AppEnv>()
    .use(async (c, next) => {
      c.set("services", services(textModel))
      c.set("principal", { keyId: "k", role: "admin", companyId: "acme" })
      await next()
    })
    .route("/suggest", suggestions)
    .onError(errorResponse)
  const response = await app.request("/suggest", {
    method: "POST",
    body: JSON.stringify({ caseKind: "payment" }),
    headers: { "content-type": "application/json" },
  })
  return { status: response.status, body: (await response.json()) as { detail: string } }
}

test("without a key there are no suggestions, and the answer says why", async () => {
  const { status, body } = await ask(null)
  expect([status, body.detail]).toEqual([409, "Suggestions are not set up: the deployment has no OPENROUTER_API_KEY."])
})

test("a company that asks too often is refused before the model is asked", async () => {
  let asked = 0
  const model: Services["textModel"] = {
    async draft() {
      asked += 1
      return { kind: "refused" }
    },
  }
  const statuses: number[] = []
  for (let call = 0; call <= suggestionsLimit.max; call++) statuses.push((await ask(model)).status)
  expect([statuses.filter((status) => status === 502).length, statuses.at(-1)]).toEqual([suggestionsLimit.max, 429])
  expect(asked).toBe(suggestionsLimit.max)
})
