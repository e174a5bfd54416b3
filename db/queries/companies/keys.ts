/** API keys of a company, and with null the operators'. A key's hash is stored, never the key. */
import { and, desc, eq, isNull, sql } from "drizzle-orm"
import { toHex } from "../../../shared/crypto/bytes.ts"
import { type Db, inCompany } from "../../client.ts"
import { apiKeys } from "../../schema.ts"

/** A key as it is shown. */
export type KeyRow = Omit<typeof apiKeys.$inferSelect, "hash">

/** Revoked and expired keys stay as a record; more than this need not be shown. */
const LISTED_MAX = 200

const COLUMNS = {
  companyId: apiKeys.companyId,
  id: apiKeys.id,
  name: apiKeys.name,
  role: apiKeys.role,
  createdAt: apiKeys.createdAt,
  revokedAt: apiKeys.revokedAt,
  prefix: apiKeys.prefix,
  createdBy: apiKeys.createdBy,
  expiresAt: apiKeys.expiresAt,
  lastUsedAt: apiKeys.lastUsedAt,
} as const

/** The keys, the newest first. */
export async function listKeys(db: Db, companyId: string | null): Promise<readonly KeyRow[]> {
  const [rows] = await inCompany(db, companyId ?? "", [
    db
      .select(COLUMNS)
      .from(apiKeys)
      .where(companyId === null ? isNull(apiKeys.companyId) : eq(apiKeys.companyId, companyId))
      .orderBy(desc(apiKeys.createdAt), desc(apiKeys.id))
      .limit(LISTED_MAX),
  ])
  return rows
}

/** One key; null when there is none with that id. */
export async function readKey(db: Db, companyId: string | null, id: string): Promise<KeyRow | null> {
  const [rows] = await inCompany(db, companyId ?? "", [
    db
      .select(COLUMNS)
      .from(apiKeys)
      .where(
        and(companyId === null ? isNull(apiKeys.companyId) : eq(apiKeys.companyId, companyId), eq(apiKeys.id, id)),
      ),
  ])
  return rows[0] ?? null
}

/** A key to add, and the key that it replaces, which expires at `until` at the latest. */
export interface NewKey {
  readonly companyId: string | null
  readonly id: string
  readonly name: string
  readonly role: string
  readonly hash: Uint8Array
  readonly prefix: string
  readonly createdBy: string
  readonly expiresAt: Date | null
  readonly replaces: { readonly id: string; readonly until: Date } | null
}

/** Adds a key. False when the key that it replaces is not valid any more: then nothing is added. */
export async function addKey(db: Db, key: NewKey, now: Date): Promise<boolean> {
  const [result] = await inCompany(db, key.companyId ?? "", [
    db.execute<{ added: boolean }>(sql`select add_api_key(${key.id}, ${key.name}, ${key.role},
      decode(${toHex(key.hash)}, 'hex'), ${key.prefix}, ${key.createdBy}, ${now.toISOString()},
      ${key.expiresAt?.toISOString() ?? null}, ${key.replaces?.id ?? null},
      ${key.replaces?.until.toISOString() ?? null}) as added`),
  ])
  return result.rows[0]?.added === true
}

/** Revokes a key now. False when there is none with that id. */
export async function revokeKey(db: Db, companyId: string | null, id: string, now: Date): Promise<boolean> {
  const [result] = await inCompany(db, companyId ?? "", [
    db.execute<{ found: boolean }>(sql`select revoke_api_key(${id}, ${now.toISOString()}) as found`),
  ])
  return result.rows[0]?.found === true
}
