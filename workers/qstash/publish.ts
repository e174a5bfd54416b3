/**
 * Hands work to QStash. Our own fetch rather than the SDK's client: that one offers no way to end a call that hangs, tries
 * six times by itself, reads its settings from the environment and weighs 18 KiB. Every call here has a bound, every
 * publish a deduplication id, and no error carries a body.
 */
import * as z from "zod"
import { plainKey } from "../../shared/crypto/plain-key.ts"
import { headerValue, type QstashAccount, QstashError, qstashCaller, understood } from "./call.ts"

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
  /** The reason that our own last answer gave: why a job gave up, or the code of its problem. Null when it gave none. */
  readonly reason: string | null
  readonly createdAt: Date
}

/** Which of the dead messages are asked for. */
export interface DeadPage {
  readonly url?: string
  readonly cursor?: string
  readonly limit?: number
  readonly isPastBreaker?: boolean
}

/** What the suite asks of QStash. All calls throw `QstashError`. */
export interface QstashPublisher {
  publish(publication: Publication): Promise<{ readonly messageId: string; readonly isDuplicate: boolean }>
  /**
   * A page of what was given up, newest first, of all or of what was meant for `url`; `cursor` of one page is asked for the
   * next. `isPastBreaker`: QStash is asked even while it is being left alone.
   */
  listDead(page?: DeadPage): Promise<{ readonly messages: readonly DeadMessage[]; readonly cursor: string | null }>
  /** Delivers dead messages anew; they leave the queue of the dead. */
  redriveDead(dlqIds: readonly string[]): Promise<void>
  /** One dead message; null when it is not there any more. */
  findDead(dlqId: string): Promise<DeadMessage | null>
}

const DEAD_PAGE_MAX = 100
/** A URL holds about this many ids. */
const REDRIVE_MAX = 50

const published = z.object({ messageId: z.string(), deduplicated: z.boolean().optional() })
const dead = z.object({
  dlqId: z.string(),
  messageId: z.string(),
  url: z.string(),
  responseStatus: z.number().optional(),
  responseBody: z.string().optional(),
  createdAt: z.number(),
})
const deadPage = z.object({ cursor: z.string().optional(), messages: z.array(dead) })

/** Our own answers: that of a job that gave up, and the problem document. Both are codes, and name nobody. */
const code = z.string().regex(/^[A-Za-z_]{1,64}$/)
const ourAnswer = z.union([
  z.object({ gaveUp: code }).transform(({ gaveUp }) => gaveUp),
  z.object({ code }).transform((problem) => problem.code.toLowerCase()),
])

/** A publisher for one account. */
export function qstashPublisher({
  retriesMax,
  ...account
}: QstashAccount & { readonly retriesMax: number }): QstashPublisher {
  const call = qstashCaller(account)
  const retriesHeader = (retries = retriesMax) => ({ "upstash-retries": String(Math.min(retries, retriesMax)) })

  return {
    async publish(publication) {
      const answer = await call("POST", `/v2/publish/${publication.url}`, {
        headers: {
          ...publicationHeaders(publication),
          "upstash-deduplication-id": await plainKey(publication.deduplicationId),
          ...retriesHeader(publication.retries),
        },
        body: publication.body,
        ...(publication.timeoutMs === undefined ? {} : { timeoutMs: publication.timeoutMs }),
        isPastBreaker: publication.isLastResort ?? false,
      })
      const { messageId, deduplicated = false } = understood(published, answer)
      return { messageId, isDuplicate: deduplicated }
    },

    async listDead({ url, cursor, limit = DEAD_PAGE_MAX, isPastBreaker = false } = {}) {
      const query = new URLSearchParams({
        count: String(Math.min(limit, DEAD_PAGE_MAX)),
        order: "latestFirst", // QStash's own default is the other one
        ...(url && { url }),
        ...(cursor && { cursor }),
      })
      const page = understood(deadPage, await call("GET", `/v2/dlq?${query}`, { isPastBreaker }))
      return {
        cursor: page.cursor || null,
        messages: page.messages.map(deadMessage),
      }
    },

    async findDead(dlqId) {
      try {
        return deadMessage(understood(dead, await call("GET", `/v2/dlq/${encodeURIComponent(dlqId)}`)))
      } catch (error) {
        if (error instanceof QstashError && error.status === 404) return null
        throw error
      }
    },

    async redriveDead(dlqIds) {
      for (let start = 0; start < dlqIds.length; start += REDRIVE_MAX) {
        const batch = dlqIds.slice(start, start + REDRIVE_MAX)
        // Without ids the same call would redrive everything; the loop never makes it so.
        await call("POST", `/v2/dlq/retry?${new URLSearchParams(batch.map((id) => ["dlqIds", id]))}`)
      }
    },
  }
}

const deadMessage = ({ dlqId, messageId, url, ...last }: z.output<typeof dead>): DeadMessage => ({
  dlqId,
  messageId,
  url,
  responseStatus: last.responseStatus || null,
  reason: reasonIn(last.responseBody),
  createdAt: new Date(last.createdAt),
})

function reasonIn(answer: string | undefined): string | null {
  try {
    return ourAnswer.safeParse(JSON.parse(answer ?? "null")).data ?? null
  } catch {
    return null // not JSON: somebody else's answer
  }
}

function publicationHeaders(publication: Publication): Record<string, string> {
  const { delaySeconds, notBefore, retryDelay, flowControl, deliveryTimeoutSeconds } = publication
  return {
    "upstash-method": "POST",
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
