/** A company's message templates, of which every saved version is kept. */
import { and, asc, desc, eq, sql } from "drizzle-orm"
import type { Template } from "../../../shared/domain/messaging/templates/templates.ts"
import { type Db, inCompany } from "../../client.ts"
import { messageTemplates } from "../../schema.ts"

export type TemplateRow = typeof messageTemplates.$inferSelect

/** More templates than messages differ in are a mistake of a program. */
export const TEMPLATES_MAX = 300

/** The newest version of each template of the entered company. */
const newest = (db: Db) =>
  db
    .selectDistinctOn([messageTemplates.id])
    .from(messageTemplates)
    .where(sql`${messageTemplates.companyId} = app_company()`)
    .orderBy(asc(messageTemplates.id), desc(messageTemplates.version))
    .limit(TEMPLATES_MAX)

/** Statement: the templates of the entered company, for `templatesFrom`. */
export const templatesStatement = (db: Db) => newest(db)

/** The templates in force that `templatesStatement` read. */
export const templatesFrom = (rows: readonly TemplateRow[]): readonly Template[] =>
  rows.filter(({ isInForce }) => isInForce)

/** The newest version of each template of a company. */
export async function listTemplates(db: Db, companyId: string): Promise<readonly TemplateRow[]> {
  const [rows] = await inCompany(db, companyId, [newest(db)])
  return rows
}

/** All versions of one template, the newest first; empty when the company has none with that id. */
export async function readTemplate(db: Db, companyId: string, id: string): Promise<readonly TemplateRow[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(messageTemplates)
      .where(and(eq(messageTemplates.companyId, companyId), eq(messageTemplates.id, id)))
      .orderBy(desc(messageTemplates.version)),
  ])
  return rows
}

/** Adds a version; false when somebody else has added it meanwhile. */
export async function addTemplateVersion(db: Db, row: TemplateRow): Promise<boolean> {
  const [added] = await inCompany(db, row.companyId, [
    db.insert(messageTemplates).values(row).onConflictDoNothing().returning({ id: messageTemplates.id }),
  ])
  return added.length === 1
}
