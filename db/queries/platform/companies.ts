/** Companies, their accounts at providers, their secrets and their settings. */
import { and, desc, eq, gt, isNull, or, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { companySettings, webhookSecrets } from "../../schema.ts"

/** The company in the path, else the one with the provider's account; null when there is none. */
export async function companyOf(
  db: Db,
  {
    path,
    provider,
    account,
  }: { readonly path: string | null; readonly provider: ProviderName; readonly account: string | null },
): Promise<string | null> {
  const result = await db.execute<{ company: string | null }>(
    sql`select company_of(${path}, ${provider}, ${account}) as company`,
  )
  return result.rows[0]?.company ?? null
}

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

/** The owner of the API key with this SHA-256; null when it is unknown or revoked. */
export async function findApiKey(
  db: Db,
  hash: Uint8Array,
): Promise<{ readonly companyId: string; readonly id: string; readonly role: string } | null> {
  const hex = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  const result = await db.execute<{ company_id: string; id: string; role: string }>(
    sql`select company_id, id, role from find_api_key(decode(${hex}, 'hex'))`,
  )
  const row = result.rows[0]
  return row ? { companyId: row.company_id, id: row.id, role: row.role } : null
}
