import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  admit,
  type BreakerState,
  type CallResult,
  CONSECUTIVE_FAILURES_MAX,
  COOL_DOWN_MAX_MS,
  COOL_DOWN_MS,
  COOL_DOWN_REQUESTED_MAX_MS,
  newBreaker,
  PROBE_TIMEOUT_MS,
  RATIO_CALLS_MIN,
  record,
  WINDOW_MS,
} from "./breaker.ts"

const T = 1_000_000
const ended = (change: Partial<CallResult> = {}): CallResult => ({
  isProbe: false,
  failure: null,
  isAborted: false,
  requestedWaitMs: null,
  ...change,
})
const FAILED = ended({ failure: "http_500" })
const WELL = ended()

const whenEnded = (state: BreakerState, calls: readonly CallResult[], atMs = T, random = 0): BreakerState =>
  calls.reduce((now, call) => record(now, call, atMs, random), state)
const times = (count: number, call: CallResult) => Array.from({ length: count }, () => call)
const broken = (more: Partial<CallResult> = {}, random = 0) =>
  whenEnded(newBreaker(T), times(CONSECUTIVE_FAILURES_MAX, { ...FAILED, ...more }), T, random)

function probeAt(state: BreakerState, nowMs: number): BreakerState {
  const admission = admit(state, nowMs)
  if (!admission.isAdmitted || !admission.isProbe) throw new Error("no probe was let through")
  return admission.state
}

describe("closed", () => {
  test("opens after the limit of consecutive failures, and not before", () => {
    expect(whenEnded(newBreaker(T), times(CONSECUTIVE_FAILURES_MAX - 1, FAILED)).kind).toBe("closed")
    expect(broken()).toMatchObject({
      kind: "open",
      openings: 1,
      failures: CONSECUTIVE_FAILURES_MAX,
      reason: "http_500",
    })
  })

  test("starts counting again after a success", () => {
    const state = whenEnded(newBreaker(T), [
      ...times(CONSECUTIVE_FAILURES_MAX - 1, FAILED),
      WELL,
      ...times(CONSECUTIVE_FAILURES_MAX - 1, FAILED),
    ])
    expect(state.kind).toBe("closed")
  })

  test("opens when half of many calls fail", () => {
    const pairs = Array.from({ length: RATIO_CALLS_MIN / 2 }, () => [WELL, FAILED]).flat()
    expect(whenEnded(newBreaker(T), pairs.slice(0, -1)).kind).toBe("closed")
    expect(whenEnded(newBreaker(T), pairs).kind).toBe("open")
  })

  test("forgets results older than a window", () => {
    const before = whenEnded(newBreaker(T), times(CONSECUTIVE_FAILURES_MAX - 1, FAILED))
    expect(whenEnded(before, [FAILED], T + WINDOW_MS).kind).toBe("closed")
    expect(whenEnded(before, [FAILED], T + WINDOW_MS - 1).kind).toBe("open")
  })

  test("ignores a call whose caller aborted", () => {
    const left = ended({ isAborted: true })
    expect(whenEnded(newBreaker(T), times(100, left))).toEqual(newBreaker(T))
  })
})

describe("open", () => {
  test("refuses calls until the cool-down is over, and returns its length", () => {
    const state = broken()
    expect(admit(state, T)).toEqual({ isAdmitted: false, retryAfterMs: COOL_DOWN_MS })
    expect(admit(state, T + COOL_DOWN_MS - 1)).toEqual({ isAdmitted: false, retryAfterMs: 1 })
    expect(admit(state, T + COOL_DOWN_MS)).toMatchObject({ isAdmitted: true, isProbe: true })
  })

  test("waits as long as the service requests, up to a bound", () => {
    const until = (requestedWaitMs: number) => {
      const state = broken({ requestedWaitMs })
      return state.kind === "open" ? state.untilMs - T : null
    }
    expect([1_000, 60_000, 86_400_000].map(until)).toEqual([COOL_DOWN_MS, 60_000, COOL_DOWN_REQUESTED_MAX_MS])
  })

  test("ignores calls that began before it opened", () => {
    const state = broken()
    expect(whenEnded(state, [WELL, FAILED, WELL], T + 5)).toBe(state)
  })

  test("is ignored when the clock has gone back", () => {
    expect(admit(broken(), T - 1)).toMatchObject({ isAdmitted: true, isProbe: false, state: { kind: "closed" } })
  })
})

describe("half open", () => {
  const half = () => probeAt(broken(), T + COOL_DOWN_MS)
  const later = T + COOL_DOWN_MS + 100

  test("lets one call through and no other until it has ended", () => {
    expect(admit(half(), later).isAdmitted).toBe(false)
    expect(whenEnded(half(), [ended({ isProbe: true })], later).kind).toBe("closed")
  })

  test("opens again, for longer each time up to a bound", () => {
    let state: BreakerState = broken()
    let nowMs = T
    const waits: number[] = []
    for (let opening = 0; opening < 10; opening++) {
      if (state.kind !== "open") throw new Error("it should be open")
      waits.push(state.untilMs - nowMs)
      nowMs = state.untilMs
      state = record(probeAt(state, nowMs), { ...FAILED, isProbe: true }, nowMs, 0)
    }
    expect(waits.slice(0, 4)).toEqual([10_000, 20_000, 40_000, 80_000])
    expect(Math.max(...waits)).toBe(COOL_DOWN_MAX_MS)
  })

  test("lets another call through when the first was aborted or lost", () => {
    const aborted = whenEnded(half(), [ended({ isProbe: true, isAborted: true })], later)
    expect(admit(aborted, later)).toMatchObject({ isAdmitted: true, isProbe: true })
    expect(admit(half(), T + COOL_DOWN_MS + PROBE_TIMEOUT_MS - 1).isAdmitted).toBe(false)
    expect(admit(half(), T + COOL_DOWN_MS + PROBE_TIMEOUT_MS)).toMatchObject({ isAdmitted: true, isProbe: true })
  })

  test("is decided by its probe alone", () => {
    const state = half()
    expect(whenEnded(state, [WELL, FAILED], later)).toBe(state)
  })
})

test("cool-downs have random jitter of up to half", () => {
  const coolDown = (random: number) => {
    const state = broken({}, random)
    return state.kind === "open" ? state.untilMs - T : 0
  }
  const drawn = Array.from({ length: 100 }, (_, draw) => coolDown(draw / 100))
  expect(new Set(drawn).size).toBe(100)
  expect(Math.min(...drawn)).toBe(COOL_DOWN_MS)
  expect(Math.max(...drawn)).toBeLessThan(COOL_DOWN_MS * 1.5)
})

test("for any order of calls: never two probes, no call while open, and never stuck", () => {
  const step = fc.record({
    act: fc.constantFrom("begin" as const, "end" as const, "lose" as const),
    waitMs: fc.oneof(fc.nat(50), fc.nat(20_000)),
    which: fc.nat(10),
    isWell: fc.boolean(),
    requestedWaitMs: fc.option(fc.nat(10_000_000), { nil: null }),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      let state = newBreaker(T)
      let nowMs = T
      const underWay: { readonly isProbe: boolean; readonly atMs: number }[] = []
      for (const { act, waitMs, which, isWell, requestedWaitMs, random } of steps) {
        nowMs += waitMs
        if (act === "begin") {
          const wasClosed = state.kind === "closed"
          const admission = admit(state, nowMs)
          if (!admission.isAdmitted) {
            expect(admission.retryAfterMs).toBeGreaterThan(0)
            expect(admission.retryAfterMs).toBeLessThanOrEqual(COOL_DOWN_REQUESTED_MAX_MS)
            continue
          }
          expect(admission.isProbe).toBe(!wasClosed)
          state = admission.state
          underWay.push({ isProbe: admission.isProbe, atMs: nowMs })
          const probes = underWay.filter((call) => call.isProbe && nowMs - call.atMs < PROBE_TIMEOUT_MS)
          if (admission.isProbe) expect(probes).toHaveLength(1)
        } else {
          const [call] = underWay.splice(which % Math.max(1, underWay.length), 1)
          // A call ends by its time-out, long before it counts as lost.
          if (call === undefined || act === "lose" || nowMs - call.atMs >= PROBE_TIMEOUT_MS) continue
          const failure = isWell ? null : "http_503"
          state = record(state, { isProbe: call.isProbe, failure, isAborted: false, requestedWaitMs }, nowMs, random)
        }
      }
      // After the longest cool-down a call is admitted in any state, and a success closes it.
      const later = nowMs + COOL_DOWN_REQUESTED_MAX_MS + PROBE_TIMEOUT_MS
      const admission = admit(state, later)
      if (!admission.isAdmitted) throw new Error("it is stuck")
      expect(record(admission.state, ended({ isProbe: admission.isProbe }), later, 0).kind).toBe("closed")
    }),
    { numRuns: 500 },
  )
})
