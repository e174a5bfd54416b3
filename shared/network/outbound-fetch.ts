/** What clients of other services call instead of `fetch`, and the error for a call that was not made. */

/** `fetch` as clients of remote services get it. Redirects are never followed. */
export type OutboundFetch = (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>

/** Why a call was not made. `circuit_open`: the service failed too often just now. `budget_spent`: no subrequest is left. */
export type NotSentReason = "circuit_open" | "budget_spent"

/**
 * Thrown instead of calling: no request was sent, so calling later has no second effect. `retryAfterMs`: when a call may be
 * made again; null: in another invocation.
 */
export class NotSent extends Error {
  readonly code = "NOT_SENT"
  readonly reason: NotSentReason
  readonly retryAfterMs: number | null
  constructor(reason: NotSentReason, retryAfterMs: number | null) {
    super(`the call was not made: ${reason}`)
    this.name = "NotSent"
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

/** More than any client of ours wraps an error. */
const WRAPPINGS_MAX = 5

/**
 * The `NotSent` that an error is or was caused by; null when the call was made or may have been. Neon's driver keeps what
 * `fetch` threw in `sourceError`, Stripe's in `detail`, all others in `cause`.
 */
export function notSentOf(error: unknown): NotSent | null {
  let current = error
  for (let depth = 0; depth < WRAPPINGS_MAX && current instanceof Error; depth++) {
    if (current instanceof NotSent) return current
    const { cause, sourceError, detail }: { cause?: unknown; sourceError?: unknown; detail?: unknown } = current
    current = cause ?? sourceError ?? detail
  }
  return null
}
