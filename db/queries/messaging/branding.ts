/** A company's branding, of which every saved version is kept, and its logos. */
import { and, desc, eq, sql } from "drizzle-orm"
import type { BrandingVersion, StoredBranding } from "../../../shared/domain/messaging/branding.ts"
import type { Logo } from "../../../shared/domain/messaging/messages/logo.ts"
import { type Db, inCompany } from "../../client.ts"
import { companyBranding, companyLogos } from "../../schema.ts"

export type BrandingRow = typeof companyBranding.$inferSelect
export type LogoRow = typeof companyLogos.$inferSelect

/** Logos per company; when more are uploaded, the oldest are deleted. Messages that were sent name theirs. */
export const LOGOS_MAX = 20

/** The newest version that an operator has approved, and the newest other one. */
const shown = (db: Db) =>
  db
    .selectDistinctOn([companyBranding.isApproved])
    .from(companyBranding)
    .where(sql`${companyBranding.companyId} = app_company()`)
    .orderBy(companyBranding.isApproved, desc(companyBranding.version))

/** Statement: the branding of the entered company, for `brandingFrom`. */
export const brandingStatement = (db: Db) => shown(db)

/** The newest and the newest approved version that `brandingStatement` read. */
export function brandingFrom<Version extends BrandingVersion>(rows: readonly Version[]): StoredBranding<Version> {
  const approved = rows.find(({ isApproved }) => isApproved) ?? null
  const waiting = rows.find(({ isApproved }) => !isApproved) ?? null
  const isNewer = waiting !== null && waiting.version > (approved?.version ?? 0)
  return { newest: isNewer ? waiting : approved, approved }
}

/** Adds a version; false when somebody else has added it meanwhile. */
export async function addBrandingVersion(db: Db, row: BrandingRow): Promise<boolean> {
  const [added] = await inCompany(db, row.companyId, [
    db.insert(companyBranding).values(row).onConflictDoNothing().returning({ version: companyBranding.version }),
  ])
  return added.length === 1
}

/** Stores a logo, and deletes the oldest ones beyond the limit that neither the newest nor the approved branding uses. */
export async function addLogo(db: Db, row: LogoRow): Promise<void> {
  await inCompany(db, row.companyId, [
    db.insert(companyLogos).values(row).onConflictDoNothing(),
    db.execute(sql`
      delete from company_logos l where l.company_id = app_company() and l.id <> ${row.id}
      and l.id not in (select k.id from company_logos k where k.company_id = app_company()
        order by k.created_at desc, k.id limit ${LOGOS_MAX})
      and not exists (select from (${shown(db)}) b where b.branding -> 'logo' ->> 'id' = l.id)`),
  ])
}

/** What is known of a stored logo, without its content; null when the company has none with that id. */
export async function findLogo(db: Db, companyId: string, id: string): Promise<Logo | null> {
  const { type, width, height } = companyLogos
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ id: companyLogos.id, type, width, height })
      .from(companyLogos)
      .where(and(eq(companyLogos.companyId, companyId), eq(companyLogos.id, id))),
  ])
  return rows[0] ?? null
}

/** The content of a logo; null when the company has none with that id. */
export async function readLogoContent(db: Db, companyId: string, id: string): Promise<LogoRow | null> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(companyLogos)
      .where(and(eq(companyLogos.companyId, companyId), eq(companyLogos.id, id))),
  ])
  return rows[0] ?? null
}
