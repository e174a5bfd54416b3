/** Customers that exceed a limit: they get no messages until an operator has reviewed them, or a day has passed. */
import { and, eq, isNull, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { customerQuarantines } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"

export type QuarantineReason = "customer_flood" | "too_many_links" | "state_is_full"

/** A quarantine of which the team has not been notified. */
export interface NewQuarantine {
  readonly companyId: string
  readonly customerId: string
  readonly reason: QuarantineReason
  readonly since: Date
}

/** Puts a customer into quarantine, or prolongs it. */
export async function quarantine(
  db: Db,
  companyId: string,
  customerId: string,
  reason: QuarantineReason,
  now: Date,
): Promise<void> {
  await inCompany(db, companyId, [
    db.execute(sql`select quarantine(${customerId}, ${reason}, ${now.toISOString()}::timestamptz)`),
  ])
}

/** Ends a customer's quarantine and releases its messages. False: the customer is in none. */
export async function releaseQuarantine(db: Db, companyId: string, customerId: string, now: Date): Promise<boolean> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ released: boolean }>(
      sql`select release_quarantine(${customerId}, ${now.toISOString()}::timestamptz) as released`,
    ),
  ])
  return result.rows[0]?.released === true
}

/** Quarantines of these companies (null: all) of which the team has not been notified, the oldest first. */
export async function quarantinesToAnnounce(
  db: Db,
  now: Date,
  limit: number,
  companies: readonly string[] | null,
): Promise<readonly NewQuarantine[]> {
  const result = await db.execute<{
    company_id: string
    customer_id: string
    reason: QuarantineReason
    since: string | Date
  }>(sql`select * from quarantines_to_announce(${now.toISOString()}, ${limit}, ${textArray(companies)})`)
  return result.rows.map((row) => ({
    companyId: row.company_id,
    customerId: row.customer_id,
    reason: row.reason,
    since: new Date(row.since),
  }))
}

/**
 * Records that the team is being notified of a quarantine (`at`), or that it failed (null). False: another process notifies
 * it, or there is a newer quarantine.
 */
export async function recordAnnouncement(
  db: Db,
  { companyId, customerId, since }: NewQuarantine,
  at: Date | null,
): Promise<boolean> {
  const { announcedAt } = customerQuarantines
  const [rows] = await inCompany(db, companyId, [
    db
      .update(customerQuarantines)
      .set({ announcedAt: at })
      .where(
        and(
          eq(customerQuarantines.companyId, companyId),
          eq(customerQuarantines.customerId, customerId),
          eq(customerQuarantines.since, since),
          at === null ? undefined : isNull(announcedAt),
        ),
      )
      .returning({ id: customerQuarantines.customerId }),
  ])
  return rows.length > 0
}
