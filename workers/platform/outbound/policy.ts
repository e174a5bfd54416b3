/**
 * Time-outs and retries of each target. Pure; the time, the random number and the outcome are parameters. Delays use
 * "full jitter": a random wait from zero to the whole delay, so that callers that failed together do not retry
 * together.
 */
import { retryAfterMs } from "../../../shared/network/retry-after.ts"

/**
 * All services that are called through this folder. Postgres and Redis have their own bounds where their clients are
 * made.
 */
export const TARGETS = [
  "stripe-api",
  "whop-api",
  "email",
  "sms",
  "push",
  "dm",
  "slack",
  "qstash",
  "access",
  "openrouter",
] as const
export type Target = (typeof TARGETS)[number]

export interface Policy {
  /** For one attempt; the answer's body included. */
  readonly timeoutMs: number
  /** For all attempts and the waits between them: a retry that could not end by then is not made. */
  readonly deadlineMs: number
  /** Retries of reads. */
  readonly readRetries: number
  /** Retries of writes with an idempotency key. A write without one is never repeated. */
  readonly keyedWriteRetries: number
  /** The longest wait before the first retry; it doubles with each retry. */
  readonly delayMs: number
}

/**
 * A message that is sent twice may be seen twice, so it is not retried here: the job decides, by the channel's outcome.
 */
const MESSAGE: Policy = { timeoutMs: 10_000, deadlineMs: 10_000, readRetries: 0, keyedWriteRetries: 0, delayMs: 0 }

/** The policy of each target, with its reason. */
export const POLICIES: Readonly<Record<Target, Policy>> = {
  // Stripe keeps keys for a day and answers a repetition with the first answer
  // (docs.stripe.com/api/idempotent_requests).
  "stripe-api": { timeoutMs: 8_000, deadlineMs: 17_000, readRetries: 1, keyedWriteRetries: 1, delayMs: 500 },
  // Whop documents its key for some calls and not for the one that we make (see workers/providers/whop/api/client.ts).
  "whop-api": { timeoutMs: 8_000, deadlineMs: 17_000, readRetries: 1, keyedWriteRetries: 0, delayMs: 500 },
  email: MESSAGE,
  sms: MESSAGE,
  push: MESSAGE,
  dm: MESSAGE,
  slack: MESSAGE,
  // A webhook may be waiting for it; with the same deduplication id a retry creates no second message.
  qstash: { timeoutMs: 2_000, deadlineMs: 2_000, readRetries: 1, keyedWriteRetries: 1, delayMs: 100 },
  // The keys of Cloudflare Access; somebody who signs in is waiting.
  access: { timeoutMs: 2_000, deadlineMs: 4_500, readRetries: 1, keyedWriteRetries: 0, delayMs: 100 },
  // A model writes for seconds; OPENROUTER_TIMEOUT_MS ends it earlier. Every request costs money, and a person can ask again.
  openrouter: { timeoutMs: 60_000, deadlineMs: 60_000, readRetries: 0, keyedWriteRetries: 0, delayMs: 0 },
}

/** Longer waits are left to the job's own schedule. */
export const RETRY_AFTER_MAX_MS = 5 * 60_000

/** The outcome of one attempt. `aborted`: the caller aborted before there was an answer. */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number; readonly headers: Headers }
  | { readonly kind: "no_response"; readonly reason: "timeout" | "no_answer" }
  | { readonly kind: "aborted" }

/**
 * The code of a failure of the remote service: no answer, too many requests, or a server error. Null for anything else:
 * any other refusal is an answer to our request.
 */
export function failureOf(outcome: Outcome): string | null {
  if (outcome.kind === "no_response") return outcome.reason
  if (outcome.kind === "aborted") return null
  const { status } = outcome
  return status === 408 || status === 429 || status >= 500 ? `http_${status}` : null
}

/** The wait that the remote service requests; null when it requests none. */
export const requestedRetryAfterMs = (outcome: Outcome): number | null =>
  outcome.kind === "answered" ? retryAfterMs(outcome.headers, RETRY_AFTER_MAX_MS) : null

/** What decides whether a request may be repeated. */
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

/** Full jitter: from 0 to the delay of this retry (0 for the first), which doubles each time. `random` is in [0, 1). */
export const backoffMs = (policy: Policy, retry: number, random: number): number => random * policy.delayMs * 2 ** retry

/** How long to wait before the next retry; null when there is none. `tries` attempts took `elapsedMs`. */
export function waitBeforeRetryMs(
  policy: Policy,
  request: RequestShape,
  outcome: Outcome,
  { tries, elapsedMs, random }: { readonly tries: number; readonly elapsedMs: number; readonly random: number },
): number | null {
  const isRead = request.method === "GET" || request.method === "HEAD"
  const retries = isRead ? policy.readRetries : request.isKeyed ? policy.keyedWriteRetries : 0
  if (tries > retries || !isRetryable(outcome)) return null
  const waitMs = Math.max(requestedRetryAfterMs(outcome) ?? 0, backoffMs(policy, tries - 1, random))
  return elapsedMs + waitMs < policy.deadlineMs ? waitMs : null
}

/** Stripe states whether to retry (docs.stripe.com/error-low-level); 409 is a lock of another request. */
function isRetryable(outcome: Outcome): boolean {
  const shouldRetry = outcome.kind === "answered" ? outcome.headers.get("stripe-should-retry") : null
  if (shouldRetry === "true" || shouldRetry === "false") return shouldRetry === "true"
  const isLocked = outcome.kind === "answered" && outcome.status === 409
  return isLocked || failureOf(outcome) !== null
}
