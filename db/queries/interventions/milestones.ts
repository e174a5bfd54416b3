/** Milestones: recorded once, due by date, and to be announced. */
import { and, asc, desc, eq, lte, sql } from "drizzle-orm"
import type { BatchItem } from "drizzle-orm/batch"
import type { Instant } from "../../../shared/domain/facts.ts"
import type { Milestone } from "../../../shared/domain/interventions/milestones.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { type Announcement, companySettings, customers, milestones } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"

export type MilestoneRow = typeof milestones.$inferSelect

/** A change of a customer's milestones, written with the rest of a commit. */
export interface MilestoneChange {
  readonly reached: readonly Milestone[]
  /** When the next one is reached by date; null: never. */
  readonly nextAt: Instant | null
  readonly isAnnounced: boolean
}

/** The rows of a change as `commit_streams` expects them. */
export const milestoneRows = (customerId: string, { reached, isAnnounced }: MilestoneChange) =>
  reached.map(({ key, kind, detail, reachedAt }) => ({
    ...{ customer_id: customerId, key, kind, detail },
    ...{ reached_at: reachedAt, announcement: announcementOf(isAnnounced) },
  }))

const announcementOf = (isAnnounced: boolean): Announcement => (isAnnounced ? "planned" : "none")

const isCustomer = (companyId: string, customerId: string) =>
  and(eq(customers.companyId, companyId), eq(customers.id, customerId))

interface Reached {
  readonly customerId: string
  readonly reached: readonly Milestone[]
}

function insertStatements(
  db: Db,
  companyId: string,
  found: readonly Reached[],
  isAnnounced: boolean,
  now: Instant,
): BatchItem<"pg">[] {
  const announcement = announcementOf(isAnnounced)
  const rows = found.flatMap(({ customerId, reached }) =>
    reached.map(({ key, kind, detail, reachedAt }) => ({
      ...{ companyId, customerId, key, kind, detail, reachedAt: new Date(reachedAt) },
      ...{ recordedAt: new Date(now), announcement },
    })),
  )
  return rows.length === 0 ? [] : [db.insert(milestones).values(rows).onConflictDoNothing()]
}

/** The most that ten settings of each kind and a state's meters can produce. */
const PER_CUSTOMER_MAX = 500

/** The milestones of a customer, the latest first. */
export async function milestonesOf(db: Db, companyId: string, customerId: string): Promise<readonly MilestoneRow[]> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select()
      .from(milestones)
      .where(and(eq(milestones.companyId, companyId), eq(milestones.customerId, customerId)))
      .orderBy(desc(milestones.reachedAt), asc(milestones.key))
      .limit(PER_CUSTOMER_MAX),
  ])
  return rows
}

/** Companies of the `limit` customers whose milestones have been due longest. */
export async function companiesWithMilestonesDue(
  db: Db,
  now: Date,
  limit: number,
  companies: readonly string[] | null,
): Promise<readonly string[]> {
  const { rows } = await db.execute<{ company_id: string }>(
    sql`select company_id from milestone_companies(${now.toISOString()}, ${limit}, ${textArray(companies)})`,
  )
  return rows.map((row) => row.company_id)
}

/** Companies of the `limit` milestones that have waited longest to be announced. */
export async function companiesWithAnnouncements(
  db: Db,
  limit: number,
  companies: readonly string[] | null,
): Promise<readonly string[]> {
  const { rows } = await db.execute<{ company_id: string }>(
    sql`select company_id from announcing_companies(${limit}, ${textArray(companies)})`,
  )
  return rows.map((row) => row.company_id)
}

/** Customers of a company whose milestone is due, with the settings that define milestones. */
export interface DueCustomers {
  readonly customers: readonly {
    readonly id: string
    readonly state: CustomerState | null
    readonly dueAt: Date
  }[]
  /** As stored. */
  readonly settings: unknown
}

/** Customers of a company whose milestone is due, longest waiting first. */
export async function loadDueMilestones(db: Db, companyId: string, now: Date, limit: number): Promise<DueCustomers> {
  const [rows, settings] = await inCompany(db, companyId, [
    db
      .select({ id: customers.id, state: customers.state, dueAt: customers.milestoneDueAt })
      .from(customers)
      .where(and(eq(customers.companyId, companyId), lte(customers.milestoneDueAt, now)))
      .orderBy(asc(customers.milestoneDueAt), asc(customers.id))
      .limit(limit),
    db.select().from(companySettings).where(eq(companySettings.companyId, companyId)),
  ])
  return {
    customers: rows.flatMap(({ id, state, dueAt }) => (dueAt === null ? [] : [{ id, state, dueAt }])),
    settings: settings[0]?.settings ?? null,
  }
}

/**
 * Records milestones reached by date, and the next due time. A customer whose due time was changed since it was read keeps
 * the new one; its milestones are still recorded, once.
 */
export async function recordDueMilestones(
  db: Db,
  companyId: string,
  found: readonly (Reached & { readonly dueAt: Date; readonly nextAt: Instant | null })[],
  { isAnnounced, now }: { readonly isAnnounced: boolean; readonly now: Date },
): Promise<void> {
  await inCompany(db, companyId, [
    ...insertStatements(db, companyId, found, isAnnounced, now.toISOString()),
    ...found.map(({ customerId, dueAt, nextAt }) =>
      db
        .update(customers)
        .set({ milestoneDueAt: nextAt === null ? null : new Date(nextAt) })
        .where(and(isCustomer(companyId, customerId), eq(customers.milestoneDueAt, dueAt))),
    ),
  ])
}

/** Claims milestones to announce, each for at most one worker. */
export async function claimAnnouncements(
  db: Db,
  companyId: string,
  now: Date,
  limit: number,
): Promise<readonly MilestoneRow[]> {
  const due = sql`select m.customer_id, m.key from milestones m
    where m.company_id = ${companyId} and m.announcement = 'planned'
    order by m.recorded_at, m.customer_id, m.key limit ${limit} for update skip locked`
  const [rows] = await inCompany(db, companyId, [
    db
      .update(milestones)
      .set({ announcement: "sending", announcedAt: now })
      .where(and(eq(milestones.companyId, companyId), sql`(${milestones.customerId}, ${milestones.key}) in (${due})`))
      .returning(),
  ])
  return rows
}

/** Records the outcome of announcing these milestones. */
export async function finishAnnouncements(
  db: Db,
  companyId: string,
  rows: readonly MilestoneRow[],
  announcement: Announcement,
): Promise<void> {
  const names = JSON.stringify(rows.map(({ customerId, key }) => ({ customer_id: customerId, key })))
  await inCompany(db, companyId, [
    db
      .update(milestones)
      .set({ announcement })
      .where(
        and(
          eq(milestones.companyId, companyId),
          eq(milestones.announcement, "sending"),
          sql`(${milestones.customerId}, ${milestones.key}) in (
            select n.customer_id, n.key from jsonb_to_recordset(${names}::jsonb) as n (customer_id text, key text))`,
        ),
      ),
  ])
}
