/**
 * All outgoing calls: each passes its target's circuit breaker, is counted against the invocation's budget, has a
 * time-out, and is retried as the target's policy says. Throws `NotSent` when nothing was sent; after the first attempt
 * was sent, the last attempt's answer or error is returned unchanged.
 */

import { NotSent, type OutboundFetch } from "../../../shared/network/outbound-fetch.ts"
import type { Logger } from "../../../shared/observability/log.ts"
import { admit, type BreakerState, newBreaker, record } from "./breaker.ts"
import { type BreakerView, viewOf } from "./breaker-view.ts"
import type { Budget } from "./budget.ts"
import {
  failureOf,
  type Outcome,
  POLICIES,
  type Policy,
  requestedRetryAfterMs,
  requestShapeOf,
  type Target,
  waitBeforeRetryMs,
} from "./policy.ts"

/**
 * The breakers of an isolate: values only, since a promise of one request must not be awaited by another. The deployment's
 * own are named by their target, those of a company's own credentials by target and company.
 */
export type Breakers = Map<string, BreakerState>

/** How a target is called. */
export interface FetchOptions {
  /** Bypasses the breaker and makes one attempt: for health checks, and for a last resort. */
  readonly isPastBreaker?: boolean
  /** The company whose own credentials are used: its failures are no reason to refuse others' calls. */
  readonly companyId?: string | null
}

export interface Outbound {
  /** A `fetch` for this target. */
  fetchFor(target: Target, options?: FetchOptions): OutboundFetch
  /** This isolate's view of a target. */
  viewOf(target: Target): BreakerView
}

/** What the calls of one invocation need. */
export interface OutboundParts {
  readonly breakers: Breakers
  readonly budget: Budget
  readonly log: Logger
  readonly now: () => Date
  /** In [0, 1). */
  readonly random: () => number
  readonly pause: (ms: number) => Promise<void>
  /** A call goes on after its caller gave up, so that the breaker records its result. */
  readonly waitUntil: (work: Promise<unknown>) => void
  /** Publishes to other isolates. */
  readonly publish: (target: Target, view: BreakerView) => Promise<void>
  /** The platform's `fetch`, or a test's. */
  readonly send: OutboundFetch
}

/** The outgoing calls of one invocation. */
export function makeOutbound(parts: OutboundParts): Outbound {
  return {
    fetchFor:
      (target, options = {}) =>
      (input, init = {}) => {
        const call = new Call(parts, target, options, input, init)
        const answer = call.run()
        parts.waitUntil(answer.catch(() => undefined))
        return answer
      },
    viewOf: (target) => viewOf(parts.breakers.get(target) ?? null, parts.now()),
  }
}

/** One call, with its retries. */
class Call {
  readonly #parts: OutboundParts
  readonly #target: Target
  readonly #policy: Policy
  readonly #isPastBreaker: boolean
  readonly #companyId: string | null
  readonly #breaker: string
  readonly #input: RequestInfo | URL
  readonly #init: RequestInit

  constructor(
    parts: OutboundParts,
    target: Target,
    { isPastBreaker = false, companyId = null }: FetchOptions,
    input: RequestInfo | URL,
    init: RequestInit,
  ) {
    this.#parts = parts
    this.#target = target
    this.#policy = POLICIES[target]
    this.#isPastBreaker = isPastBreaker
    this.#companyId = companyId
    this.#breaker = companyId === null ? target : `${target}|${companyId}`
    this.#input = input
    this.#init = init
  }

  async run(): Promise<Response> {
    const { budget, now, pause, random } = this.#parts
    const request = requestShapeOf(this.#init.method ?? "GET", new Headers(this.#init.headers))
    const startedMs = now().getTime()
    let isProbe = this.#begin()
    for (let tries = 1; ; tries++) {
      const leftMs = this.#policy.deadlineMs - (now().getTime() - startedMs)
      const { response, error, outcome } = await this.#attempt(Math.min(this.#policy.timeoutMs, leftMs))
      this.#end(outcome, isProbe)

      const elapsedMs = now().getTime() - startedMs
      const waitMs = waitBeforeRetryMs(this.#policy, request, outcome, { tries, elapsedMs, random: random() })
      if (waitMs !== null && !this.#isPastBreaker && !this.#isAborted() && budget.hasRoomFor(1)) {
        await pause(waitMs)
        const again = this.#isAborted() ? null : this.#beginAgain()
        if (again !== null) {
          await response?.body?.cancel()
          isProbe = again.isProbe
          continue
        }
      }
      if (response === null) throw error
      return response
    }
  }

  /** Admits the first attempt; throws `NotSent` when it must not be made. Returns whether it is a probe. */
  #begin(): boolean {
    const { breakers, budget, now } = this.#parts
    if (this.#isPastBreaker) {
      budget.spend()
      return false
    }
    const nowMs = now().getTime()
    const before = breakers.get(this.#breaker) ?? newBreaker(nowMs)
    const admission = admit(before, nowMs)
    if (!admission.isAdmitted) throw new NotSent("circuit_open", Math.ceil(admission.retryAfterMs))
    budget.spend() // before the state is stored: an unsent probe would block other calls
    this.#keep(before, admission.state)
    return admission.isProbe
  }

  /** The same for a retry; null when it must not be made, since the first attempt was sent. */
  #beginAgain(): { readonly isProbe: boolean } | null {
    try {
      return { isProbe: this.#begin() }
    } catch (error) {
      if (error instanceof NotSent) return null
      throw error
    }
  }

  async #attempt(timeoutMs: number): Promise<{
    readonly response: Response | null
    readonly error: unknown
    readonly outcome: Outcome
  }> {
    const limit = AbortSignal.timeout(Math.max(1, timeoutMs))
    const callerSignal = this.#init.signal
    const signal = callerSignal ? AbortSignal.any([callerSignal, limit]) : limit
    try {
      const response = await this.#parts.send(this.#input, { ...this.#init, redirect: "manual", signal })
      const { status, headers } = response
      return { response, error: null, outcome: { kind: "answered", status, headers } }
    } catch (error) {
      return { response: null, error, outcome: this.#outcomeOfError(error) }
    }
  }

  #outcomeOfError(error: unknown): Outcome {
    const isTimeout = error instanceof Error && error.name === "TimeoutError"
    if (isTimeout) return { kind: "no_response", reason: "timeout" }
    return this.#isAborted() ? { kind: "aborted" } : { kind: "no_response", reason: "no_answer" }
  }

  #isAborted(): boolean {
    return this.#init.signal?.aborted ?? false
  }

  #end(outcome: Outcome, isProbe: boolean): void {
    if (this.#isPastBreaker) return
    const { breakers, now, random } = this.#parts
    const nowMs = now().getTime()
    const before = breakers.get(this.#breaker) ?? newBreaker(nowMs)
    const ended = {
      isProbe,
      failure: failureOf(outcome),
      isAborted: outcome.kind === "aborted",
      requestedWaitMs: requestedRetryAfterMs(outcome),
    }
    this.#keep(before, record(before, ended, nowMs, random()))
  }

  /** Stores the state in the isolate; logs a breaker that has opened or closed, and publishes the deployment's own. */
  #keep(before: BreakerState, after: BreakerState): void {
    const { breakers, budget, log, now, publish, waitUntil } = this.#parts
    breakers.set(this.#breaker, after)
    if (before.kind === after.kind) return
    const view = viewOf(after, now())
    const ofCompany = this.#companyId === null ? {} : { companyId: this.#companyId }
    const fields = {
      ...ofCompany,
      target: this.#target,
      outcome: view.state,
      reason: view.reason,
      count: view.failures,
    }
    if (after.kind === "closed") log.info("breaker_changed", fields)
    else log.warn("breaker_changed", fields)
    if (this.#companyId !== null || after.kind === "half_open" || !budget.hasRoomFor(1)) return
    const published = publish(this.#target, view).catch((error: unknown) =>
      log.warn("breaker_publish_failed", { target: this.#target, error }),
    )
    waitUntil(published)
  }
}
