/**
 * Publishes work to QStash. Every call has a time-out (call.ts), every message a deduplication id, and no error
 * contains a body.
 */
import type { Client } from "@upstash/qstash"
import * as z from "zod"
import { safeKey } from "../../../shared/crypto/plain-key.ts"
import { callQstash, headerValue, parseAnswer, type QstashAccount, QstashError } from "./call.ts"

/** A message to publish. */
export interface Publication {
  /** Where it is delivered; the signature covers exactly this text. */
  readonly url: string
  readonly body: unknown
  /** QStash remembers it for ten minutes only, so the receiver must be idempotent anyway. */
  readonly deduplicationId: string
  readonly delaySeconds?: number
  /** Takes precedence over the delay. */
  readonly notBefore?: Date
  /** Reduced to the configured maximum; QStash refuses more than the plan allows. */
  readonly retries?: number
  /** An expression in milliseconds, such as `min(86400000, pow(2, retried) * 1000)`. */
  readonly retryDelay?: string
  readonly flowControl?: { readonly key: string; readonly parallelism: number }
  /** How long we wait until QStash accepts it. */
  readonly timeoutMs?: number
  /** How long QStash waits for our answer to a delivery. */
  readonly deliveryTimeoutSeconds?: number
  /** There is no other store for it: QStash is called even while its breaker is open. */
  readonly isLastResort?: boolean
}

/** A message in QStash's dead letter queue. */
export interface DeadLetterMessage {
  readonly dlqId: string
  readonly messageId: string
  readonly url: string
  /** The status of the last answer; null when there was none. */
  readonly responseStatus: number | null
  /** The reason in our last answer: why a job gave up, or the code of its problem document. Null when it gave none. */
  readonly reason: string | null
  readonly createdAt: Date
}

/** Which dead letters to list. */
export interface DeadLetterPage {
  readonly url?: string
  readonly cursor?: string
  readonly limit?: number
  readonly isPastBreaker?: boolean
}

/** The calls that the suite makes to QStash. All throw `QstashError`. */
export interface QstashPublisher {
  publish(publication: Publication): Promise<{ readonly messageId: string; readonly isDuplicate: boolean }>
  /**
   * A page of dead letters, newest first, of all or of those for `url`; pass the `cursor` of one page to get the next.
   * `isPastBreaker`: QStash is called even while its breaker is open.
   */
  listDeadLetters(
    page?: DeadLetterPage,
  ): Promise<{ readonly messages: readonly DeadLetterMessage[]; readonly cursor: string | null }>
  /** Delivers dead letters again and removes them from the queue. */
  redriveDeadLetters(dlqIds: readonly string[]): Promise<void>
  /** One dead letter; null when it no longer exists. */
  findDeadLetter(dlqId: string): Promise<DeadLetterMessage | null>
}

const DEAD_LETTERS_PER_PAGE_MAX = 100
/** About as many ids fit into a URL. */
const REDRIVE_MAX = 50

const published = z.object({ messageId: z.string(), deduplicated: z.boolean().optional() })
const dead = z.lazy(() =>
  z.object({
    dlqId: z.string(),
    messageId: z.string(),
    url: z.string(),
    responseStatus: z.number().optional(),
    responseBody: z.string().optional(),
    createdAt: z.number(),
  }),
)
const deadPage = z.object({ cursor: z.string().optional(), messages: z.array(dead) })

/** Our own answers: that of a job that gave up, and the problem document. Both hold codes, no personal data. */
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
      const answer: unknown = await callQstash(account, (client) => client.publishJSON(request), bounds)
      const { messageId, deduplicated = false } = parseAnswer(published, answer)
      return { messageId, isDuplicate: deduplicated }
    },

    async listDeadLetters({ url, cursor, limit = DEAD_LETTERS_PER_PAGE_MAX, isPastBreaker = false } = {}) {
      const query = {
        count: Math.min(limit, DEAD_LETTERS_PER_PAGE_MAX),
        order: "latestFirst", // not QStash's default, and its client's `listMessages` has no option for it
        ...(url && { url }),
        ...(cursor && { cursor }),
      }
      const call = (client: Client) => client.http.request({ path: ["v2", "dlq"], query })
      const page = parseAnswer(deadPage, await callQstash(account, call, { isPastBreaker }))
      return {
        cursor: page.cursor || null,
        messages: page.messages.map(deadMessage),
      }
    },

    async findDeadLetter(dlqId) {
      try {
        const path = ["v2", "dlq", encodeURIComponent(dlqId)]
        return deadMessage(parseAnswer(dead, await callQstash(account, (client) => client.http.request({ path }))))
      } catch (error) {
        if (error instanceof QstashError && error.status === 404) return null
        throw error
      }
    },

    async redriveDeadLetters(dlqIds) {
      for (let start = 0; start < dlqIds.length; start += REDRIVE_MAX) {
        const batch = dlqIds.slice(start, start + REDRIVE_MAX)
        // Without ids this call would redrive everything; the loop never passes an empty batch.
        await callQstash(account, (client) => client.dlq.retry({ dlqIds: batch }))
      }
    },
  }
}

const deadMessage = ({ dlqId, messageId, url, ...last }: z.output<typeof dead>): DeadLetterMessage => ({
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
    return null // not JSON, so not our answer
  }
}

/** The options of a publication, in the form of QStash's client. */
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
