/** The description of the API: public, complete, and correct for all answers. */
import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { api, world } from "../support/world/world.ts"

const OPENAPI = new URL("../../workers/reference/openapi.json", import.meta.url)

const description = JSON.parse(readFileSync(OPENAPI, "utf8")) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

const get = (path: string) => fetch(`${world().workerUrl}${path}`)

test("OpenAPI, without a key", async () => {
  const answer = await get("/api/openapi.json")
  expect(answer.status).toBe(200)
  expect(answer.headers.get("content-type")).toContain("application/json")
  expect(await answer.json()).toEqual(description)
})

test("a page, without a key, script or external content", async () => {
  const answer = await get("/api/docs")
  expect(answer.status).toBe(200)
  expect(answer.headers.get("content-type")).toContain("text/html")
  const policy = answer.headers.get("content-security-policy") ?? ""
  expect(policy).toMatch(/^default-src 'none'; style-src 'nonce-[^']+'; form-action 'none'/)
  const page = await answer.text()
  expect(page).toContain(policy.match(/'nonce-([^']+)'/)?.[1])
  expect(page).not.toMatch(/<script|https?:\/\//)
  for (const path of Object.keys(description.paths)) expect(page).toContain(path)
})

/** `api` throws at an answer that is not as described. */
test.each(
  Object.entries(description.paths)
    .filter(([path, methods]) => "get" in methods && path.startsWith("/api/") && !/docs|openapi|export/.test(path))
    .map(([path]) => path.replaceAll(/\{\w+\}/g, "none")),
)("GET %s answers what is described", async (path) => {
  expect((await api(path)).status).toBeLessThan(500)
})
