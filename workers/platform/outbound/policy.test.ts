import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  backoffMs,
  failureOf,
  type Outcome,
  POLICIES,
  type Policy,
  RETRY_AFTER_MAX_MS,
  requestedRetryAfterMs,
  requestShapeOf,
  TARGETS,
  waitBeforeRetryMs,
} from "./policy.ts"

const answered = (status: number, headers: Record<string, string> = {}): Outcome => ({
  kind: "answered",
  status,
  headers: new Headers(headers),
})
const GET = { method: "GET", isKeyed: false }
const POST = { method: "POST", isKeyed: false }
const KEYED = { method: "POST", isKeyed: true }
const FIRST = { tries: 1, elapsedMs: 0, random: 0.5 }

const MESSAGES = ["email", "sms", "push", "dm", "slack"] as const

describe("a retry", () => {
  test.each(MESSAGES)("is never made of a message by %s, for any outcome", (target) => {
    for (const outcome of [
      answered(500),
      answered(429, { "retry-after": "1" }),
      { kind: "no_response", reason: "timeout" },
    ])
      for (const request of [GET, POST, KEYED])
        expect(waitBeforeRetryMs(POLICIES[target], request, outcome as Outcome, FIRST)).toBeNull()
  })

  test("is made of a write only with a key, and not at Whop, whose key is not documented", () => {
    const again = (target: (typeof TARGETS)[number]) =>
      [GET, POST, KEYED].map((request) => waitBeforeRetryMs(POLICIES[target], request, answered(503), FIRST) !== null)
    expect(again("stripe-api")).toEqual([true, false, true])
    expect(again("whop-api")).toEqual([true, false, false])
    expect(again("qstash")).toEqual([true, false, true])
  })

  test("follows failures and locks, but no refusal", () => {
    const isRetried = (outcome: Outcome) => waitBeforeRetryMs(POLICIES["stripe-api"], GET, outcome, FIRST) !== null
    for (const status of [408, 409, 429, 500, 502, 503, 504, 521])
      expect([status, isRetried(answered(status))]).toEqual([status, true])
    for (const status of [200, 301, 400, 401, 402, 403, 404, 422])
      expect([status, isRetried(answered(status))]).toEqual([status, false])
    expect(isRetried({ kind: "no_response", reason: "no_answer" })).toBe(true)
    expect(isRetried({ kind: "aborted" })).toBe(false)
  })

  test("follows Stripe-Should-Retry", () => {
    const isRetried = (status: number, word: string) =>
      waitBeforeRetryMs(POLICIES["stripe-api"], GET, answered(status, { "stripe-should-retry": word }), FIRST) !== null
    expect([isRetried(500, "false"), isRetried(402, "true"), isRetried(500, "perhaps")]).toEqual([false, true, true])
  })

  test("is made once, and not when it could not end within the deadline", () => {
    const policy = POLICIES.qstash
    expect(waitBeforeRetryMs(policy, KEYED, answered(500), { ...FIRST, tries: 2 })).toBeNull()
    expect(waitBeforeRetryMs(policy, KEYED, answered(500), { ...FIRST, elapsedMs: 1_999 })).toBeNull()
    expect(waitBeforeRetryMs(policy, KEYED, answered(429, { "retry-after": "1" }), FIRST)).toBe(1_000)
    expect(waitBeforeRetryMs(policy, KEYED, answered(429, { "retry-after": "2" }), FIRST)).toBeNull()
  })
})

test("for any failures, attempts and waits stay within the deadline", () => {
  const outcome = fc.oneof(
    fc.constantFrom<Outcome>({ kind: "no_response", reason: "timeout" }, { kind: "no_response", reason: "no_answer" }),
    fc
      .record({ status: fc.integer({ min: 100, max: 599 }), after: fc.nat(400) })
      .map(({ status, after }) => answered(status, { "retry-after": String(after) })),
  )
  const attempt = fc.record({ outcome, tookMs: fc.nat(20_000), random: fc.double({ min: 0, max: 0.999, noNaN: true }) })
  fc.assert(
    fc.property(
      fc.constantFrom(...TARGETS),
      fc.constantFrom(GET, POST, KEYED),
      fc.array(attempt, { minLength: 5, maxLength: 5 }),
      (target, request, attempts) => {
        const policy: Policy = POLICIES[target]
        let elapsedMs = 0
        let tries = 0
        for (const { outcome, tookMs, random } of attempts) {
          tries += 1
          elapsedMs += Math.min(tookMs, policy.timeoutMs, policy.deadlineMs - elapsedMs)
          const waitMs = waitBeforeRetryMs(policy, request, outcome, { tries, elapsedMs, random })
          if (waitMs === null) break
          expect(waitMs).toBeGreaterThanOrEqual(0)
          elapsedMs += waitMs
        }
        expect(elapsedMs).toBeLessThanOrEqual(policy.deadlineMs)
        expect(tries).toBeLessThanOrEqual(2)
      },
    ),
  )
})

describe("full jitter", () => {
  const policy = { ...POLICIES["stripe-api"], delayMs: 1_000 }

  test("waits between zero and the whole delay, which doubles", () => {
    expect([0, 1, 2].map((repetition) => backoffMs(policy, repetition, 0.5))).toEqual([500, 1_000, 2_000])
    expect(backoffMs(policy, 0, 0)).toBe(0)
    expect(backoffMs(policy, 0, 0.999_999)).toBeLessThan(1_000)
  })

  test("spreads waits evenly", () => {
    const tenths = new Array<number>(10).fill(0)
    // Evenly spread numbers instead of random ones show a bias of the rule without random variation.
    for (let draw = 0; draw < 10_000; draw++) {
      const tenth = Math.floor(backoffMs(policy, 0, draw / 10_000) / 100)
      tenths[tenth] = (tenths[tenth] ?? 0) + 1
    }
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThanOrEqual(1)
  })
})

test("no answer, too many requests and server errors are failures; other refusals are not", () => {
  expect(failureOf({ kind: "no_response", reason: "timeout" })).toBe("timeout")
  expect(failureOf({ kind: "aborted" })).toBeNull()
  expect([408, 429, 500, 503, 530].map((status) => failureOf(answered(status)))).toEqual(
    [408, 429, 500, 503, 530].map((status) => `http_${status}`),
  )
  for (const status of [200, 302, 400, 401, 403, 404, 409]) expect(failureOf(answered(status))).toBeNull()
})

test("a requested wait is used up to a bound", () => {
  expect(requestedRetryAfterMs(answered(429, { "retry-after": "20" }))).toBe(20_000)
  expect(requestedRetryAfterMs(answered(503, { "retry-after": "86400" }))).toBe(RETRY_AFTER_MAX_MS)
  expect(requestedRetryAfterMs({ kind: "no_response", reason: "timeout" })).toBeNull()
})

test("an idempotency key and a deduplication id both count as keys", () => {
  expect(requestShapeOf("post", new Headers({ "Idempotency-Key": "k" }))).toEqual(KEYED)
  expect(requestShapeOf("POST", new Headers({ "Upstash-Deduplication-Id": "k" }))).toEqual(KEYED)
  expect(requestShapeOf("POST", new Headers())).toEqual(POST)
})
