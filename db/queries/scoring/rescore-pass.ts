/** The nightly pass: its position, and the next customers to score. */
import { and, eq, sql } from "drizzle-orm"
import type { Db } from "../../client.ts"
import { rescorePasses } from "../../schema/scoring.ts"
import { textArray } from "../platform/companies.ts"

/** The position of a nightly pass over all customers. */
export type RescorePass = typeof rescorePasses.$inferSelect

/** The pass of this night; starts it if it does not exist. */
export async function findOrStartPass(db: Db, night: string, now: Date): Promise<RescorePass> {
  const [, rows] = await db.batch([
    db.insert(rescorePasses).values({ night, startedAt: now, updatedAt: now }).onConflictDoNothing(),
    db.select().from(rescorePasses).where(eq(rescorePasses.night, night)),
  ])
  const [pass] = rows
  if (pass === undefined) throw new Error("a pass that was begun is gone")
  return pass
}

/** A customer in the order of a pass, which spans companies. */
export interface CustomersToScore {
  readonly companyId: string
  readonly customerId: string
}

/** The next customers of a pass, of these companies (null: of all). */
export async function customersToScore(
  db: Db,
  pass: RescorePass,
  limit: number,
  companies: readonly string[] | null,
): Promise<readonly CustomersToScore[]> {
  const result = await db.execute<{ companyId: string; customerId: string }>(sql`
    select company_id as "companyId", customer_id as "customerId"
    from customers_to_score(${pass.afterCompany}, ${pass.afterCustomer}, ${limit}, ${textArray(companies)})`)
  return result.rows
}

/**
 * Advances a pass from the position that was read; false if another run has advanced it. Counts are added; `isFinished` ends
 * it.
 */
export async function advancePass(
  db: Db,
  pass: RescorePass,
  to: {
    readonly after: CustomersToScore | null
    readonly scored: number
    readonly notScored: number
    readonly failed: number
    readonly isFinished: boolean
    readonly now: Date
  },
): Promise<boolean> {
  const moved = await db
    .update(rescorePasses)
    .set({
      ...(to.after !== null && { afterCompany: to.after.companyId, afterCustomer: to.after.customerId }),
      scored: sql`${rescorePasses.scored} + ${to.scored}`,
      notScored: sql`${rescorePasses.notScored} + ${to.notScored}`,
      failed: sql`${rescorePasses.failed} + ${to.failed}`,
      updatedAt: to.now,
      ...(to.isFinished && { finishedAt: to.now }),
    })
    .where(
      and(
        eq(rescorePasses.night, pass.night),
        eq(rescorePasses.afterCompany, pass.afterCompany),
        eq(rescorePasses.afterCustomer, pass.afterCustomer),
      ),
    )
    .returning({ night: rescorePasses.night })
  return moved.length > 0
}
