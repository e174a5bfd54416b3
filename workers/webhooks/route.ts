/**
 * `POST /api/webhooks/:provider[/:companyId]`: verifies the signature, records the delivery, answers. It answers 2xx only after
 * the delivery is durable, in Postgres or in the fallback queue.
 */
import { type Context, Hono } from "hono"
import type { ProviderName } from "../../shared/domain/facts.ts"
import type { Verified } from "../../shared/provider.ts"
import { type SigningSecrets, signingSecrets } from "../platform/companies.ts"
import { AppError } from "../platform/errors.ts"
import { limitBody } from "../platform/http/limit-body.ts"
import { limitInvalidRequests } from "../platform/limits/clients.ts"
import { enforceDeliveryLimit } from "../platform/limits/companies.ts"
import type { AppEnv, Services } from "../platform/services.ts"
import { enqueueFallback } from "./fallback-queue.ts"
import { ingest } from "./ingest.ts"
import { type ReadDelivery, readDelivery } from "./read-delivery.ts"
import { enterDelivery, ownerOf } from "./record-delivery.ts"

/** Providers' bodies are a few KiB; Stripe's largest stay far below. */
const BODY_BYTES_MAX = 1024 * 1024

/** Providers retry after a 503; Whop within 10 seconds. */
const RETRY_AFTER_SECONDS = 10

const COMPANY_ID = /^[A-Za-z0-9_-]{1,64}$/

/** Also with a trailing slash: people type one, and the provider's settings page accepts it. */
const PATHS = ["/:provider", "/:provider/", "/:provider/:companyId", "/:provider/:companyId/"]

export const webhooks = new Hono<AppEnv>().on(
  "POST",
  PATHS,
  limitInvalidRequests,
  limitBody(BODY_BYTES_MAX),
  async (c) => {
    const services = c.get("services")
    const name = c.req.param("provider") ?? ""
    const provider = services.providers[name as ProviderName]
    const path = c.req.param("companyId") ?? null
    if (!provider || !Object.hasOwn(services.providers, name)) {
      throw new AppError("NOT_FOUND", "There is no such provider.", { reason: "unknown_provider" })
    }
    const isPossible = path === null || COMPANY_ID.test(path)

    const receivedAt = services.now()
    const rawBody = new Uint8Array(await c.req.arrayBuffer())
    const headers = c.req.raw.headers
    // An impossible company id is answered like an unknown one: 404 only to a signed request.
    const { secrets, isOwn, companyId: endpoint } = await secretsFor(services, provider.name, isPossible ? path : null)
    const verified = secrets.length === 0 ? null : await provider.verify({ headers, rawBody, now: receivedAt, secrets })
    if (!verified?.ok) {
      throw new AppError("UNAUTHENTICATED", "The signature was not accepted.", {
        reason: verified?.error.reason ?? "no_secret_configured",
      })
    }
    if (!isPossible) throw new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })

    const from = { provider: provider.name, path, endpoint, isOwnSecret: isOwn }
    // Only who sent a valid signature waits for a place or has one.
    const { leave, waitedMs } = await enterDelivery(services)
    const work = (async () => {
      try {
        const read = await readDelivery(services, { ...from, rawBody, headers, receivedAt, waitedMs })
        const isDuplicate = await store(c, read, verified.value)
        return c.json({ received: true, id: read.eventId, duplicate: isDuplicate })
      } finally {
        leave()
      }
    })()
    // Without it the work of a client that disconnects would end without freeing its place.
    services.waitUntil(work.catch(() => undefined))
    return work
  },
)

const notNow = (reason: string): AppError =>
  new AppError("UNAVAILABLE", "The event could not be taken in now. Please send it again.", {
    reason,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  })

/** Deliveries of unmapped accounts share one limit; no company has this id. */
const UNMAPPED = "(unmapped)"

/** Records in Postgres, else in the fallback queue, else answers 503. Returns whether the event was recorded before. */
async function store(c: Context<AppEnv>, read: ReadDelivery, { secretIndex, scheme }: Verified): Promise<boolean> {
  const services = c.get("services")
  const { log, waitUntil } = services
  const fields = { provider: read.provider, eventId: read.eventId, eventType: read.delivery.type, secretIndex, scheme }
  try {
    const owner = await ownerOf(services, read)
    enforceDeliveryLimit(c, owner.kind === "company" ? owner.companyId : UNMAPPED)
    const { companyId, recorded, follow } = await ingest(services, read, owner)
    log.info("webhook_recorded", { ...fields, companyId, isNew: recorded.isNew })
    if (recorded.setAside) log.error("customer_quarantined", { ...fields, companyId, reason: recorded.setAside })
    if (follow)
      waitUntil(follow().catch((error) => log.warn("advance_deferred_to_sweep", { ...fields, companyId, error })))
    return !recorded.isNew
  } catch (error) {
    if (error instanceof AppError) throw error
    log.warn("webhook_record_failed", { ...fields, error })
  }
  const sink = await enqueueFallback(services, read)
  if (sink === null) throw notNow("no_sink")
  log.info("webhook_queued_to_fallback", { ...fields, sink })
  return false
}

/** The secrets of the endpoint. Throws UNAVAILABLE while Postgres is unreachable and this isolate has no copy of them. */
async function secretsFor(services: Services, provider: ProviderName, path: string | null): Promise<SigningSecrets> {
  try {
    return await signingSecrets(services, provider, path)
  } catch (error) {
    if (error instanceof AppError) throw error
    services.log.warn("secrets_read_failed", { provider, error })
    throw notNow("secrets_read_failed")
  }
}
