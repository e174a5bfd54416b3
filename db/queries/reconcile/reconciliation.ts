/** The progress of each comparison with a provider, and its reports. */
import { and, asc, desc, eq, lt, max, sql } from "drizzle-orm"
import type { ProviderName } from "../../../shared/domain/facts.ts"
import { type Db, inCompany } from "../../client.ts"
import {
  backfills,
  isListedEvent,
  type ReconciliationKind,
  reconciliationPositions,
  reconciliations,
  webhookEvents,
} from "../../schema.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"
import { isOfMode } from "../webhooks/events.ts"

/** One account of one company at one provider; an empty account is that of the company's or the deployment's own key. */
export interface Target {
  readonly companyId: string
  readonly provider: ProviderName
  readonly account: string
}

/** An account that may be compared, and by which key. */
export interface ReconciliationTarget extends Target {
  readonly hasOwnKey: boolean
  /** Whether the company may use the deployment's key. */
  readonly isShared: boolean
}

/** One kind of comparison of one account. */
export interface PositionKey extends Target {
  readonly kind: ReconciliationKind
}

/** Reports are kept for a month, as long as the providers' own lists. */
const RETENTION_MS = 30 * 86_400_000

/**
 * When the company's first event was received, and until when its past at this provider was imported; null: never. Events
 * of a mode that the deployment ignores do not count, since they have no effect.
 */
export async function historyBoundsOf(
  db: Db,
  { companyId, provider }: Target,
): Promise<{ readonly beganAt: Date | null; readonly importedUntil: Date | null }> {
  const [[first], [imported]] = await inCompany(db, companyId, [
    db
      .select({ receivedAt: webhookEvents.receivedAt })
      .from(webhookEvents)
      .where(and(eq(webhookEvents.companyId, companyId), isListedEvent, isOfMode))
      .orderBy(asc(webhookEvents.receivedAt), asc(webhookEvents.id))
      .limit(1),
    db
      .select({ until: max(backfills.until) })
      .from(backfills)
      .where(and(eq(backfills.companyId, companyId), eq(backfills.provider, provider))),
  ])
  return { beganAt: first?.receivedAt ?? null, importedUntil: imported?.until ?? null }
}

/** The progress of one kind of comparison. */
export interface ReconcileStatus {
  readonly kind: ReconciliationKind
  readonly completeUntil: Date | null
  /** A pass is under way. */
  readonly isOpen: boolean
  readonly steppedAt: Date | null
}

/** The accounts of all companies, with their comparisons; the one that has waited longest comes first. */
export async function reconciliationTargets(
  db: Db,
  defaultCompanyId: string | null,
): Promise<readonly (ReconciliationTarget & { readonly statuses: readonly ReconcileStatus[] })[]> {
  const result = await db.execute<{
    company_id: string
    provider: ProviderName
    account: string
    has_own_key: boolean
    is_shared: boolean
    positions: readonly StatusJson[]
  }>(sql`select * from reconciliation_targets(${defaultCompanyId})`)
  return result.rows.map(({ company_id: companyId, provider, account, positions, ...row }) => ({
    ...{ companyId, provider, account, hasOwnKey: row.has_own_key, isShared: row.is_shared },
    statuses: positions.map(({ kind, isOpen, completeUntil, steppedAt }) => ({
      ...{ kind, isOpen },
      completeUntil: completeUntil === null ? null : new Date(completeUntil),
      steppedAt: steppedAt === null ? null : new Date(steppedAt),
    })),
  }))
}

type StatusJson = {
  readonly kind: ReconciliationKind
  readonly completeUntil: string | null
  readonly isOpen: boolean
  readonly steppedAt: string | null
}

export interface Position {
  readonly completeUntil: Date | null
  /** The saved pass that is under way; null: none. */
  readonly run: unknown
}

/** Leases a comparison to `owner` until `until`; null while another owner holds the lease. */
export async function claimPosition(
  db: Db,
  { companyId, provider, account, kind }: PositionKey,
  lease: { readonly owner: string; readonly until: Date; readonly now: Date },
): Promise<Position | null> {
  const table = reconciliationPositions
  const [rows] = await inCompany(db, companyId, [
    db
      .insert(table)
      .values({ companyId, provider, account, kind, isOpen: false, leaseOwner: lease.owner, leaseUntil: lease.until })
      .onConflictDoUpdate({
        target: [table.companyId, table.provider, table.account, table.kind],
        set: { leaseOwner: lease.owner, leaseUntil: lease.until },
        setWhere: sql`${table.leaseUntil} is null or ${table.leaseUntil} <= ${lease.now.toISOString()}::timestamptz`,
      })
      .returning({ completeUntil: table.completeUntil, run: table.run }),
  ])
  return rows[0] ?? null
}

export type ReconciliationRow = typeof reconciliations.$inferSelect

/** The result of a step, so far. */
export interface Progress {
  readonly run: unknown
  readonly completeUntil: Date | null
  readonly report: ReconciliationRow
  /** Whether the step ends here, which releases the lease. */
  readonly isLast: boolean
}

/** Saves the progress of a pass with its report. Throws when the lease was lost: another owner repeats the last page. */
export async function saveProgress(
  db: Db,
  key: PositionKey,
  owner: string,
  { run, completeUntil, report, isLast }: Progress,
  now: Date,
): Promise<void> {
  const { companyId, id, ...rest } = report
  const [saved] = await inCompany(db, key.companyId, [
    db
      .update(reconciliationPositions)
      .set({
        ...{ run: run ?? null, isOpen: run !== null, completeUntil, steppedAt: now },
        ...(isLast && { leaseOwner: null, leaseUntil: null }),
      })
      .where(and(isPosition(key), eq(reconciliationPositions.leaseOwner, owner)))
      .returning({ kind: reconciliationPositions.kind }),
    db
      .insert(reconciliations)
      .values(report)
      .onConflictDoUpdate({ target: [reconciliations.companyId, reconciliations.id], set: rest }),
    db
      .delete(reconciliations)
      .where(
        and(
          eq(reconciliations.companyId, key.companyId),
          lt(reconciliations.startedAt, new Date(now.getTime() - RETENTION_MS)),
        ),
      ),
  ])
  if (saved.length === 0) throw new Error("the lease of a reconciliation was lost")
}

/** Releases the lease of a step that failed. */
export async function releasePosition(db: Db, key: PositionKey, owner: string): Promise<void> {
  await inCompany(db, key.companyId, [
    db
      .update(reconciliationPositions)
      .set({ leaseOwner: null, leaseUntil: null })
      .where(and(isPosition(key), eq(reconciliationPositions.leaseOwner, owner))),
  ])
}

const isPosition = ({ companyId, provider, account, kind }: PositionKey) =>
  and(
    eq(reconciliationPositions.companyId, companyId),
    eq(reconciliationPositions.provider, provider),
    eq(reconciliationPositions.account, account),
    eq(reconciliationPositions.kind, kind),
  )

/** A page of a company's reports, newest first. */
export async function listReconciliations(
  db: Db,
  companyId: string,
  filter: { readonly provider?: ProviderName | undefined; readonly kind?: ReconciliationKind | undefined },
  page: PageRequest,
): Promise<Page<ReconciliationRow>> {
  const { after } = page
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(reconciliations)
      .where(
        and(
          eq(reconciliations.companyId, companyId),
          filter.provider && eq(reconciliations.provider, filter.provider),
          filter.kind && eq(reconciliations.kind, filter.kind),
          after === null
            ? undefined
            : sql`(${reconciliations.startedAt}, ${reconciliations.id})
                < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
        ),
      )
      .orderBy(desc(reconciliations.startedAt), desc(reconciliations.id))
      .limit(page.limit + 1),
  ])
  return pageOf(rows, page, (row) => ({ at: row.startedAt, id: row.id }))
}
