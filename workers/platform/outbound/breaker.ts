/**
 * A circuit breaker: stops calls to a failing service for a while, so that requests do not wait in vain and the service
 * can recover. Pure: state in, state out; time and random numbers are parameters. Each isolate has its own.
 */

/** Closed: calls pass. Counts start again after each window. */
interface Closed {
  readonly kind: "closed"
  /** Since when calls pass. */
  readonly sinceMs: number
  /** The start of the window of the counts. */
  readonly windowMs: number
  readonly calls: number
  readonly failures: number
  /** Failures since the last success. */
  readonly consecutiveFailures: number
}

interface Broken {
  readonly sinceMs: number
  /** How often it opened since the last successful call. */
  readonly openings: number
  readonly failures: number
  /** Our code for the last failure. */
  readonly reason: string
}

/** Open: nothing passes until the cool-down is over. */
interface Open extends Broken {
  readonly kind: "open"
  readonly untilMs: number
}

/** Half open: one call, the probe, passes and decides. */
interface HalfOpen extends Broken {
  readonly kind: "half_open"
  /** When the probe began; null when none is in progress. */
  readonly probeMs: number | null
}

export type BreakerState = Closed | Open | HalfOpen

/** A breaker opens after this many consecutive failures. */
export const CONSECUTIVE_FAILURES_MAX = 5
/** Or when half of this many calls fail: an overloaded service fails some and answers others. */
export const RATIO_CALLS_MIN = 20
export const RATIO_MAX = 0.5
/** Older results say little about the present. */
export const WINDOW_MS = 60_000

/** The first cool-down; it doubles each time the probe fails, plus random jitter of up to half of it. */
export const COOL_DOWN_MS = 10_000
export const COOL_DOWN_MAX_MS = 2 * 60_000
/** The longest wait that a service may request: its mistake must not disable a channel for a day. */
export const COOL_DOWN_REQUESTED_MAX_MS = 5 * 60_000
/** Longer than any call may take: a probe that has not ended by then was lost with its request. */
export const PROBE_TIMEOUT_MS = 30_000
/** When a call that was refused during a probe may be tried again. */
const PROBE_WAIT_MS = 1_000

/** A breaker without calls. */
export const newBreaker = (nowMs: number): BreakerState => ({
  kind: "closed",
  sinceMs: nowMs,
  windowMs: nowMs,
  calls: 0,
  failures: 0,
  consecutiveFailures: 0,
})

/** Whether a call may be made now. Store the state if the call is made; record a probe as one. */
export type Admission =
  | { readonly isAdmitted: true; readonly isProbe: boolean; readonly state: BreakerState }
  | { readonly isAdmitted: false; readonly retryAfterMs: number }

/** Requests one call. A state from the future (the clock went back) is ignored. */
export function admit(before: BreakerState, nowMs: number): Admission {
  const state = nowMs < before.sinceMs ? newBreaker(nowMs) : before
  switch (state.kind) {
    case "closed":
      return { isAdmitted: true, isProbe: false, state }
    case "open":
      if (nowMs < state.untilMs) return { isAdmitted: false, retryAfterMs: state.untilMs - nowMs }
      return { isAdmitted: true, isProbe: true, state: probing(state, nowMs) }
    case "half_open":
      if (state.probeMs !== null && nowMs - state.probeMs < PROBE_TIMEOUT_MS) {
        return { isAdmitted: false, retryAfterMs: PROBE_WAIT_MS }
      }
      return { isAdmitted: true, isProbe: true, state: probing(state, nowMs) }
  }
}

const probing = (broken: Broken, nowMs: number): HalfOpen => ({
  kind: "half_open",
  sinceMs: nowMs,
  openings: broken.openings,
  failures: broken.failures,
  reason: broken.reason,
  probeMs: nowMs,
})

/**
 * The result of an admitted call. `failure` is null for a success; `isAborted`: the caller aborted before the result.
 */
export interface CallResult {
  readonly isProbe: boolean
  readonly failure: string | null
  readonly isAborted: boolean
  /** The wait that the service requested; null when it did not. */
  readonly requestedWaitMs: number | null
}

/** The state after a call has ended. `random` is in [0, 1). */
export function record(state: BreakerState, ended: CallResult, nowMs: number, random: number): BreakerState {
  if (nowMs < state.sinceMs) return newBreaker(nowMs)
  if (state.kind === "closed") return recordClosed(state, ended, nowMs, random)
  // Calls that began before it opened add nothing new.
  if (state.kind === "open" || !ended.isProbe) return state
  if (ended.isAborted) return { ...state, probeMs: null }
  return ended.failure === null ? newBreaker(nowMs) : opened(state, ended, nowMs, random)
}

function recordClosed(before: Closed, ended: CallResult, nowMs: number, random: number): BreakerState {
  if (ended.isAborted) return before
  const isOver = nowMs - before.windowMs >= WINDOW_MS || nowMs < before.windowMs
  const state = isOver ? { ...before, windowMs: nowMs, calls: 0, failures: 0, consecutiveFailures: 0 } : before
  const calls = state.calls + 1
  if (ended.failure === null) return { ...state, calls, consecutiveFailures: 0 }
  const failures = state.failures + 1
  const consecutiveFailures = state.consecutiveFailures + 1
  const isTooOften = calls >= RATIO_CALLS_MIN && failures >= calls * RATIO_MAX
  if (consecutiveFailures < CONSECUTIVE_FAILURES_MAX && !isTooOften)
    return { ...state, calls, failures, consecutiveFailures }
  return opened({ sinceMs: nowMs, openings: 0, failures: failures - 1, reason: ended.failure }, ended, nowMs, random)
}

function opened(broken: Broken, ended: CallResult, nowMs: number, random: number): Open {
  const openings = broken.openings + 1
  const base = Math.min(COOL_DOWN_MAX_MS, COOL_DOWN_MS * 2 ** (openings - 1))
  const coolDownMs = Math.max(base * (1 + random / 2), Math.min(ended.requestedWaitMs ?? 0, COOL_DOWN_REQUESTED_MAX_MS))
  return {
    kind: "open",
    sinceMs: nowMs,
    untilMs: nowMs + coolDownMs,
    openings,
    failures: broken.failures + 1,
    reason: ended.failure ?? broken.reason,
  }
}
