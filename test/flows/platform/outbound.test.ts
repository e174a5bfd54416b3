/** Services that fail repeatedly are not called for a while; work waits, and is done once when they are back. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { CONSECUTIVE_FAILURES_MAX } from "../../../workers/platform/outbound/breaker.ts"
import { failPayment, linksIn, messages, visit } from "../../support/actions/members.ts"
import { fresh, invoiceEvent, stripeSignature } from "../../support/events/providers.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import {
  advanceClock,
  api,
  control,
  mailbox,
  reset,
  setFault,
  settle,
  sql,
  stats,
  waitFor,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["email", "stripe-api", "qstash", "postgres", "redis"]) await setFault(target, "off")
})

interface Entry {
  readonly status: string
  readonly observedValue: string
  readonly since: string | null
  readonly until: string | null
  readonly failures: number
  readonly reason: string | null
}

/** The health of one service, after caches have expired. */
async function integration(target: string) {
  const { status, body } = await api<{ status: string; checks: Record<string, readonly Entry[]> }>(
    "/api/health/integrations",
  )
  expect(status).toBe(200)
  return { all: body.status, ...body.checks[`${target}:breaker`]?.[0] }
}

/** How many calls of a service failed. */
const failedCalls = async (target: string): Promise<number> => (await stats())[`${target}-turned-away`] ?? 0

/** Caches have expired after this time, also those of earlier tests. */
const CACHES_EXPIRED = "PT2M"

test("errors of the e-mail API open its breaker, health shows it, and every nudge is sent once when it is back", async () => {
  const MEMBERS = 48
  expect(await integration("email")).toMatchObject({ all: "pass", status: "pass", observedValue: "closed" })
  await setFault("email", "error")
  await control("DELETE", "/stats")
  await Promise.all(Array.from({ length: MEMBERS }, () => failPayment(fresh("cus"), fresh("in"))))
  await waitUntilProcessed()
  await advanceClock("PT8S")
  await waitFor(async () => {
    const [row] = await sql<{ tried: string }>(
      "select count(*) as tried from nudges where step = 0 and attempts = 1 and status = 'planned'",
    )
    return row?.tried === String(MEMBERS)
  })
  // Four chunks of one company are sent at a time, five nudges of each, and these calls may be pending at the fifth failure.
  const asked = await failedCalls("email")
  expect(asked).toBeGreaterThanOrEqual(CONSECUTIVE_FAILURES_MAX)
  expect(asked).toBeLessThan(CONSECUTIVE_FAILURES_MAX + 4 * 5)
  expect(await sql("select reason, count(*)::int as nudges from nudges where step = 0 group by 1 order by 1")).toEqual([
    { reason: "circuit_open", nudges: MEMBERS - asked },
    { reason: "http_500", nudges: asked },
  ])

  const health = await integration("email")
  expect(health).toMatchObject({ all: "warn", status: "warn", observedValue: "open", reason: "http_500" })
  expect(health.failures).toBeGreaterThanOrEqual(CONSECUTIVE_FAILURES_MAX)
  expect(Date.parse(health.until ?? "")).toBeGreaterThan((await worldNow()).getTime())
  expect(await api("/api/health")).toMatchObject({ status: 200, body: { status: "warn" } })

  // It is still broken: one call at a time decides, with growing pauses.
  await control("DELETE", "/stats")
  await advanceClock("PT6M")
  expect(await failedCalls("email")).toBeGreaterThanOrEqual(1)
  expect(await failedCalls("email")).toBeLessThan(MEMBERS / 2)
  expect(await mailbox()).toEqual([])

  await setFault("email", "off")
  await advanceClock("PT5H")
  const sent = await mailbox()
  expect(sent).toHaveLength(MEMBERS)
  expect(new Set(sent.map(({ to }) => to)).size).toBe(MEMBERS)
  expect(await integration("email")).toMatchObject({ status: "pass", observedValue: "closed" })
})

test("a service that is not configured is no failure, and is not called", async () => {
  await advanceClock(CACHES_EXPIRED)
  await settle()
  await control("DELETE", "/stats")
  const { body } = await api<{ checks: Record<string, readonly Entry[]> }>("/api/health/integrations")
  expect(Object.keys(body.checks)).toEqual(
    ["stripe-api", "whop-api", "email", "sms", "push", "dm", "slack", "qstash", "access", "openrouter"].map(
      (target) => `${target}:breaker`,
    ),
  )
  const { postgres, redis, "redis-commands": _, qstash, ...others } = await stats()
  expect([postgres, redis, qstash, others]).toEqual([0, 1, 0, {}])
})

test("Stripe's API hangs: a member is redirected within the time-out, and soon at once", async () => {
  const customer = fresh("cus")
  await failPayment(customer, fresh("in"))
  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  const { link } = linksIn(message)
  const follow = async () => {
    const startedAt = performance.now()
    const response = await visit(link)
    return { status: response.status, target: response.headers.get("location"), ms: performance.now() - startedAt }
  }
  await setFault("stripe-api", "hang")
  const waited = await Promise.all(Array.from({ length: CONSECUTIVE_FAILURES_MAX }, follow))
  for (const { status, target, ms } of waited) {
    expect([status, target]).toEqual([302, "https://invoice.stripe.com/i/acct_1/test"])
    expect(ms).toBeLessThan(4_500)
  }
  // The abandoned calls end by themselves.
  await waitFor(async () => (await integration("stripe-api")).observedValue === "open", 30)
  const after = await follow()
  expect(after.target).toBe("https://invoice.stripe.com/i/acct_1/test")
  expect(after.ms).toBeLessThan(1_000)
  console.info(
    `a click took ${Math.round(Math.max(...waited.map(({ ms }) => ms)))} ms, then ${Math.round(after.ms)} ms`,
  )
})

describe("QStash hangs", () => {
  /** One failed payment in a separate process, including the work after the answer. */
  async function webhook() {
    const event = invoiceEvent({
      type: "invoice.payment_failed",
      at: await worldNow(),
      customer: fresh("cus"),
      invoice: fresh("in"),
    })
    const body = JSON.stringify(event)
    const headers = { "stripe-signature": await stripeSignature(body, Math.floor((await worldNow()).getTime() / 1000)) }
    const request = new Request(`${world().vars.APP_URL}/api/webhooks/stripe`, { method: "POST", body, headers })
    const startedAt = performance.now()
    const { status, callsTo } = await runInProcess(request, null)
    return { status, ms: performance.now() - startedAt, toQstash: callsTo(world().vars.QSTASH_URL ?? "") }
  }

  test("work after a webhook stops waiting for it; a fallback delivery goes to Redis at once, and to QStash when Redis is down too", async () => {
    expect((await webhook()).status).toBe(200)
    await setFault("qstash", "hang")
    const before: number[] = []
    for (let delivery = 0; delivery < CONSECUTIVE_FAILURES_MAX; delivery++) {
      const { ms, toQstash } = await webhook()
      expect(toQstash).toBe(1)
      before.push(ms)
    }
    expect(Math.min(...before)).toBeGreaterThan(1_900)
    const then: number[] = []
    for (let delivery = 0; delivery < CONSECUTIVE_FAILURES_MAX; delivery++) {
      const { ms, toQstash } = await webhook()
      expect(toQstash).toBe(0)
      then.push(ms)
    }
    expect(Math.max(...then)).toBeLessThan(1_500)
    console.info(
      `a webhook with what follows: ${Math.round(Math.max(...before))} ms, then ${Math.round(Math.max(...then))} ms`,
    )

    await setFault("postgres", "down")
    const parked = await webhook()
    expect(parked).toMatchObject({ status: 200, toQstash: 0 })
    expect(parked.ms).toBeLessThan(1_500)

    await setFault("redis", "down")
    await setFault("qstash", "off")
    expect(await webhook()).toMatchObject({ status: 200, toQstash: 1 })
    for (const target of ["postgres", "redis"]) await setFault(target, "off")
    await advanceClock("PT5M")
    const [row] = await sql<{ cases: number }>(
      "select count(*)::int as cases from recovery_cases where status = 'open'",
    )
    expect(row?.cases).toBe(1 + 2 * CONSECUTIVE_FAILURES_MAX + 2)
  })
})
