/** Payment cases without news for a long time. */
import { and, eq, sql } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { recoveryCases } from "../../schema.ts"
import { textArray } from "../platform/companies.ts"

export interface LapsingCase {
  readonly companyId: string
  readonly customerId: string
  readonly caseId: string
}

/** Open payment cases without news after `since` according to their rows, the oldest news first. */
export async function lapsingCases(
  db: Db,
  {
    since,
    limit,
    companies,
  }: { readonly since: Date; readonly limit: number; readonly companies: readonly string[] | null },
): Promise<readonly LapsingCase[]> {
  const result = await db.execute<{ company_id: string; customer_id: string; id: string }>(
    sql`select company_id, customer_id, id
      from lapsing_cases(${since.toISOString()}::timestamptz, ${limit}, ${textArray(companies)})`,
  )
  return result.rows.map(({ company_id, customer_id, id }) => ({
    companyId: company_id,
    customerId: customer_id,
    caseId: id,
  }))
}

/** Records the last news of a case whose row is older than the state, so that the case is not checked before it may lapse. */
export async function recordLastNews(db: Db, { companyId, caseId }: LapsingCase, at: Date): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(recoveryCases)
      .set({ lastNewsAt: at })
      .where(and(eq(recoveryCases.companyId, companyId), eq(recoveryCases.id, caseId))),
  ])
}
