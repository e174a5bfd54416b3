/**
 * Hands work to QStash. Our own fetch rather than the SDK's client: that one offers no way to end a call that hangs, tries
 * six times by itself, reads its settings from the environment and weighs 18 KiB. Every call here has a bound, every
 * publish a deduplication id, and no error carries a body.
 */
import { z } from "zod"
import { notSentOf } from "../outbound/not-sent.ts"

/** A call to QStash did not work. `retry`: the same call, with the same deduplication id, may work later. */
export class QstashError extends Error {
  readonly code = "QSTASH"
  readonly retry: boolean
  /** Null when there was no answer. */
  readonly status: number | null
  readonly reason: string
  constructor(options: { retry: boolean; status: number | null; reason: string }) {
    super(`QStash call failed: ${options.reason}${options.status === null ? "" : ` (${options.status})`}`)
    this.name = "QstashError"
    this.retry = options.retry
    this.status = options.status
    this.reason = options.reason
  }
}

/** What a publish asks for. */
export interface Publication {
  /** Where it is delivered; the signature will name this text exactly. */
  readonly url: string
  readonly body: unknown
  /** QStash keeps it for ten minutes only: the receiver must be safe to call twice all the same. */
  readonly deduplicationId: string
  readonly delaySeconds?: number
  /** Wins over the delay. */
  readonly notBefore?: Date
  /** At most the configured maximum; QStash refuses what the plan does not allow. */
  readonly retries?: number
  /** An expression in milliseconds, such as `min(86400000, pow(2, retried) * 1000)`. */
  readonly retryDelay?: string
  readonly flowControl?: { readonly key: string; readonly parallelism: number }
  /** How long we wait for QStash to accept it. */
  readonly timeoutMs?: number
  /** How long QStash waits for our answer to a delivery. */
  readonly deliveryTimeoutSeconds?: number
  /** Nobody else would take it: QStash is asked even while it is being left alone. */
  readonly isLastResort?: boolean
}

/** A message that QStash gave up. */
export interface DeadMessage {
  readonly dlqId: string
  readonly messageId: string
  readonly url: string
  /** The last answer; null when there was none. */
  readonly responseStatus: number | null
  readonly createdAt: Date
}

/** What the suite asks of QStash. All calls throw `QstashError`. */
export interface QstashPublisher {
  publish(publication: Publication): Promise<{ readonly messageId: string; readonly isDuplicate: boolean }>
  /**
   * A page of what was given up, newest first; `cursor` of one page is asked for the next. `isPastBreaker`: QStash is
   * asked even while it is being left alone.
   */
  listDead(page?: { readonly cursor?: string; readonly limit?: number; readonly isPastBreaker?: boolean }): Promise<{
    readonly messages: readonly DeadMessage[]
    readonly cursor: string | null
  }>
  /** Delivers dead messages anew; they leave the queue of the dead. */
  redriveDead(dlqIds: readonly string[]): Promise<void>
  /** Makes the schedule of this id be so; one that exists is overwritten. It may take a minute to become active. */
  upsertSchedule(schedule: {
    readonly scheduleId: string
    readonly cron: string
    readonly url: string
    readonly body?: unknown
    readonly retries?: number
  }): Promise<void>
}

/** Accepting a message takes QStash tens of milliseconds; a webhook may be waiting behind this. */
const CALL_TIMEOUT_MS = 2_000
const DEAD_PAGE_MAX = 100
/** A URL holds about this many ids. */
const REDRIVE_MAX = 50

const published = z.object({ messageId: z.string(), deduplicated: z.boolean().optional() })
const deadPage = z.object({
  cursor: z.string().optional(),
  messages: z.array(
    z.object({
      dlqId: z.string(),
      messageId: z.string(),
      url: z.string(),
      responseStatus: z.number().optional(),
      createdAt: z.number(),
    }),
  ),
})

type QstashFetch = (input: string, init: RequestInit) => Promise<Response>

/** A publisher for one account. The ways out are the platform's own unless told otherwise. */
export function qstashPublisher({
  url,
  token,
  retriesMax,
  fetch: send = (input, init) => fetch(input, init),
  fetchPastBreaker = send,
}: {
  readonly url: string
  readonly token: string
  readonly retriesMax: number
  readonly fetch?: QstashFetch
  readonly fetchPastBreaker?: QstashFetch
}): QstashPublisher {
  async function call(method: string, path: string, options: CallOptions = {}): Promise<unknown> {
    const { headers = {}, body, timeoutMs = CALL_TIMEOUT_MS, isPastBreaker = false } = options
    try {
      const response = await (isPastBreaker ? fetchPastBreaker : send)(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      if (!response.ok) {
        await response.body?.cancel()
        throw refusal(response.status)
      }
      return readJson(await response.text())
    } catch (error) {
      if (error instanceof QstashError) throw error
      const notSent = notSentOf(error)
      if (notSent !== null) throw new QstashError({ retry: true, status: null, reason: notSent.reason })
      const isTimeout = error instanceof Error && error.name === "TimeoutError"
      throw new QstashError({ retry: true, status: null, reason: isTimeout ? "timeout" : "unreachable" })
    }
  }

  const retriesHeader = (retries = retriesMax) => ({ "upstash-retries": String(Math.min(retries, retriesMax)) })

  return {
    async publish(publication) {
      const answer = await call("POST", `/v2/publish/${publication.url}`, {
        headers: { ...publicationHeaders(publication), ...retriesHeader(publication.retries) },
        body: publication.body,
        ...(publication.timeoutMs === undefined ? {} : { timeoutMs: publication.timeoutMs }),
        isPastBreaker: publication.isLastResort ?? false,
      })
      const { messageId, deduplicated = false } = understood(published, answer)
      return { messageId, isDuplicate: deduplicated }
    },

    async listDead({ cursor, limit = DEAD_PAGE_MAX, isPastBreaker = false } = {}) {
      const query = new URLSearchParams({ count: String(Math.min(limit, DEAD_PAGE_MAX)), ...(cursor && { cursor }) })
      const page = understood(deadPage, await call("GET", `/v2/dlq?${query}`, { isPastBreaker }))
      return {
        cursor: page.cursor || null,
        messages: page.messages.map(({ responseStatus, createdAt, ...message }) => ({
          ...message,
          responseStatus: responseStatus || null,
          createdAt: new Date(createdAt),
        })),
      }
    },

    async redriveDead(dlqIds) {
      for (let start = 0; start < dlqIds.length; start += REDRIVE_MAX) {
        const batch = dlqIds.slice(start, start + REDRIVE_MAX)
        // Without ids the same call would redrive everything; the loop never makes it so.
        await call("POST", `/v2/dlq/retry?${new URLSearchParams(batch.map((id) => ["dlqIds", id]))}`)
      }
    },

    async upsertSchedule({ scheduleId, cron, url: destination, body = {}, retries }) {
      await call("POST", `/v2/schedules/${destination}`, {
        headers: {
          "upstash-schedule-id": headerValue(scheduleId),
          "upstash-cron": headerValue(cron),
          "upstash-method": "POST",
          ...retriesHeader(retries),
        },
        body,
      })
    },
  }
}

interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly timeoutMs?: number
  readonly isPastBreaker?: boolean
}

function publicationHeaders(publication: Publication): Record<string, string> {
  const { delaySeconds, notBefore, retryDelay, flowControl, deliveryTimeoutSeconds } = publication
  return {
    "upstash-method": "POST",
    "upstash-deduplication-id": headerValue(publication.deduplicationId),
    ...(delaySeconds !== undefined && { "upstash-delay": `${Math.ceil(delaySeconds)}s` }),
    ...(notBefore !== undefined && { "upstash-not-before": String(Math.ceil(notBefore.getTime() / 1_000)) }),
    ...(retryDelay !== undefined && { "upstash-retry-delay": headerValue(retryDelay) }),
    ...(deliveryTimeoutSeconds !== undefined && { "upstash-timeout": `${Math.ceil(deliveryTimeoutSeconds)}s` }),
    ...(flowControl !== undefined && {
      "upstash-flow-control-key": headerValue(flowControl.key),
      "upstash-flow-control-value": `parallelism=${flowControl.parallelism}`,
    }),
  }
}

/** A header takes printable ASCII; anything else is our mistake, and trying again would repeat it. */
function headerValue(text: string): string {
  if (!/^[\x20-\x7e]{1,500}$/.test(text))
    throw new QstashError({ retry: false, status: null, reason: "header_not_ascii" })
  return text
}

/** Too many requests, a conflict in time and the other side's faults pass; every other refusal stays. */
const refusal = (status: number): QstashError =>
  new QstashError({ retry: status === 408 || status === 429 || status >= 500, status, reason: "refused" })

/** The message may have been accepted; with the same deduplication id it is safe to ask again. */
function understood<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer)
  if (!parsed.success) throw new QstashError({ retry: true, status: null, reason: "answer_not_understood" })
  return parsed.data
}

function readJson(text: string): unknown {
  try {
    return text === "" ? null : JSON.parse(text)
  } catch {
    return undefined // `understood` refuses it where an answer is needed
  }
}
