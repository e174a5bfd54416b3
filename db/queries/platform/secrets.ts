/** A company's own webhook secrets, which its admins rotate. They are stored sealed, and opened elsewhere. */
import { and, desc, eq, gt, isNull, ne, or, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { webhookSecrets } from "../../schema.ts"

/** A stored secret; null in `expiresAt`: valid until it is ended. */
export type SecretRow = typeof webhookSecrets.$inferSelect

/** Expired secrets are kept as a record; more than this need not be shown. */
const LISTED_MAX = 100

/** The company's secrets, expired ones too, the newest first. */
export async function listSecrets(db: Db, companyId: string): Promise<readonly SecretRow[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(webhookSecrets)
      .where(eq(webhookSecrets.companyId, companyId))
      .orderBy(desc(webhookSecrets.createdAt), desc(webhookSecrets.id))
      .limit(LISTED_MAX),
  ])
  return rows
}

/** Adds a secret, and lets the provider's others without an expiry expire at `othersUntil`; in one transaction. */
export async function addSecret(db: Db, secret: SecretRow, othersUntil: Date): Promise<void> {
  const { companyId, provider } = secret
  await inCompany(db, companyId, [
    db
      .update(webhookSecrets)
      .set({ expiresAt: othersUntil })
      .where(
        and(
          eq(webhookSecrets.companyId, companyId),
          eq(webhookSecrets.provider, provider),
          isNull(webhookSecrets.expiresAt),
        ),
      ),
    db.insert(webhookSecrets).values(secret),
  ])
}

/**
 * Ends a secret at `now`. The newest of the others that are valid loses its expiry: its successor may be gone, and an
 * endpoint must not lose its last secret through an expiry.
 */
export async function endSecret(
  db: Db,
  { companyId, id, provider }: { readonly companyId: string; readonly id: string; readonly provider: ProviderName },
  now: Date,
): Promise<void> {
  const isOfProvider = and(eq(webhookSecrets.companyId, companyId), eq(webhookSecrets.provider, provider))
  const isValid = or(isNull(webhookSecrets.expiresAt), gt(webhookSecrets.expiresAt, now))
  await inCompany(db, companyId, [
    db
      .update(webhookSecrets)
      .set({ expiresAt: now })
      .where(and(isOfProvider, eq(webhookSecrets.id, id))),
    db
      .update(webhookSecrets)
      .set({ expiresAt: null })
      .where(
        and(
          isOfProvider,
          ne(webhookSecrets.id, id),
          eq(
            webhookSecrets.id,
            sql`(select s.id from webhook_secrets s
              where s.company_id = ${companyId} and s.provider = ${provider}
                and (s.expires_at is null or s.expires_at > ${now.toISOString()})
              order by s.created_at desc, s.id desc limit 1)`,
          ),
          isValid,
        ),
      ),
  ])
}
