/** Companies, their accounts at providers, their secrets and their settings. */
import { and, desc, eq, gt, isNull, or, sql } from "drizzle-orm"
import { toHex } from "../../../shared/crypto/bytes.ts"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { companySettings, webhookSecrets } from "../../schema.ts"

/** A company, and since when it is closed. */
export interface KnownCompany {
  readonly id: string
  readonly closedAt: Date | null
}

/** The company in the path, else the one with the provider's account; null when there is none. */
export async function companyOf(
  db: Db,
  {
    path,
    provider,
    account,
  }: { readonly path: string | null; readonly provider: ProviderName; readonly account: string | null },
): Promise<KnownCompany | null> {
  const result = await db.execute<{ company: string; closed_at: string | null }>(
    sql`select company, closed_at from company_of(${path}, ${provider}, ${account})`,
  )
  const row = result.rows[0]
  return row ? { id: row.company, closedAt: timeOf(row.closed_at) } : null
}

/** Times of a function's rows are text. */
const timeOf = (text: string | null | undefined): Date | null => (text ? new Date(text) : null)

/** The account of the latest event about a customer or an object; null when it names none. */
export async function accountOfSubject(
  db: Db,
  companyId: string,
  provider: ProviderName,
  subject: string,
): Promise<string | null> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ account: string }>(sql`
      select k.account from facts f
      join webhook_event_keys k on k.company_id = f.company_id and k.event_id = f.event_id and k.provider = f.provider
      where f.company_id = ${companyId} and f.provider = ${provider} and f.subject = ${subject}
      order by f.recorded_at desc, f.id desc limit 1`),
  ])
  const account = result.rows[0]?.account ?? ""
  return account === "" ? null : account
}

/** The ids of all companies. */
export async function companyIds(db: Db): Promise<readonly string[]> {
  const result = await db.execute<{ id: string }>(sql`select id from company_ids()`)
  return result.rows.map(({ id }) => id)
}

/** Ids as one array parameter of a database function; null for all companies. */
export const textArray = (ids: readonly string[] | null) =>
  ids === null ? sql`null::text[]` : sql`array(select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`

/** The company's own signing secrets for a provider, sealed, without expired ones; the newest first. */
export async function webhookSecretsOf(
  db: Db,
  companyId: string,
  provider: ProviderName,
  now: Date,
): Promise<readonly { readonly id: string; readonly sealed: Uint8Array; readonly expiresAt: Date | null }[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ id: webhookSecrets.id, sealed: webhookSecrets.sealed, expiresAt: webhookSecrets.expiresAt })
      .from(webhookSecrets)
      .where(
        and(
          eq(webhookSecrets.companyId, companyId),
          eq(webhookSecrets.provider, provider),
          or(isNull(webhookSecrets.expiresAt), gt(webhookSecrets.expiresAt, now)),
        ),
      )
      .orderBy(desc(webhookSecrets.createdAt), desc(webhookSecrets.id)),
  ])
  return rows
}

/** The company's stored settings; null when it has none. */
export async function settingsOf(db: Db, companyId: string): Promise<unknown> {
  const [rows] = await inCompany(db, companyId, [
    db.select().from(companySettings).where(eq(companySettings.companyId, companyId)),
  ])
  return rows[0]?.settings ?? null
}

/** Replaces the company's settings. */
export async function saveSettings(db: Db, companyId: string, settings: unknown, now: Date): Promise<void> {
  const row = { companyId, settings, updatedAt: now }
  await inCompany(db, companyId, [
    db
      .insert(companySettings)
      .values(row)
      .onConflictDoUpdate({ target: companySettings.companyId, set: { settings, updatedAt: now } }),
  ])
}

/** The owner of an API key. */
export interface KeyOwner {
  /** Null: an operator's key. */
  readonly companyId: string | null
  readonly id: string
  readonly role: string
  readonly expiresAt: Date | null
  /** Since when its company is closed. */
  readonly companyClosedAt: Date | null
}

/** The owner of the API key with this SHA-256; null when it is unknown or revoked. */
export async function findApiKey(db: Db, hash: Uint8Array): Promise<KeyOwner | null> {
  const result = await db.execute<{
    company_id: string | null
    id: string
    role: string
    expires_at: string | null
    closed_at: string | null
  }>(sql`select company_id, id, role, expires_at, closed_at from find_api_key(decode(${toHex(hash)}, 'hex'))`)
  const row = result.rows[0]
  if (!row) return null
  return {
    companyId: row.company_id,
    id: row.id,
    role: row.role,
    expiresAt: timeOf(row.expires_at),
    companyClosedAt: timeOf(row.closed_at),
  }
}

/** Records that the key with this SHA-256 was used, unless a use after `since` is recorded already. */
export async function markApiKeyUsed(db: Db, hash: Uint8Array, now: Date, since: Date): Promise<void> {
  await db.execute(
    sql`select mark_api_key_used(decode(${toHex(hash)}, 'hex'), ${now.toISOString()}, ${since.toISOString()})`,
  )
}
