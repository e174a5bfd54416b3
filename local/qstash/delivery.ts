import type { VirtualClock } from "../time/clock.ts"
import { withDeadline } from "../time/with-deadline.ts"
import type { Message } from "./message.ts"
import { signDelivery } from "./sign.ts"

/** The result of one attempt. `status` 0: there was no answer. */
export type Attempt = {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
  readonly error: string | null
}

/** Delivers one message to its destination, signed, once. Never rejects: no answer is a result too. */
export async function deliver(
  message: Message,
  {
    clock,
    signingKey,
    signal,
  }: { readonly clock: VirtualClock; readonly signingKey: string; readonly signal: AbortSignal },
): Promise<Attempt> {
  const body = Buffer.from(message.bodyBase64, "base64")
  const signature = signDelivery({ url: message.url, body, key: signingKey, now: clock.now() })
  const hasBody = message.method !== "GET" && message.method !== "HEAD"
  try {
    return await withDeadline({ ms: message.timeoutMs, signal }, async (limit) => {
      const response = await fetch(message.url, {
        method: message.method,
        headers: {
          ...message.headers,
          "user-agent": "Upstash-QStash",
          "upstash-message-id": message.messageId,
          "upstash-retried": String(message.retried),
          "upstash-signature": signature,
          ...(message.scheduleId === null ? {} : { "upstash-schedule-id": message.scheduleId }),
          ...(message.label === null ? {} : { "upstash-label": message.label }),
        },
        ...(hasBody ? { body: new Uint8Array(body) } : {}),
        redirect: "manual", // a redirect is not a success
        signal: limit,
      })
      const answer = Buffer.from(await response.arrayBuffer())
      return { status: response.status, headers: response.headers, body: answer, error: null }
    })
  } catch (cause) {
    return { status: 0, headers: new Headers(), body: Buffer.alloc(0), error: String(cause) }
  }
}

/** Whether the receiver refuses further attempts. */
export const isNonRetryable = ({ status, headers }: Attempt): boolean =>
  status === 489 && headers.get("upstash-nonretryable-error") === "true"

/** The body of callbacks and failure callbacks. `dlqId` is set for a dead letter. */
export function callbackBody(message: Message, attempt: Attempt, dlqId: string | null): object {
  return {
    status: attempt.status,
    header: headerLists(attempt.headers),
    body: attempt.body.toString("base64"),
    retried: message.retried,
    maxRetries: message.maxRetries,
    sourceMessageId: message.messageId,
    url: message.url,
    method: message.method,
    sourceHeader: Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, [value]])),
    sourceBody: message.bodyBase64,
    notBefore: message.notBeforeMs ?? message.createdAtMs + message.delayMs,
    createdAt: message.createdAtMs,
    ...(message.scheduleId === null ? {} : { scheduleId: message.scheduleId }),
    ...(dlqId === null ? {} : { dlqId }),
  }
}

/** Headers as lists of values, as QStash shows them. */
export function headerLists(headers: Headers): Record<string, string[]> {
  return Object.fromEntries([...headers].map(([name, value]) => [name, [value]]))
}
