/**
 * HTTP for all channels, and what a response means for a message.
 *
 * Trade-off: workerd's `fetch` throws the same "Network connection lost." whether the remote service refused the connection
 * or closed it after reading the request, and a DNS or TLS error is only an "internal error". So every lost connection is
 * `unknown`: it is better to send no message than two. On Cloudflare's network such errors mostly arrive as statuses
 * (521, 523, 525, 526, 530), which do mean that nothing was sent.
 */

import type { SendOutcome } from "../../shared/domain/recovery/nudges/nudge-outcome.ts"
import { type NotSentReason, notSentOf, type OutboundFetch } from "../../shared/network/outbound-fetch.ts"
import { retryAfterMs } from "../../shared/network/retry-after.ts"

/** A slow host must not keep a job beyond its own limit. */
export const SEND_TIMEOUT_MS = 10_000
/** Receipts are small; longer bodies are error pages. */
const BODY_BYTES_MAX = 64 * 1_024
/** Longer delays are capped: the job's own schedule decides then. */
const RETRY_AFTER_MAX_MS = 60 * 60 * 1_000
/** No service has longer message ids. */
const MESSAGE_ID_MAX = 200

/**
 * The remote service did not accept the message and may accept it later. 408: the request did not arrive completely. A
 * gateway's 502 and 504 are absent: the service behind it may have accepted the message.
 */
const RETRY_STATUSES = new Set([408, 429, 500, 503])
/**
 * Cloudflare's own statuses for a connection that was not established: refused, unreachable, TLS handshake failed, invalid
 * certificate, name not resolved (developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors).
 * 520, 522 and 524 are absent: there the request may have arrived.
 */
const NEVER_CONNECTED_STATUSES = new Set([521, 523, 525, 526, 530])

/** One POST. */
export interface Post {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly idempotencyKey: string
  readonly timeoutMs: number
  readonly fetch: OutboundFetch
}

/** The response, or why there is none: `unsendable` can never be sent, `not_sent` was not, `lost` may have arrived. */
export type Reply =
  | { readonly kind: "answered"; readonly status: number; readonly headers: Headers; readonly body: string }
  | { readonly kind: "unsendable" }
  | { readonly kind: "not_sent"; readonly reason: NotSentReason; readonly retryAfterMs: number | null }
  | { readonly kind: "lost"; readonly reason: "timeout" | "connection_lost" }

/** Options of every channel. */
export interface ChannelOptions {
  readonly timeoutMs?: number
  /** The platform's own `fetch` by default. */
  readonly fetch?: OutboundFetch
}

/** Looks up the global `fetch` at each call, so that tests can replace it. */
export const defaultFetch: OutboundFetch = (input, init) => fetch(input, init)

/** Posts and reads a bounded part of the response. Never throws, never follows a redirect, always reads or cancels the body. */
export async function post({ url, headers, body, idempotencyKey, timeoutMs, fetch: send }: Post): Promise<Reply> {
  const request = { method: "POST", headers: { ...headers, "Idempotency-Key": idempotencyKey }, body } as const
  try {
    new Request(url, request)
  } catch {
    return { kind: "unsendable" } // TypeError: invalid URL or header value
  }
  try {
    const response = await send(url, { ...request, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) })
    return { kind: "answered", status: response.status, headers: response.headers, body: await readBodyStart(response) }
  } catch (error) {
    const notSent = notSentOf(error)
    if (notSent !== null) return { kind: "not_sent", reason: notSent.reason, retryAfterMs: notSent.retryAfterMs }
    const isTimeout = error instanceof Error && error.name === "TimeoutError"
    return { kind: "lost", reason: isTimeout ? "timeout" : "connection_lost" }
  }
}

/** The beginning of the body. The status is already known, so an interrupted body is only shorter. */
async function readBodyStart(response: Response): Promise<string> {
  if (!response.body) return ""
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  let text = ""
  let bytes = 0
  try {
    while (bytes < BODY_BYTES_MAX) {
      const { done, value } = await reader.read()
      if (done) return text
      bytes += value.byteLength
      text += decoder.decode(value, { stream: true })
    }
    await reader.cancel()
  } catch {
    // Interrupted or timed out: what was read is enough.
  }
  return text
}

/** What a reply means. A 2xx is `sent` without an id; a channel whose receipts have one adds it with `withId`. */
export function classify(reply: Reply): SendOutcome {
  if (reply.kind === "unsendable") return { kind: "refused", reason: "invalid_request" }
  if (reply.kind === "not_sent") return { ...reply, kind: "retry" }
  if (reply.kind === "lost") return { kind: "unknown", reason: reply.reason }
  const { status } = reply
  const reason = `http_${status}`
  if (status >= 200 && status < 300) return { kind: "sent", providerMessageId: null }
  if (RETRY_STATUSES.has(status))
    return { kind: "retry", reason, retryAfterMs: retryAfterMs(reply.headers, RETRY_AFTER_MAX_MS) }
  if (NEVER_CONNECTED_STATUSES.has(status)) return { kind: "retry", reason, retryAfterMs: null }
  return status < 500 ? { kind: "refused", reason } : { kind: "unknown", reason }
}

/** Adds the receipt's id to a message that was sent. */
export const withId = (outcome: SendOutcome, providerMessageId: string | null): SendOutcome =>
  outcome.kind === "sent" ? { ...outcome, providerMessageId } : outcome

/** The fields of a JSON object; none when the body is anything else. */
export function fieldsOf(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === "object" && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** A service's message id if it is well-formed, else null. */
export const idOf = (value: unknown): string | null =>
  typeof value === "string" && value.length <= MESSAGE_ID_MAX && /^[\w.:=+/-]+$/.test(value) ? value : null

/** A base URL, with or without a final slash, with a path appended. */
export const join = (baseUrl: string, path: string): string => `${baseUrl.replace(/\/+$/, "")}${path}`
