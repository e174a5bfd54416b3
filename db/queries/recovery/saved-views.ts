/** A company's saved views of its cases. */
import { and, asc, eq, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { savedViews } from "../../schema.ts"

export type SavedViewRow = typeof savedViews.$inferSelect

/** More than this no list of links can show. */
export const SAVED_VIEWS_MAX = 50

/** All saved views of a company, by name. */
export async function listSavedViews(db: Db, companyId: string): Promise<readonly SavedViewRow[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(savedViews)
      .where(eq(savedViews.companyId, companyId))
      .orderBy(asc(savedViews.name))
      .limit(SAVED_VIEWS_MAX),
  ])
  return rows
}

/** Adds a view: `taken` when the company has one of that name, `full` when it has as many as it may have. */
export async function addSavedView(db: Db, row: SavedViewRow): Promise<"added" | "taken" | "full"> {
  const { companyId, id, name, filter, createdBy } = row
  const at = row.createdAt.toISOString()
  const [counted, added] = await inCompany(db, companyId, [
    db.select({ count: sql<number>`count(*)::int` }).from(savedViews).where(eq(savedViews.companyId, companyId)),
    db.execute(
      sql`insert into saved_views (company_id, id, name, filter, created_at, created_by)
        select ${companyId}, ${id}::uuid, ${name}, ${JSON.stringify(filter)}::jsonb, ${at}::timestamptz, ${createdBy}
        where (select count(*) from saved_views where company_id = ${companyId}) < ${SAVED_VIEWS_MAX}
        on conflict (company_id, name) do nothing
        returning id`,
    ),
  ])
  if (added.rows.length > 0) return "added"
  return (counted[0]?.count ?? 0) >= SAVED_VIEWS_MAX ? "full" : "taken"
}

/** Deletes a view; false when the company has none with that id. */
export async function deleteSavedView(db: Db, companyId: string, id: string): Promise<boolean> {
  const [rows] = await inCompany(db, companyId, [
    db
      .delete(savedViews)
      .where(and(eq(savedViews.companyId, companyId), eq(savedViews.id, id)))
      .returning({ id: savedViews.id }),
  ])
  return rows.length > 0
}
