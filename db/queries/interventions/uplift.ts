/** The uplift model of a company, and the cases that it is trained on. */
import { desc, eq, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { type UpliftSummary, upliftModels } from "../../schema.ts"

export type UpliftRow = typeof upliftModels.$inferSelect

/** A company's latest training, with its model if one is in force; null: no training has run yet. */
export async function readUplift(db: Db, companyId: string): Promise<UpliftRow | null> {
  const [rows] = await inCompany(db, companyId, [upliftStatement(db, companyId)])
  return rows[0] ?? null
}

/** Statement: the latest training of a company, if there is one. */
export const upliftStatement = (db: Db, companyId: string) =>
  db
    .select()
    .from(upliftModels)
    .where(eq(upliftModels.companyId, companyId))
    .orderBy(desc(upliftModels.trainedAt))
    .limit(1)

/** Replaces the result of the last training. Without a model, the company's assumed uplift is in force. */
export async function saveUplift(
  db: Db,
  companyId: string,
  { model, report, now }: { readonly model: unknown; readonly report: UpliftSummary; readonly now: Date },
): Promise<void> {
  const row = { companyId, trainedAt: now, model, report }
  await inCompany(db, companyId, [
    db.insert(upliftModels).values(row).onConflictDoUpdate({ target: upliftModels.companyId, set: row }),
  ])
}

/** A matured case: its customer, its arm, whether the customer left, and the features when it opened. */
export interface UpliftCase {
  readonly customerId: string
  readonly isTreated: boolean
  readonly hasLeft: boolean
  readonly vector: Readonly<Record<string, unknown>>
}

/** The number of matured cases, and the customers who left in each arm. */
export async function countUpliftCases(
  db: Db,
  companyId: string,
  now: Date,
): Promise<{ readonly rows: number; readonly treated: number; readonly control: number }> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ rows: number; treated: number; control: number }>(
      sql`select count(*)::int as rows, count(*) filter (where arm = 'treated' and ${LEFT})::int as treated,
          count(*) filter (where arm = 'held_out' and ${LEFT})::int as control
        from recovery_cases where company_id = ${companyId} and kind = 'at_risk' and arm is not null
          and holdout_percentage > 0 and risk_until <= ${now.toISOString()}::timestamptz`,
    ),
  ])
  return result.rows[0] ?? { rows: 0, treated: 0, control: 0 }
}

const LEFT = sql.raw("status = 'lost' and closed_at <= risk_until")

/** A page of matured at-risk cases that were assigned while there was a hold-out, newest first. */
export async function upliftCases(
  db: Db,
  companyId: string,
  { now, limit, offset }: { readonly now: Date; readonly limit: number; readonly offset: number },
): Promise<readonly UpliftCase[]> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{ customer_id: string; is_treated: boolean; has_left: boolean; vector: UpliftCase["vector"] }>(
      // Lateral joins make each case look up its own fact and score, even if the planner has no statistics for the tables.
      sql`select r.customer_id, r.is_treated, r.has_left, p.vector
        from (
          select company_id, id, customer_id, arm = 'treated' as is_treated, ${LEFT} as has_left, opened_at
          from recovery_cases where company_id = ${companyId} and kind = 'at_risk' and arm is not null
            and holdout_percentage > 0 and risk_until <= ${now.toISOString()}::timestamptz
          order by opened_at desc, id limit ${limit} offset ${offset}
        ) r
        cross join lateral (select f.body from facts f
          where f.company_id = r.company_id and f.id = 'risk_detected:' || r.id limit 1) f
        cross join lateral (select p.vector from predictions p where p.company_id = r.company_id
          and p.id = (f.body ->> 'predictionId')::uuid and p.as_of = (f.body ->> 'asOf')::timestamptz limit 1) p
        order by r.opened_at desc, r.id`,
    ),
  ])
  return result.rows.map((row) => ({
    customerId: row.customer_id,
    isTreated: row.is_treated,
    hasLeft: row.has_left,
    vector: row.vector,
  }))
}
