/** Health documents: correct, current, public, and without load on what they check. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
  control,
  mailbox,
  reset,
  setFault,
  settle,
  stats,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

// The clock must not go back between tests: the isolate's caches depend on it.
beforeAll(async () => {
  await reset()
  await advanceClock("PT15M") // breakers of other tests are closed by then
})
afterEach(async () => {
  for (const target of ["postgres", "redis", "qstash"]) await setFault(target, "off")
})

const CHECKS = ["db", "redis", "qstash", "integrations", "webhooks", "scheduler", "scoring", "interventions"]
const PATHS = [
  "/api/health",
  "/api/health/live",
  ...CHECKS.map((check) => `/api/health/${check}`),
  "/api/scheduler/reminders",
]

interface Document {
  readonly status: string
  readonly checks?: Readonly<
    Record<string, readonly { readonly status: string; readonly time: string; readonly responseTime: number }[]>
  >
  readonly [detail: string]: unknown
}

/** With the operator's key, which shows the measurements. */
async function get(path: string, method = "GET") {
  const startedAt = performance.now()
  const headers = { authorization: `Bearer ${world().adminApiKey}` }
  const response = await fetch(`${world().workerUrl}${path}`, { method, headers })
  const text = await response.text()
  const ms = performance.now() - startedAt
  return {
    status: response.status,
    headers: response.headers,
    ms,
    text,
    body: (text ? JSON.parse(text) : {}) as Document,
  }
}

/** Cached measurements expire. */
const expireCache = () => advanceClock("PT6S")

test.each(PATHS)("%s passes, by GET and by HEAD", async (path) => {
  const { status, headers, body } = await get(path)
  expect([status, body.status]).toEqual([200, "pass"])
  expect(headers.get("content-type")).toMatch(/^application\/health\+json/)
  expect(headers.get("cache-control")).toBe("no-store")
  expect(headers.get("x-request-id")).toBeTruthy()
  for (const [measured] of Object.values(body.checks ?? {})) {
    expect(measured?.status).toBe("pass")
    expect(measured?.time).toMatch(/^\d{4}-.*Z$/)
    expect(measured?.responseTime).toBeGreaterThanOrEqual(0)
  }
  const head = await get(path, "HEAD")
  expect([head.status, head.text]).toEqual([200, ""])
  expect(head.headers.get("content-type")).toMatch(/^application\/health\+json/)
})

test.each(PATHS.slice(0, -1))("%s shows only the status without a key", async (path) => {
  const response = await fetch(`${world().workerUrl}${path}`)
  expect([response.status, await response.json()]).toEqual([200, { status: "pass" }])
})

test("measurements are shown to the operator's key only, and an invalid key is refused", async () => {
  const withKey = (key: string) => api("/api/health/webhooks", { key })
  expect((await withKey(world().adminApiKey)).body).toHaveProperty("checks")
  expect((await withKey(await newApiKey("admin"))).body).toEqual({ status: "pass" })
  expect((await withKey("no key of anybody")).status).toBe(401)
})

test("/api/health lists every check", async () => {
  const { body } = await get("/api/health")
  expect(Object.keys(body.checks ?? {}).map((name) => name.split(":")[0])).toEqual([
    "postgres",
    "redis",
    "qstash",
    "webhooks",
    "integrations",
  ])
})

test("no answer contains addresses, names or versions", async () => {
  await setFault("postgres", "down")
  await expireCache()
  for (const path of PATHS) {
    const { text } = await get(path)
    expect([path, /127\.0\.0\.1|localhost|churn_worker|select |neon|upstash|error/i.test(text)]).toEqual([path, false])
  }
})

const WITH_POSTGRES = [
  "/api/health",
  "/api/health/db",
  "/api/health/webhooks",
  "/api/health/scheduler",
  "/api/scheduler/reminders",
]

test.each(["down", "hang", "error"])(
  "Postgres in mode %s fails what stands on it with 503 within two and a half seconds, by HEAD as by GET",
  async (mode) => {
    await setFault("postgres", mode)
    await expireCache()
    const answers = await Promise.all(
      WITH_POSTGRES.flatMap((path) =>
        ["GET", "HEAD"].map(async (method) => ({ path, method, ...(await get(path, method)) })),
      ),
    )
    for (const { path, method, status, body, ms } of answers) {
      expect([path, method, status]).toEqual([path, method, 503])
      if (method === "GET") expect(body.status).toBe("fail")
      expect(ms).toBeLessThan(2_500)
    }
    expect((await get("/api/health/live")).body.status).toBe("pass")
    await setFault("postgres", "off")
    await expireCache()
    expect((await get("/api/health")).body.status).toBe("pass")
  },
)

test.each([
  ["redis", "down"],
  ["redis", "hang"],
  ["qstash", "down"],
  ["qstash", "hang"],
])("%s in mode %s is a warning and no failure: work waits", async (target, mode) => {
  await setFault(target, mode)
  await expireCache()
  for (const path of ["/api/health", `/api/health/${target}`]) {
    const { status, body, ms } = await get(path)
    expect([path, status, body.status]).toEqual([path, 200, "warn"])
    expect(ms).toBeLessThan(2_500)
  }
  expect((await get("/api/health/db")).body.status).toBe("pass")
})

test.each([
  ["/api/health/live", { postgres: 0, redis: 0, qstash: 0 }],
  ["/api/health/db", { postgres: 1, redis: 0, qstash: 0 }],
  ["/api/health/redis", { postgres: 0, redis: 1, qstash: 0 }],
  ["/api/health/qstash", { postgres: 0, redis: 0, qstash: 1 }],
])("ten monitors at %s cost what one does", async (path, most) => {
  await expireCache()
  await settle()
  await control("DELETE", "/stats")
  await get(path)
  await Promise.all(Array.from({ length: 9 }, () => get(path)))
  const { postgres = 0, redis = 0, qstash = 0 } = await stats()
  expect({ postgres, redis, qstash }).toEqual(most)
})

describe("measurements", () => {
  beforeEach(reset)

  test("of the scheduler: what is due, what is overdue, the last run and the next", async () => {
    await setSwitchForAll("NOTIFICATIONS_ENABLED", false)
    await expireCache()
    await failPayment(fresh("cus"), fresh("in"))
    await failPayment(fresh("cus"), fresh("in"))
    await waitUntilProcessed()
    expect((await get("/api/scheduler/reminders")).body).toMatchObject({ due: 2, overdue: 0 })
    await advanceClock("PT2H")
    const { status, body } = await get("/api/scheduler/reminders")
    expect([status, body.status]).toEqual([200, "pass"])
    expect(body).toMatchObject({ due: 2, overdue: 2, queueDepth: 0, lastOutcome: "switched_off" })
    const now = (await worldNow()).getTime()
    expect(Date.parse(String(body.lastRun))).toBeGreaterThan(now - 5 * 60_000 - 1_000)
    expect(Date.parse(String(body.nextRun))).toBeGreaterThan(now - 1_000)
    expect(Date.parse(String(body.nextRun))).toBeLessThanOrEqual(now + 5 * 60_000)
    expect((await get("/api/health/scheduler")).body).toMatchObject({ due: 2, overdue: 2 })
    expect((await get("/api/health/interventions")).body).toMatchObject({ status: "warn", due: 2, overdue: 2 })

    await setSwitchForAll("NOTIFICATIONS_ENABLED", true)
    await advanceClock("PT10M")
    expect(await mailbox()).toHaveLength(2)
    expect((await get("/api/scheduler/reminders")).body).toMatchObject({
      due: 0,
      overdue: 0,
      lastOutcome: "dispatched",
    })
  })

  test("of the next nudge: when it is due", async () => {
    await failPayment(fresh("cus"), fresh("in"))
    await waitUntilProcessed()
    await advanceClock("PT10M")
    const { body } = await get("/api/scheduler/reminders")
    const inDays = (Date.parse(String(body.nextDueAt)) - (await worldNow()).getTime()) / 86_400_000
    expect(inDays).toBeGreaterThan(1.9)
    expect(inDays).toBeLessThan(2)
  })

  test("of webhooks: events held while processing is off are counted, and are not a failure", async () => {
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
    await expireCache()
    await failPayment(fresh("cus"), fresh("in"))
    await settle()
    await expireCache()
    expect(await get("/api/health/webhooks")).toMatchObject({
      status: 200,
      body: { status: "pass", pending: 0, held: 1 },
    })
  })
})
