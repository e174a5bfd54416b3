/**
 * How each other side is called: how long it is waited for, and what is tried again. Pure; the time, the random number and
 * the outcome are given. Delays follow "full jitter": anything from nothing to the whole delay, so that callers that
 * failed together do not come back together.
 */
import { retryAfterMs } from "../../../shared/network/retry-after.ts"

/** Everybody who is called through this folder. Postgres and Redis have bounds of their own where their clients are made. */
export const TARGETS = ["stripe-api", "whop-api", "email", "sms", "push", "dm", "slack", "qstash"] as const
export type Target = (typeof TARGETS)[number]

export interface Policy {
  /** For one attempt; the answer's body included. */
  readonly timeoutMs: number
  /** For all attempts and the waits between them: nothing is tried again that could not end by then. */
  readonly deadlineMs: number
  /** How often what only reads is tried again. */
  readonly readRetries: number
  /** The same for a write under an idempotency key. A write without one is never repeated. */
  readonly keyedWriteRetries: number
  /** The wait before the first repetition is up to this; it doubles from one to the next. */
  readonly delayMs: number
}

/** A message may be seen twice when it is sent twice: what becomes of it is the channel's word, and repeating it the job's. */
const MESSAGE: Policy = { timeoutMs: 10_000, deadlineMs: 10_000, readRetries: 0, keyedWriteRetries: 0, delayMs: 0 }

/** A table with a reason for each. */
export const POLICIES: Readonly<Record<Target, Policy>> = {
  // Stripe keeps keys for a day and answers a repetition with the first answer (docs.stripe.com/api/idempotent_requests).
  "stripe-api": { timeoutMs: 8_000, deadlineMs: 17_000, readRetries: 1, keyedWriteRetries: 1, delayMs: 500 },
  // Whop documents its key for some calls and not for the one that we make (see providers/whop/api.ts).
  "whop-api": { timeoutMs: 8_000, deadlineMs: 17_000, readRetries: 1, keyedWriteRetries: 0, delayMs: 500 },
  email: MESSAGE,
  sms: MESSAGE,
  push: MESSAGE,
  dm: MESSAGE,
  slack: MESSAGE,
  // A webhook may be waiting behind it; under the same deduplication id a repetition is no second message.
  qstash: { timeoutMs: 2_000, deadlineMs: 2_000, readRetries: 1, keyedWriteRetries: 1, delayMs: 100 },
}

/** Longer waits than this are for a job's own schedule. */
export const RETRY_AFTER_MAX_MS = 5 * 60_000

/** How one attempt went, as far as it matters here. `unlearnt`: the caller left before there was an answer. */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number; readonly headers: Headers }
  | { readonly kind: "silent"; readonly reason: "timeout" | "no_answer" }
  | { readonly kind: "unlearnt" }

/**
 * Whether an outcome speaks against the other side, in a word, or null: no answer, too many requests, or its own fault.
 * Any other refusal is an answer to what we asked.
 */
export function failureOf(outcome: Outcome): string | null {
  if (outcome.kind === "silent") return outcome.reason
  if (outcome.kind === "unlearnt") return null
  const { status } = outcome
  return status === 408 || status === 429 || status >= 500 ? `http_${status}` : null
}

/** How long the other side asks us to wait; null when it does not say. */
export const requestedRetryAfterMs = (outcome: Outcome): number | null =>
  outcome.kind === "answered" ? retryAfterMs(outcome.headers, RETRY_AFTER_MAX_MS) : null

/** A request, as far as repeating it is concerned. */
export interface RequestShape {
  readonly method: string
  /** Carries an idempotency key or a deduplication id. */
  readonly isKeyed: boolean
}

/** The request of a method and headers. */
export const requestShapeOf = (method: string, headers: Headers): RequestShape => ({
  method: method.toUpperCase(),
  isKeyed: headers.has("idempotency-key") || headers.has("upstash-deduplication-id"),
})

/** Full jitter: from 0 to the delay of this repetition (0 for the first), which doubles each time. `random` is in [0, 1). */
export const backoffMs = (policy: Policy, repetition: number, random: number): number =>
  random * policy.delayMs * 2 ** repetition

/** How long to wait before the request is made once more; null: it is not. `tries` were made, in `elapsedMs`. */
export function waitBeforeRetryMs(
  policy: Policy,
  asked: RequestShape,
  outcome: Outcome,
  { tries, elapsedMs, random }: { readonly tries: number; readonly elapsedMs: number; readonly random: number },
): number | null {
  const isRead = asked.method === "GET" || asked.method === "HEAD"
  const retries = isRead ? policy.readRetries : asked.isKeyed ? policy.keyedWriteRetries : 0
  if (tries > retries || !isRetryable(outcome)) return null
  const waitMs = Math.max(requestedRetryAfterMs(outcome) ?? 0, backoffMs(policy, tries - 1, random))
  return elapsedMs + waitMs < policy.deadlineMs ? waitMs : null
}

/** Stripe says itself whether a repetition makes sense (docs.stripe.com/error-low-level); 409 is a lock of another request. */
function isRetryable(outcome: Outcome): boolean {
  const said = outcome.kind === "answered" ? outcome.headers.get("stripe-should-retry") : null
  if (said === "true" || said === "false") return said === "true"
  const isLocked = outcome.kind === "answered" && outcome.status === 409
  return isLocked || failureOf(outcome) !== null
}
