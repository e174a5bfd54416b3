/** Brand names of a company: the chosen one, and an operator's decisions. */
import { desc, eq, sql } from "drizzle-orm"
import type { StoredBranding } from "../../../shared/domain/messaging/branding.ts"
import { type Db, inCompany } from "../../client.ts"
import { brandDecisions, companySettings } from "../../schema.ts"
import { type BrandingRow, brandingFrom, brandingStatement } from "./branding.ts"

/** One decision of an operator on one name. */
export type BrandDecision = typeof brandDecisions.$inferSelect

/** More names per company are not read: an operator approves each manually. */
const NAMES_MAX = 100

/** Statement: the names that are approved for the entered company, the latest decision first; `approvedFrom` reads its result. */
export const approvedStatement = (db: Db) =>
  db.execute<{ name: string }>(sql`
    select d.name from (
      select distinct on (b.name) b.name, b.is_approved, b.at, b.id from ${brandDecisions} b
      where b.company_id = app_company() order by b.name, b.at desc, b.id desc
    ) as d where d.is_approved order by d.at desc, d.id desc limit ${NAMES_MAX}`)

/** The names that `approvedStatement` read. */
export const approvedFrom = (result: { readonly rows: readonly { readonly name: string }[] }): readonly string[] =>
  result.rows.map(({ name }) => name)

/** What decides name and look of a company's messages, and the latest decisions; one round trip. Null: there is no such company. */
export async function readBrand(
  db: Db,
  companyId: string,
): Promise<{
  readonly companyName: string
  readonly settings: unknown
  readonly approved: readonly string[]
  readonly decisions: readonly BrandDecision[]
  readonly branding: StoredBranding<BrandingRow>
} | null> {
  const [named, stored, approved, decisions, branding] = await inCompany(db, companyId, [
    db.execute<{ name: string }>(sql`select name from companies where id = ${companyId}`),
    db.select().from(companySettings).where(eq(companySettings.companyId, companyId)),
    approvedStatement(db),
    db
      .select()
      .from(brandDecisions)
      .where(eq(brandDecisions.companyId, companyId))
      .orderBy(desc(brandDecisions.at), desc(brandDecisions.id))
      .limit(NAMES_MAX),
    brandingStatement(db),
  ])
  const companyName = named.rows[0]?.name
  if (companyName === undefined) return null
  return {
    ...{ companyName, settings: stored[0]?.settings ?? null, approved: approvedFrom(approved), decisions },
    branding: brandingFrom(branding),
  }
}

/** Appends a decision on a name. */
export async function decideBrand(db: Db, decision: BrandDecision): Promise<void> {
  await inCompany(db, decision.companyId, [db.insert(brandDecisions).values(decision)])
}
