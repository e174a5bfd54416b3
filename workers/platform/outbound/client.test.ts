/** Outgoing calls with a network, a clock and random numbers of the test. */
import { describe, expect, test } from "vitest"
import { NotSent } from "../../../shared/network/outbound-fetch.ts"
import { createLogger } from "../../../shared/observability/log.ts"
import { CONSECUTIVE_FAILURES_MAX, COOL_DOWN_MS } from "./breaker.ts"
import type { BreakerView } from "./breaker-view.ts"
import { createBudget } from "./budget.ts"
import { type Breakers, makeOutbound } from "./client.ts"

type Answer = (call: { readonly url: string; readonly init: RequestInit }) => Response | Promise<Response>

interface Given {
  readonly answers?: readonly Answer[]
  readonly max?: number
  readonly breakers?: Breakers
}

/** An invocation whose calls get the answers in order; the last answer repeats. */
function invocation({ answers = [], max = 50, breakers = new Map() }: Given) {
  const clock = { ms: 1_000_000 }
  const calls: { readonly url: string; readonly init: RequestInit }[] = []
  const published: { readonly target: string; readonly view: BreakerView }[] = []
  const waits: number[] = []
  const afterwards: Promise<unknown>[] = []
  const budget = createBudget(max)
  const outbound = makeOutbound({
    breakers,
    budget,
    log: createLogger({ now: () => new Date(clock.ms), write: () => undefined }),
    now: () => new Date(clock.ms),
    random: () => 0.5,
    pause: async (ms) => {
      waits.push(ms)
      clock.ms += ms
    },
    waitUntil: (work) => void afterwards.push(work),
    publish: async (target, view) => {
      budget.spend()
      published.push({ target, view })
    },
    send: async (input, init = {}) => {
      const call = { url: String(input), init }
      calls.push(call)
      const answer = answers[Math.min(calls.length, answers.length) - 1]
      if (answer === undefined) throw new Error("the test has no answer for this call")
      return answer(call)
    },
  })
  return { outbound, budget, calls, published, waits, clock, afterwards }
}

const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response(code === 204 ? null : "body", { status: code, headers })
const hangUp: Answer = () => Promise.reject(new TypeError("Network connection lost."))
const KEYED = { method: "POST", body: "{}", headers: { "idempotency-key": "k" } }
const URL_OF = "https://api.example.com/x"

const caught = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error)

describe("one call", () => {
  test("is sent unchanged, with a time-out, and follows no redirect", async () => {
    const { outbound, calls, budget } = invocation({
      answers: [status(302, { location: "https://elsewhere.example" })],
    })
    expect((await outbound.fetchFor("email")(URL_OF, KEYED)).status).toBe(302)
    expect(calls).toMatchObject([{ url: URL_OF, init: { ...KEYED, redirect: "manual" } }])
    expect(calls[0]?.init.signal).toBeInstanceOf(AbortSignal)
    expect(budget.spent()).toBe(1)
  })

  test("is retried once after a lost connection, with jitter, and returns the second answer", async () => {
    const { outbound, calls, waits } = invocation({ answers: [hangUp, status(200)] })
    expect((await outbound.fetchFor("stripe-api")(URL_OF, KEYED)).status).toBe(200)
    expect([calls.length, waits]).toEqual([2, [250]])
  })

  test("cancels the body of an earlier answer", async () => {
    let isCancelled = false
    const endless = new ReadableStream({
      cancel: () => {
        isCancelled = true
      },
    })
    const { outbound } = invocation({ answers: [() => new Response(endless, { status: 503 }), status(200)] })
    expect((await outbound.fetchFor("whop-api")(URL_OF)).status).toBe(200)
    expect(isCancelled).toBe(true)
  })

  test("that fails in all attempts throws the last failure", async () => {
    const lost = invocation({ answers: [hangUp] })
    expect(await caught(lost.outbound.fetchFor("stripe-api")(URL_OF))).toBeInstanceOf(TypeError)
    const refused = invocation({ answers: [status(503)] })
    const response = await refused.outbound.fetchFor("stripe-api")(URL_OF)
    expect([response.status, await response.text()]).toEqual([503, "body"])
  })

  test("ends when its caller aborts, and is not retried", async () => {
    const { outbound, calls } = invocation({
      answers: [
        ({ init }) =>
          new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason))),
      ],
    })
    const error = await caught(outbound.fetchFor("qstash")(URL_OF, { ...KEYED, signal: AbortSignal.timeout(20) }))
    expect(error).toMatchObject({ name: "TimeoutError" })
    expect(calls).toHaveLength(1)
  })

  test("goes on after the answer, so that the breaker records its result", async () => {
    const { outbound, afterwards } = invocation({ answers: [hangUp] })
    await caught(outbound.fetchFor("email")(URL_OF, KEYED))
    expect(afterwards).toHaveLength(1)
    await expect(afterwards[0]).resolves.toBeUndefined()
  })
})

describe("the budget", () => {
  test("refuses a call before it is made", async () => {
    const { outbound, calls } = invocation({ answers: [status(200)], max: 1 })
    await outbound.fetchFor("email")(URL_OF, KEYED)
    expect(await caught(outbound.fetchFor("email")(URL_OF, KEYED))).toMatchObject({ reason: "budget_spent" })
    expect(calls).toHaveLength(1)
  })

  test("counts retries, and skips them without room in the budget; the error is that of the attempt, not NotSent", async () => {
    const { outbound, calls, budget } = invocation({ answers: [hangUp, status(200)], max: 3 })
    budget.reserve(2)
    const error = await caught(outbound.fetchFor("stripe-api")(URL_OF))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).not.toBeInstanceOf(NotSent)
    expect(calls).toHaveLength(1)
  })

  test("that is spent leaves no unsent probe behind", async () => {
    const breakers: Breakers = new Map()
    const first = invocation({ answers: [status(500)], breakers })
    for (let call = 0; call < CONSECUTIVE_FAILURES_MAX; call++) await first.outbound.fetchFor("email")(URL_OF, KEYED)
    const spent = invocation({ answers: [status(200)], max: 0, breakers })
    spent.clock.ms += 2 * COOL_DOWN_MS
    expect(await caught(spent.outbound.fetchFor("email")(URL_OF, KEYED))).toMatchObject({ reason: "budget_spent" })
    const next = invocation({ answers: [status(200)], breakers })
    next.clock.ms += 2 * COOL_DOWN_MS
    expect((await next.outbound.fetchFor("email")(URL_OF, KEYED)).status).toBe(200)
  })
})

describe("the breaker", () => {
  const broken = async () => {
    const breakers: Breakers = new Map()
    const first = invocation({ answers: [status(503, { "retry-after": "30" })], breakers })
    for (let call = 0; call < CONSECUTIVE_FAILURES_MAX; call++) await first.outbound.fetchFor("email")(URL_OF, KEYED)
    return { breakers, first }
  }

  test("fails fast, in every invocation of the isolate, without a call", async () => {
    const { breakers } = await broken()
    const { outbound, calls, budget } = invocation({ answers: [status(200)], breakers })
    const error = await caught(outbound.fetchFor("email")(URL_OF, KEYED))
    expect(error).toMatchObject({ name: "NotSent", reason: "circuit_open", retryAfterMs: 30_000 })
    expect([calls.length, budget.spent()]).toEqual([0, 0])
  })

  test("is of one target only", async () => {
    const { breakers } = await broken()
    const { outbound } = invocation({ answers: [status(200)], breakers })
    expect((await outbound.fetchFor("sms")(URL_OF, KEYED)).status).toBe(200)
    expect(outbound.viewOf("sms").state).toBe("closed")
  })

  test("of a company's own credentials stops that company's calls only, and is not published", async () => {
    const breakers: Breakers = new Map()
    const own = { companyId: "acme" }
    const failing = invocation({ answers: [hangUp], breakers })
    for (let times = 0; times < 5; times++) await caught(failing.outbound.fetchFor("email", own)(URL_OF, KEYED))
    expect(failing.published).toEqual([])
    const { outbound } = invocation({ answers: [status(200)], breakers })
    expect(await caught(outbound.fetchFor("email", own)(URL_OF, KEYED))).toMatchObject({ reason: "circuit_open" })
    for (const options of [{}, { companyId: null }, { companyId: "other" }]) {
      expect((await outbound.fetchFor("email", options)(URL_OF, KEYED)).status).toBe(200)
    }
    expect(outbound.viewOf("email").state).toBe("closed")
  })

  test("is published once when it opens and once when it closes", async () => {
    const { breakers, first } = await broken()
    expect(first.published).toMatchObject([
      { target: "email", view: { state: "open", failures: CONSECUTIVE_FAILURES_MAX, reason: "http_503" } },
    ])
    const healed = invocation({ answers: [status(202)], breakers })
    healed.clock.ms += 31_000
    expect(healed.outbound.viewOf("email").state).toBe("half_open")
    for (let call = 0; call < 3; call++) await healed.outbound.fetchFor("email")(URL_OF, KEYED)
    expect(healed.published).toMatchObject([{ target: "email", view: { state: "closed" } }])
  })

  test("is not published without room in the budget", async () => {
    const { outbound, published, budget } = invocation({ answers: [status(503)], max: CONSECUTIVE_FAILURES_MAX })
    for (let call = 0; call < CONSECUTIVE_FAILURES_MAX; call++) await outbound.fetchFor("email")(URL_OF, KEYED)
    expect(outbound.viewOf("email").state).toBe("open")
    expect([published.length, budget.spent()]).toEqual([0, CONSECUTIVE_FAILURES_MAX])
  })

  test("lets one of many calls decide", async () => {
    const { breakers } = await broken()
    let answer: (response: Response) => void = () => undefined
    const slow: Answer = () => new Promise((resolve) => (answer = resolve))
    const { outbound, calls, clock } = invocation({ answers: [slow, status(202)], breakers })
    clock.ms += 31_000
    const send = outbound.fetchFor("email")
    const together = Array.from({ length: 10 }, () => caught(send(URL_OF, KEYED)))
    const refused = await Promise.all(together.slice(1))
    expect(refused.every((error) => error instanceof NotSent)).toBe(true)
    expect(calls).toHaveLength(1)
    answer(new Response(null, { status: 202 }))
    await together[0]
    expect((await send(URL_OF, KEYED)).status).toBe(202)
  })

  test("ignores calls that their callers aborted", async () => {
    const { outbound } = invocation({
      answers: [
        ({ init }) =>
          new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(init.signal?.reason))),
      ],
    })
    for (let call = 0; call < 2 * CONSECUTIVE_FAILURES_MAX; call++) {
      const caller = new AbortController()
      const answer = caught(outbound.fetchFor("whop-api")(URL_OF, { signal: caller.signal }))
      caller.abort()
      await answer
    }
    expect(outbound.viewOf("whop-api").state).toBe("closed")
  })

  test("is not used by calls past the breaker", async () => {
    const { breakers } = await broken()
    const { outbound, calls } = invocation({ answers: [status(200), status(500)], breakers })
    const past = outbound.fetchFor("email", { isPastBreaker: true })
    expect((await past(URL_OF, KEYED)).status).toBe(200)
    expect(outbound.viewOf("email").state).toBe("open")
    for (let call = 0; call < 2 * CONSECUTIVE_FAILURES_MAX; call++) await past(URL_OF, KEYED)
    expect(calls).toHaveLength(1 + 2 * CONSECUTIVE_FAILURES_MAX)
  })
})
