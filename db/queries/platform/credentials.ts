/** A company's own credentials: sealed, and opened elsewhere. */
import { and, asc, eq, sql } from "drizzle-orm"
import type { CredentialKind, SharedKind } from "../../../shared/credentials.ts"
import { type Db, inCompany } from "../../client.ts"
import { companyCredentials } from "../../schema.ts"

/** A stored credential. */
export type CredentialRow = typeof companyCredentials.$inferSelect

/** The company's credentials, and for which kinds it may use the deployment's; one round trip. */
export async function readCredentials(
  db: Db,
  companyId: string,
): Promise<{ readonly rows: readonly CredentialRow[]; readonly sharedKinds: readonly SharedKind[] }> {
  const [rows, companies] = await inCompany(db, companyId, [
    db
      .select()
      .from(companyCredentials)
      .where(eq(companyCredentials.companyId, companyId))
      .orderBy(asc(companyCredentials.kind)),
    db.execute<{ shared: readonly SharedKind[] }>(
      sql`select to_jsonb(shared_kinds) as shared from companies where id = ${companyId}`,
    ),
  ])
  return { rows, sharedKinds: companies.rows[0]?.shared ?? [] }
}

/** Stores a credential in place of the earlier one of its kind. */
export async function saveCredential(db: Db, row: CredentialRow): Promise<void> {
  const { companyId, kind, ...set } = row
  await inCompany(db, companyId, [
    db
      .insert(companyCredentials)
      .values(row)
      .onConflictDoUpdate({ target: [companyCredentials.companyId, companyCredentials.kind], set }),
  ])
}

/** Deletes a credential. False when there is none of that kind. */
export async function deleteCredential(db: Db, companyId: string, kind: CredentialKind): Promise<boolean> {
  const [rows] = await inCompany(db, companyId, [
    db
      .delete(companyCredentials)
      .where(and(eq(companyCredentials.companyId, companyId), eq(companyCredentials.kind, kind)))
      .returning({ kind: companyCredentials.kind }),
  ])
  return rows.length > 0
}
