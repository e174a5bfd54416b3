/**
 * `/api/secrets/webhooks`: the secrets that sign the webhooks of a company's own endpoint. A new one is added here
 * before it is set at the provider, and the earlier ones stay valid for an overlap, so that no delivery is refused
 * meanwhile. No answer and no log line holds a secret; fingerprints distinguish them.
 */

import { Hono } from "hono"
import * as z from "zod"
import { postgresCode } from "../../db/client.ts"
import { addSecret, endSecret, listSecrets, type SecretRow } from "../../db/queries/platform/secrets.ts"
import { fromUtf8, sha256, utf8 } from "../../shared/crypto/bytes.ts"
import { open, SealError, seal } from "../../shared/crypto/seal.ts"
import { PROVIDERS } from "../../shared/domain/facts.ts"
import { clearSecretsCache, secretSealContext } from "../platform/companies.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validId, validJson } from "../platform/http/request.ts"
import type { AppEnv, Services } from "../platform/services.ts"

/** The bounds of the deployment's own secrets; Stripe's have 38 characters, Whop's 67. */
const SECRET_CHARS_MIN = 16
const SECRET_CHARS_MAX = 512

/** A week is enough to change an endpoint; a secret with a longer overlap would be forgotten. */
const OVERLAP_HOURS_MAX = 7 * 24
const OVERLAP_HOURS_DEFAULT = 24

/** A delivery is verified against each of them in turn. */
const ACTIVE_MAX = 5

const HOUR_MS = 3_600_000

const newSecret = z.lazy(() =>
  z.strictObject({
    provider: z.enum(PROVIDERS),
    secret: z
      .string()
      .min(SECRET_CHARS_MIN, `expected at least ${SECRET_CHARS_MIN} characters`)
      .max(SECRET_CHARS_MAX, `expected at most ${SECRET_CHARS_MAX} characters`)
      .regex(/^[\x21-\x2b\x2d-\x7e]+$/, "expected visible characters without spaces and commas"),
    overlapHours: z.number().int().min(0).max(OVERLAP_HOURS_MAX).default(OVERLAP_HOURS_DEFAULT),
  }),
)

const ending = z.lazy(() => z.strictObject({ force: z.boolean().default(false) }))

export const secrets = new Hono<AppEnv>()
  .get("/webhooks", withPermission("secrets:read"), async (c) => {
    const services = c.get("services")
    const rows = await listSecrets(services.db, c.get("principal").companyId)
    return c.json({ data: await Promise.all(rows.map((row) => showSecret(services, row))), nextCursor: null })
  })
  .post("/webhooks", withPermission("secrets:write"), validJson(newSecret), async (c) => {
    const services = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { provider, secret, overlapHours } = c.req.valid("json")
    const { config, db, log, newId, now } = services
    const at = now()

    const active = (await listSecrets(db, companyId)).filter((row) => row.provider === provider && isActive(row, at))
    const known = await Promise.all(active.map((row) => openSecret(services, row)))
    if (known.includes(secret)) {
      throw new AppError("CONFLICT", "This secret is there already.", { reason: "secret_known" })
    }
    if (active.length >= ACTIVE_MAX) {
      throw new AppError("CONFLICT", `No more than ${ACTIVE_MAX} secrets of a provider are valid at once.`, {
        reason: "too_many_secrets",
      })
    }
    const id = newId()
    const sealed = await seal(config.keys.encryption, secretSealContext(id, companyId), utf8(secret))
    const row: SecretRow = { companyId, id, provider, sealed, expiresAt: null, createdAt: at, createdBy: keyId }
    const othersUntil = new Date(at.getTime() + overlapHours * HOUR_MS)
    try {
      await addSecret(db, row, othersUntil)
    } catch (error) {
      // An operator may name any company; secrets belong to one that exists.
      if (postgresCode(error) === FOREIGN_KEY_VIOLATION) throw new AppError("NOT_FOUND", "There is no such company.")
      throw error
    }
    clearSecretsCache(provider, companyId)
    log.info("webhook_secret_added", { companyId, keyId, provider, secretId: id, count: active.length + 1 })
    const others = active.filter(({ expiresAt }) => expiresAt === null).length
    return c.json(
      {
        ...(await showSecret(services, row)),
        othersAcceptedUntil: others === 0 ? null : othersUntil.toISOString(),
      },
      201,
    )
  })
  .delete(
    "/webhooks/:id",
    withPermission("secrets:write"),
    validId(),
    validJson(ending, { isOptional: true }),
    async (c) => {
      const services = c.get("services")
      const { companyId, keyId } = c.get("principal")
      const { id } = c.req.valid("param")
      const { force } = c.req.valid("json")
      const at = services.now()

      const rows = await listSecrets(services.db, companyId)
      const row = rows.find((candidate) => candidate.id === id)
      if (row === undefined) throw new AppError("NOT_FOUND", "There is no such secret.")
      const others = rows.filter((other) => other.id !== id && other.provider === row.provider && isActive(other, at))
      // Without a secret of its own the endpoint accepts the deployment's again, which must not happen by mistake.
      if (isActive(row, at) && others.length === 0 && !force) {
        throw new AppError("CONFLICT", "This is the last secret; without it the deployment's own count again.", {
          reason: "last_secret",
        })
      }
      if (isActive(row, at)) await endSecret(services.db, row, at)
      clearSecretsCache(row.provider, companyId)
      const fields = { companyId, keyId, provider: row.provider, secretId: id, count: others.length }
      services.log.info("webhook_secret_ended", fields)
      return c.json(await showSecret(services, isActive(row, at) ? { ...row, expiresAt: at } : row))
    },
  )

const FOREIGN_KEY_VIOLATION = "23503"

const isActive = ({ expiresAt }: SecretRow, at: Date): boolean => expiresAt === null || expiresAt > at

/** The secret; null when its master key is no longer configured. */
async function openSecret({ config }: Services, { id, companyId, sealed }: SecretRow): Promise<string | null> {
  try {
    return fromUtf8(await open(config.keys.encryption, secretSealContext(id, companyId), sealed))
  } catch (error) {
    if (error instanceof SealError) return null
    throw error
  }
}

/** The first digits of the SHA-256: enough to distinguish secrets, and to check one with `sha256sum`. */
const FINGERPRINT_CHARS = 8

async function fingerprintOf(secret: string): Promise<string> {
  const digest = await sha256(utf8(secret))
  return [...digest]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .slice(0, FINGERPRINT_CHARS)
}

async function showSecret(services: Services, row: SecretRow) {
  const secret = await openSecret(services, row)
  return {
    id: row.id,
    companyId: row.companyId,
    provider: row.provider,
    fingerprint: secret === null ? null : await fingerprintOf(secret),
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    expiresAt: row.expiresAt?.toISOString() ?? null,
    isActive: isActive(row, services.now()),
  }
}
