/** Hands work to QStash. Every call has a bound (call.ts), every publish a deduplication id, and no error carries a body. */
import type { Client } from "@upstash/qstash"
import * as z from "zod"
import { safeKey } from "../../../shared/crypto/plain-key.ts"
import { askQstash, headerValue, isAccepted, type QstashAccount, QstashError } from "./call.ts"

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
  return {
    async publish(publication) {
      const { url, body, retries = retriesMax, timeoutMs, isLastResort } = publication
      const request = {
        ...{ url, body, method: "POST" as const, ...optionsOf(publication) },
        deduplicationId: await safeKey(publication.deduplicationId),
        retries: Math.min(retries, retriesMax),
      }
      const bounds = { timeoutMs, isPastBreaker: isLastResort }
      const answer: unknown = await askQstash(account, (client) => client.publishJSON(request), bounds)
      const { messageId, deduplicated = false } = isAccepted(published, answer)
      return { messageId, isDuplicate: deduplicated }
    },

    async listDead({ url, cursor, limit = DEAD_PAGE_MAX, isPastBreaker = false } = {}) {
      const query = {
        count: Math.min(limit, DEAD_PAGE_MAX),
        order: "latestFirst", // QStash's own default is the other one, and its client's `listMessages` knows no order
        ...(url && { url }),
        ...(cursor && { cursor }),
      }
      const ask = (client: Client) => client.http.request({ path: ["v2", "dlq"], query })
      const page = isAccepted(deadPage, await askQstash(account, ask, { isPastBreaker }))
      return {
        cursor: page.cursor || null,
        messages: page.messages.map(deadMessage),
      }
    },

    async findDead(dlqId) {
      try {
        const path = ["v2", "dlq", encodeURIComponent(dlqId)]
        return deadMessage(isAccepted(dead, await askQstash(account, (client) => client.http.request({ path }))))
      } catch (error) {
        if (error instanceof QstashError && error.status === 404) return null
        throw error
      }
    },

    async redriveDead(dlqIds) {
      for (let start = 0; start < dlqIds.length; start += REDRIVE_MAX) {
        const batch = dlqIds.slice(start, start + REDRIVE_MAX)
        // Without ids the same call would redrive everything; the loop never makes it so.
        await askQstash(account, (client) => client.dlq.retry({ dlqIds: batch }))
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

/** What a publication asks for beside its body, as QStash's client takes it. */
function optionsOf({ delaySeconds, notBefore, retryDelay, flowControl, deliveryTimeoutSeconds }: Publication) {
  return {
    ...(delaySeconds !== undefined && { delay: Math.ceil(delaySeconds) }),
    ...(notBefore !== undefined && { notBefore: Math.ceil(notBefore.getTime() / 1_000) }),
    ...(retryDelay !== undefined && { retryDelay: headerValue(retryDelay) }),
    ...(deliveryTimeoutSeconds !== undefined && { timeout: Math.ceil(deliveryTimeoutSeconds) }),
    ...(flowControl !== undefined && {
      flowControl: { key: headerValue(flowControl.key), parallelism: flowControl.parallelism },
    }),
  }
}
