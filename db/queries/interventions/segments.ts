/** A company's stored segments, and the number of customers in one. */
import { and, count, desc, eq, type SQL, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { customers, segments } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

export type SegmentRow = typeof segments.$inferSelect

/** A page of a company's segments, newest first; those of `also` share one creation time, before any stored segment. */
export async function listSegments(
  db: Db,
  companyId: string,
  page: PageRequest,
  also: readonly SegmentRow[],
): Promise<Page<SegmentRow>> {
  const { after } = page
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(segments)
      .where(
        and(
          eq(segments.companyId, companyId),
          after === null
            ? undefined
            : sql`(${segments.createdAt}, ${segments.id}) < (${after.at.toISOString()}::timestamptz, ${after.id})`,
        ),
      )
      .orderBy(desc(segments.createdAt), desc(segments.id))
      .limit(page.limit + 1),
  ])
  const oldest = [...also].sort((a, b) => (a.id < b.id ? 1 : -1))
  const remaining = oldest.filter(({ createdAt, id }) => {
    if (after === null || createdAt < after.at) return true
    return createdAt.getTime() === after.at.getTime() && id < after.id
  })
  return pageOf([...rows, ...remaining], page, ({ createdAt: at, id }) => ({ at, id }))
}

/** One segment; null if the company has none with this id. */
export async function readSegment(db: Db, companyId: string, id: string): Promise<SegmentRow | null> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(segments)
      .where(and(eq(segments.companyId, companyId), eq(segments.id, id))),
  ])
  return rows[0] ?? null
}

/** Inserts a segment; false if the company already has `max`. Throws 23505 for a name that is in use. */
export async function insertSegment(db: Db, row: SegmentRow, max: number): Promise<boolean> {
  const { companyId, id, name, rule, createdBy } = row
  const at = row.createdAt.toISOString()
  const [result] = await inCompany(db, companyId, [
    db.execute(
      sql`insert into segments (company_id, id, name, rule, created_at, created_by, updated_at)
        select ${companyId}, ${id}, ${name}, ${JSON.stringify(rule)}::jsonb, ${at}::timestamptz, ${createdBy}, ${at}::timestamptz
        where (select count(*) from segments where company_id = ${companyId}) < ${max}
        returning id`,
    ),
  ])
  return result.rows.length > 0
}

/** Changes a segment's name and rule; returns the new row, null if there is none. Throws 23505 like `insertSegment`. */
export async function updateSegment(
  db: Db,
  { companyId, id }: Pick<SegmentRow, "companyId" | "id">,
  change: Pick<SegmentRow, "name" | "rule" | "updatedAt">,
): Promise<SegmentRow | null> {
  const [rows] = await inCompany(db, companyId, [
    db
      .update(segments)
      .set(change)
      .where(and(eq(segments.companyId, companyId), eq(segments.id, id)))
      .returning(),
  ])
  return rows[0] ?? null
}

/** Deletes a segment; false if there was none. */
export async function deleteSegment(db: Db, companyId: string, id: string): Promise<boolean> {
  const [rows] = await inCompany(db, companyId, [
    db
      .delete(segments)
      .where(and(eq(segments.companyId, companyId), eq(segments.id, id)))
      .returning({ id: segments.id }),
  ])
  return rows.length > 0
}

/** The number of customers that meet a condition, counted up to `max`. */
export async function countCustomers(db: Db, companyId: string, condition: SQL, max: number): Promise<number> {
  const met = db
    .select({ one: sql`1` })
    .from(customers)
    .where(and(eq(customers.companyId, companyId), condition))
    .limit(max)
    .as("met")
  const [rows] = await inCompany(db, companyId, [db.select({ count: count() }).from(met)])
  return rows[0]?.count ?? 0
}
