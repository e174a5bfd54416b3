/**
 * A circuit breaker: a side that fails again and again is left alone for a while, so that nobody waits for it in vain and
 * it can recover. Pure: state in, state out; time and random numbers are given. Each isolate has its own.
 */

/** Closed: calls pass. Counts begin anew when a window is over. */
interface Closed {
  readonly kind: "closed"
  /** Since when calls pass; the beginning of the window of the counts. */
  readonly sinceMs: number
  readonly windowMs: number
  readonly calls: number
  readonly failures: number
  /** Failures since the last success. */
  readonly streak: number
}

interface Broken {
  readonly sinceMs: number
  /** How often it opened since a call last succeeded. */
  readonly openings: number
  readonly failures: number
  /** The last failure in a word. */
  readonly reason: string
}

/** Open: nothing passes until the cool-down is over. */
interface Open extends Broken {
  readonly kind: "open"
  readonly untilMs: number
}

/** Half open: one call is let through and decides. */
interface HalfOpen extends Broken {
  readonly kind: "half_open"
  /** When the call that decides began; null: none is under way. */
  readonly probeMs: number | null
}

export type BreakerState = Closed | Open | HalfOpen

/** So many failures in a row are no accident. */
export const CONSECUTIVE_FAILURES_MAX = 5
/** Or every second of this many calls: an overloaded side fails some and answers others. */
export const RATIO_CALLS_MIN = 20
export const RATIO_MAX = 0.5
/** What is older says nothing about now. */
export const WINDOW_MS = 60_000

/** The first cool-down; it doubles each time the deciding call fails, and up to half of it is added by chance. */
export const COOL_DOWN_MS = 10_000
export const COOL_DOWN_MAX_MS = 2 * 60_000
/** However long the other side asks for: a slip there must not switch a channel off for a day. */
export const COOL_DOWN_REQUESTED_MAX_MS = 5 * 60_000
/** Longer than any call may take: one that has not ended by then was lost with its request. */
export const PROBE_TIMEOUT_MS = 30_000
/** Whoever comes while the deciding call is under way may come back after this. */
const PROBE_WAIT_MS = 1_000

/** A breaker that nobody has used. */
export const newBreaker = (nowMs: number): BreakerState => ({
  kind: "closed",
  sinceMs: nowMs,
  windowMs: nowMs,
  calls: 0,
  failures: 0,
  streak: 0,
})

/** Whether a call may be made now. The state is to be kept if the call is made; a probe must be recorded as one. */
export type Admission =
  | { readonly isAdmitted: true; readonly isProbe: boolean; readonly state: BreakerState }
  | { readonly isAdmitted: false; readonly retryAfterMs: number }

/** Asks for one call. A state that is dated after now (the clock went back) says nothing. */
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

/** How an admitted call went. `failure` is its reason, null a success; `unlearnt`: the caller left before it was known. */
export interface CallResult {
  readonly isProbe: boolean
  readonly failure: string | null
  readonly isUnlearnt: boolean
  /** What the other side asked for; null when it did not. */
  readonly askedToWaitMs: number | null
}

/** The state after a call has ended. `random` is in [0, 1). */
export function record(state: BreakerState, ended: CallResult, nowMs: number, random: number): BreakerState {
  if (nowMs < state.sinceMs) return newBreaker(nowMs)
  if (state.kind === "closed") return recordClosed(state, ended, nowMs, random)
  // Calls that began before it opened say nothing new.
  if (state.kind === "open" || !ended.isProbe) return state
  if (ended.isUnlearnt) return { ...state, probeMs: null }
  return ended.failure === null ? newBreaker(nowMs) : opened(state, ended, nowMs, random)
}

function recordClosed(before: Closed, ended: CallResult, nowMs: number, random: number): BreakerState {
  if (ended.isUnlearnt) return before
  const isOver = nowMs - before.windowMs >= WINDOW_MS || nowMs < before.windowMs
  const state = isOver ? { ...before, windowMs: nowMs, calls: 0, failures: 0, streak: 0 } : before
  const calls = state.calls + 1
  if (ended.failure === null) return { ...state, calls, streak: 0 }
  const failures = state.failures + 1
  const streak = state.streak + 1
  const isTooOften = calls >= RATIO_CALLS_MIN && failures >= calls * RATIO_MAX
  if (streak < CONSECUTIVE_FAILURES_MAX && !isTooOften) return { ...state, calls, failures, streak }
  return opened({ sinceMs: nowMs, openings: 0, failures: failures - 1, reason: ended.failure }, ended, nowMs, random)
}

function opened(broken: Broken, ended: CallResult, nowMs: number, random: number): Open {
  const openings = broken.openings + 1
  const base = Math.min(COOL_DOWN_MAX_MS, COOL_DOWN_MS * 2 ** (openings - 1))
  const coolDownMs = Math.max(base * (1 + random / 2), Math.min(ended.askedToWaitMs ?? 0, COOL_DOWN_REQUESTED_MAX_MS))
  return {
    kind: "open",
    sinceMs: nowMs,
    untilMs: nowMs + coolDownMs,
    openings,
    failures: broken.failures + 1,
    reason: ended.failure ?? broken.reason,
  }
}
