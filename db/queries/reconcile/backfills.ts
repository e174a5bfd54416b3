/** Backfills: imports of a company's past, started once, continued page by page, finished once. */
import { and, desc, eq, isNull, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { backfills, companyAccounts } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

export type BackfillRow = typeof backfills.$inferSelect

/** A backfill to start. `account` is empty for the account of the deployment's key. */
export type NewBackfill = Pick<
  BackfillRow,
  "companyId" | "id" | "provider" | "account" | "since" | "until" | "requestedBy"
>

/** The unfinished backfill of this provider, account and `since`, or a new one. A repeated request starts only one. */
export async function beginBackfill(
  db: Db,
  backfill: NewBackfill,
  now: Date,
): Promise<{ readonly backfill: BackfillRow; readonly isNew: boolean }> {
  const { companyId, provider, account, since } = backfill
  const [, rows] = await inCompany(db, companyId, [
    db
      .insert(backfills)
      .values({ ...backfill, reached: since, startedAt: now, updatedAt: now })
      .onConflictDoNothing(),
    db
      .select()
      .from(backfills)
      .where(
        and(
          eq(backfills.companyId, companyId),
          eq(backfills.provider, provider),
          eq(backfills.account, account),
          eq(backfills.since, since),
          isNull(backfills.finishedAt),
        ),
      ),
  ])
  const [row] = rows
  if (row === undefined) throw new Error("the started backfill was not found")
  return { backfill: row, isNew: row.id === backfill.id }
}

/** The backfill with that id; null when the company has none. */
export async function readBackfill(db: Db, companyId: string, id: string): Promise<BackfillRow | null> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(backfills)
      .where(and(eq(backfills.companyId, companyId), eq(backfills.id, id))),
  ])
  return rows[0] ?? null
}

/** A page of a company's backfills, the latest first. */
export async function listBackfills(db: Db, companyId: string, page: PageRequest): Promise<Page<BackfillRow>> {
  const { after } = page
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(backfills)
      .where(
        and(
          eq(backfills.companyId, companyId),
          after === null
            ? undefined
            : sql`(${backfills.startedAt}, ${backfills.id})
                < (${after.at.toISOString()}::timestamptz, ${after.id})`,
        ),
      )
      .orderBy(desc(backfills.startedAt), desc(backfills.id))
      .limit(page.limit + 1),
  ])
  return pageOf(rows, page, (row) => ({ at: row.startedAt, id: row.id }))
}

/** The progress of a backfill after a page. `cursor` null: that was the last page. */
export interface PageProgress {
  readonly cursor: string | null
  readonly reached: Date
  /** Events that could not be stored, since their envelope cannot be read. */
  readonly unreadable: number
}

/** Advances the cursor, unless another runner that imported the same page already did. Returns the current backfill. */
export async function finishPage(
  db: Db,
  before: BackfillRow,
  { cursor, reached, unreadable }: PageProgress,
  now: Date,
): Promise<BackfillRow> {
  const { companyId, id, revision } = before
  const [, rows] = await inCompany(db, companyId, [
    db
      .update(backfills)
      .set({
        cursor,
        reached,
        revision: revision + 1,
        unread: sql`${backfills.unread} + ${unreadable}`,
        updatedAt: now,
        ...(cursor === null && { finishedAt: now }),
      })
      .where(
        and(
          eq(backfills.companyId, companyId),
          eq(backfills.id, id),
          eq(backfills.revision, revision),
          isNull(backfills.finishedAt),
        ),
      ),
    db
      .select()
      .from(backfills)
      .where(and(eq(backfills.companyId, companyId), eq(backfills.id, id))),
  ])
  const [row] = rows
  if (row === undefined) throw new Error("the backfill no longer exists")
  return row
}

/** The accounts at a provider that are registered for the company. */
export async function accountsOf(db: Db, companyId: string, provider: ProviderName): Promise<readonly string[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ accountId: companyAccounts.accountId })
      .from(companyAccounts)
      .where(and(eq(companyAccounts.companyId, companyId), eq(companyAccounts.provider, provider))),
  ])
  return rows.map(({ accountId }) => accountId)
}
