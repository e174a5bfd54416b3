/** A company's own webhook secrets, as its admins rotate them. What is sealed in them is opened elsewhere. */
import { and, desc, eq, gt, isNull, ne, or, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { webhookSecrets } from "../../schema.ts"

/** A secret as it is stored; null in `expiresAt`: valid until somebody says otherwise. */
export type SecretRow = typeof webhookSecrets.$inferSelect

/** Expired ones are kept as a record; nobody needs to see more of it than this. */
const SHOWN_MAX = 100

/** The company's secrets, expired ones too, the newest first. */
export async function listSecrets(db: Db, companyId: string): Promise<readonly SecretRow[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(webhookSecrets)
      .where(eq(webhookSecrets.companyId, companyId))
      .orderBy(desc(webhookSecrets.createdAt), desc(webhookSecrets.id))
      .limit(SHOWN_MAX),
  ])
  return rows
}

/** Adds a secret; those of the provider that had no end get `othersUntil`. Both, or neither. */
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
 * Ends a secret at `now`. Of those that remain valid the newest has no end afterwards: what was to follow it is gone, and
 * an endpoint must not lose its last secret by the mere passing of time.
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
