/**
 * The fallback queue: where a verified delivery waits while Postgres does not answer. The sealed delivery goes to QStash,
 * which delivers it again, else to a Redis stream, which the sweep drains. It is recorded under the same unique key as any
 * delivery, since Postgres may have committed it although the reply was lost.
 */
import * as z from "zod"
import { fromBase64Url, toBase64Url } from "../../shared/crypto/bytes.ts"
import { openJson, sealJson } from "../../shared/crypto/seal.ts"
import { PROVIDERS } from "../../shared/domain/facts.ts"
import { QstashError } from "../platform/qstash/call.ts"
import type { Services } from "../platform/services.ts"
import type { ReadDelivery, VerifiedDelivery } from "./read-delivery.ts"

/** Deliveries wait here in the order in which they were received. */
const FALLBACK_STREAM = "parked:deliveries"

/** Deliveries that can never be stored. */
const REJECTED_STREAM = "parked:refused"

/** QStash and Redis together must leave room within the five seconds that a provider waits at most. */
const QSTASH_TIMEOUT_MS = 1_200

/** Delivers soon after a short outage, and retries every five minutes in a long one. */
const RETRY_DELAY = "min(300000, 5000 * (1 + retried))"

/** Headers that `normalize` needs. */
const KEPT_HEADERS = ["webhook-id", "webhook-timestamp"]

const SEAL_PLACE = { purpose: { name: "parked" }, context: ["parked", "delivery"] } as const

const queuedDelivery = z.lazy(() =>
  z.object({
    provider: z.enum(PROVIDERS),
    path: z.string().nullable(),
    rawBody: z.string(),
    headers: z.array(z.tuple([z.string(), z.string()])),
    receivedAt: z.iso.datetime(),
    // Absent in deliveries that the previous version queued.
    isOwnSecret: z.boolean().default(false),
  }),
)

export type FallbackStore = "qstash" | "redis"

/** Stores the delivery durably outside Postgres. Null: no store accepted it, so it must not be acknowledged. */
export async function enqueueFallback(services: Services, read: ReadDelivery): Promise<FallbackStore | null> {
  const { config, qstash, redis, log } = services
  const sealed = toBase64Url(
    await sealJson(config.keys.encryption, SEAL_PLACE, {
      provider: read.provider,
      path: read.path,
      rawBody: toBase64Url(read.rawBody),
      headers: KEPT_HEADERS.flatMap((name) => {
        const value = read.headers.get(name)
        return value === null ? [] : [[name, value]]
      }),
      receivedAt: read.receivedAt.toISOString(),
      isOwnSecret: read.isOwnSecret ?? false,
    }),
  )
  const publication = {
    url: `${config.appUrl}/jobs/ingest`,
    body: { sealed },
    deduplicationId: `ingest-${read.eventId}-${read.path ?? ""}`,
    retryDelay: RETRY_DELAY,
    timeoutMs: QSTASH_TIMEOUT_MS,
  }
  const logFailure = (sink: FallbackStore, error: unknown): null => {
    log[sink === "redis" ? "error" : "warn"]("fallback_failed", { sink, eventId: read.eventId, error })
    return null
  }
  const toQstash = (isLastResort: boolean) =>
    qstash.publish({ ...publication, isLastResort }).then((): FallbackStore => "qstash")
  let isCircuitOpen = false
  const first = await toQstash(false).catch((error: unknown) => {
    isCircuitOpen = error instanceof QstashError && error.reason === "circuit_open"
    return logFailure("qstash", error)
  })
  if (first !== null) return first
  const second = await redis
    .xadd(FALLBACK_STREAM, "*", { sealed })
    .then((): FallbackStore => "redis")
    .catch((error: unknown) => logFailure("redis", error))
  if (second !== null || !isCircuitOpen) return second
  // The last resort: QStash may work again although its circuit breaker is still open.
  return toQstash(true).catch((error: unknown) => logFailure("qstash", error))
}

/** Opens a delivery from the fallback queue. Throws `SealError` when it was not sealed by this deployment. */
export async function openFallbackDelivery({ config }: Services, sealed: string): Promise<VerifiedDelivery> {
  const bytes = fromBase64Url(sealed) ?? new Uint8Array()
  const queued = queuedDelivery.parse(await openJson(config.keys.encryption, SEAL_PLACE, bytes))
  return {
    provider: queued.provider,
    path: queued.path,
    rawBody: fromBase64Url(queued.rawBody) ?? new Uint8Array(),
    headers: new Headers(queued.headers),
    receivedAt: new Date(queued.receivedAt),
    isOwnSecret: queued.isOwnSecret,
  }
}

/** Entries of a stream as Redis writes them: the client is configured not to parse answers. */
const entries = z.array(z.tuple([z.string(), z.array(z.string())]))

/** The deliveries that wait in Redis, oldest first. */
export async function fallbackInRedis(
  { redis }: Services,
  max: number,
): Promise<readonly { readonly id: string; readonly sealed: string }[]> {
  const answer: unknown = await redis.xrange(FALLBACK_STREAM, "-", "+", max)
  return entries.parse(answer ?? []).map(([id, [, sealed = ""]]) => ({ id, sealed }))
}

/** Removes a stored delivery from the stream; one that can never be stored moves to the rejected ones, with the reason. */
export async function removeFromRedisFallback(
  { redis }: Services,
  entry: { readonly id: string; readonly sealed: string },
  rejectedFor: string | null,
) {
  if (rejectedFor !== null) await redis.xadd(REJECTED_STREAM, "*", { sealed: entry.sealed, reason: rejectedFor })
  await redis.xdel(FALLBACK_STREAM, entry.id)
}

/** A delivery that can never be stored, without its content. */
export interface RejectedDelivery {
  /** Its id in the stream, which begins with the time in milliseconds. */
  readonly id: string
  readonly reason: string
}

/** Rejected deliveries, the latest first; `before` is the last id of the previous page. */
export async function rejectedDeliveries(
  { redis }: Services,
  { limit, before }: { readonly limit: number; readonly before: string | null },
): Promise<readonly RejectedDelivery[]> {
  const answer: unknown = await redis.xrevrange(REJECTED_STREAM, before === null ? "+" : `(${before}`, "-", limit)
  return entries.parse(answer ?? []).map(([id, fields]) => ({ id, reason: fieldOf(fields, "reason") ?? "unknown" }))
}

/** Queues a rejected delivery again for the sweep. False: there is none with that id. */
export async function retryRejected({ redis }: Services, id: string): Promise<boolean> {
  const answer: unknown = await redis.xrange(REJECTED_STREAM, id, id, 1)
  const entry = entries.parse(answer ?? [])[0]
  const sealed = entry && fieldOf(entry[1], "sealed")
  if (sealed === undefined) return false
  // In this order: after a crash between the two it is in both streams, and the event is still recorded once.
  await redis.xadd(FALLBACK_STREAM, "*", { sealed })
  await redis.xdel(REJECTED_STREAM, id)
  return true
}

/** The value of a field of an entry, which is a list of names and values in turn. */
function fieldOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((field, index) => index % 2 === 0 && field === name)
  return at === -1 ? undefined : fields[at + 1]
}
