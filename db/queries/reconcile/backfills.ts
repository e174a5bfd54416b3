/** Imports of a company's past: begun once, continued page by page, finished once. */
import { and, desc, eq, isNull, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import { backfills, companyAccounts } from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

export type BackfillRow = typeof backfills.$inferSelect

/** A backfill to begin. `account` is empty for the account of the deployment's key. */
export type NewBackfill = Pick<
  BackfillRow,
  "companyId" | "id" | "provider" | "account" | "since" | "until" | "requestedBy"
>

/** The unfinished backfill of this provider, account and beginning, or else a new one. Asking twice begins one. */
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
  if (row === undefined) throw new Error("a backfill that was begun is not there")
  return { backfill: row, isNew: row.id === backfill.id }
}

/** The backfill of that id; null when the company has none. */
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

/** How far a page brought a backfill. `cursor` null: that was the last one. */
export interface PageProgress {
  readonly cursor: string | null
  readonly reached: Date
  /** What could not even be stored: no event that we can read an envelope of. */
  readonly unreadable: number
}

/**
 * Moves the cursor on, unless another runner that walked the same page already did. Answers the backfill as it is now.
 */
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
  if (row === undefined) throw new Error("a backfill that was there is gone")
  return row
}

/** The company's own accounts at a provider. */
export async function accountsOf(db: Db, companyId: string, provider: ProviderName): Promise<readonly string[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ accountId: companyAccounts.accountId })
      .from(companyAccounts)
      .where(and(eq(companyAccounts.companyId, companyId), eq(companyAccounts.provider, provider))),
  ])
  return rows.map(({ accountId }) => accountId)
}
