/**
 * The second sink: where a verified delivery is kept while Postgres does not answer. The copy is sealed and goes to
 * QStash, which brings it back by itself, else to a Redis stream, which the sweeper drains. It is stored through the same
 * unique key as any delivery, since the lost reply may have hidden a commit.
 */
import * as z from "zod"
import { fromBase64Url, toBase64Url } from "../../shared/crypto/bytes.ts"
import { openJson, sealJson } from "../../shared/crypto/seal.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import { QstashError } from "../platform/qstash/call.ts"
import type { Services } from "../platform/services.ts"
import type { ReadDelivery, VerifiedDelivery } from "./read-delivery.ts"

/** Deliveries wait here in the order in which they came. */
const FALLBACK_STREAM = "parked:deliveries"

/** Where deliveries go that can never be stored. */
const REFUSED_STREAM = "parked:refused"

/** QStash and Redis together must leave room within the five seconds that a provider waits at most. */
const QSTASH_TIMEOUT_MS = 1_200

/** Comes back soon after a short outage, and every five minutes in a long one. */
const RETRY_DELAY = "min(300000, 5000 * (1 + retried))"

/** Headers that normalizing needs again. */
const KEPT_HEADERS = ["webhook-id", "webhook-timestamp"]

const PLACE = { purpose: { name: "parked" }, context: ["parked", "delivery"] } as const

const parked = z.object({
  provider: z.enum(["stripe", "whop"] satisfies ProviderName[]),
  path: z.string().nullable(),
  rawBody: z.string(),
  headers: z.array(z.tuple([z.string(), z.string()])),
  receivedAt: z.iso.datetime(),
  // Copies of the version before do not say.
  isOwnSecret: z.boolean().default(false),
})

export type FallbackStore = "qstash" | "redis"

/** Keeps the delivery durably outside Postgres. Null: no sink took it, so it must not be acknowledged. */
export async function enqueueFallback(services: Services, read: ReadDelivery): Promise<FallbackStore | null> {
  const { config, qstash, redis, log } = services
  const sealed = toBase64Url(
    await sealJson(config.keys.encryption, PLACE, {
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
  const failed = (sink: FallbackStore, error: unknown): null => {
    log[sink === "redis" ? "error" : "warn"]("park_failed", { sink, eventId: read.eventId, error })
    return null
  }
  const toQstash = (isLastResort: boolean) =>
    qstash.publish({ ...publication, isLastResort }).then((): FallbackStore => "qstash")
  let isLeftAlone = false
  const first = await toQstash(false).catch((error: unknown) => {
    isLeftAlone = error instanceof QstashError && error.reason === "circuit_open"
    return failed("qstash", error)
  })
  if (first !== null) return first
  const second = await redis
    .xadd(FALLBACK_STREAM, "*", { sealed })
    .then((): FallbackStore => "redis")
    .catch((error: unknown) => failed("redis", error))
  if (second !== null || !isLeftAlone) return second
  // Nobody else is left: QStash may be back, and its breaker has not noticed.
  return toQstash(true).catch((error: unknown) => failed("qstash", error))
}

/** Opens a parked copy. Throws `SealError` when it is not one of ours. */
export async function openFallbackDelivery({ config }: Services, sealed: string): Promise<VerifiedDelivery> {
  const bytes = fromBase64Url(sealed) ?? new Uint8Array()
  const copy = parked.parse(await openJson(config.keys.encryption, PLACE, bytes))
  return {
    provider: copy.provider,
    path: copy.path,
    rawBody: fromBase64Url(copy.rawBody) ?? new Uint8Array(),
    headers: new Headers(copy.headers),
    receivedAt: new Date(copy.receivedAt),
    isOwnSecret: copy.isOwnSecret,
  }
}

/** Entries of a stream as Redis writes them: the client is told not to interpret anything. */
const entries = z.array(z.tuple([z.string(), z.array(z.string())]))

/** What waits in Redis, oldest first. */
export async function fallbackInRedis(
  { redis }: Services,
  max: number,
): Promise<readonly { readonly id: string; readonly sealed: string }[]> {
  const answer: unknown = await redis.xrange(FALLBACK_STREAM, "-", "+", max)
  return entries.parse(answer ?? []).map(([id, [, sealed = ""]]) => ({ id, sealed }))
}

/** Takes a copy out of Redis, once it is stored or, with a reason, because it never can be: then a person may look at it. */
export async function removeFromRedisFallback(
  { redis }: Services,
  entry: { readonly id: string; readonly sealed: string },
  refused: string | null,
) {
  if (refused !== null) await redis.xadd(REFUSED_STREAM, "*", { sealed: entry.sealed, reason: refused })
  await redis.xdel(FALLBACK_STREAM, entry.id)
}

/** A copy that could never be stored, without what is in it. */
export interface RejectedDelivery {
  /** Its place in the stream, which begins with the time in milliseconds. */
  readonly id: string
  readonly reason: string
}

/** Copies that were refused, the latest first; `before` is the last one of the page before. */
export async function rejectedDeliveries(
  { redis }: Services,
  { limit, before }: { readonly limit: number; readonly before: string | null },
): Promise<readonly RejectedDelivery[]> {
  const answer: unknown = await redis.xrevrange(REFUSED_STREAM, before === null ? "+" : `(${before}`, "-", limit)
  return entries.parse(answer ?? []).map(([id, fields]) => ({ id, reason: fieldOf(fields, "reason") ?? "unknown" }))
}

/** Puts a refused copy back in line for the sweeper. False: there is none of that id. */
export async function retryRejected({ redis }: Services, id: string): Promise<boolean> {
  const answer: unknown = await redis.xrange(REFUSED_STREAM, id, id, 1)
  const sealed = entries.parse(answer ?? [])[0]
  const copy = sealed && fieldOf(sealed[1], "sealed")
  if (copy === undefined) return false
  // In this order: lost between the two it is there twice, and the same event is stored once.
  await redis.xadd(FALLBACK_STREAM, "*", { sealed: copy })
  await redis.xdel(REFUSED_STREAM, id)
  return true
}

/** The value of a field of an entry, which is written as names and values in turn. */
function fieldOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((field, index) => index % 2 === 0 && field === name)
  return at === -1 ? undefined : fields[at + 1]
}
