/** Candidates for at-risk cases, at-risk cases to close, and the companies to process next. */
import { sql } from "drizzle-orm"
import type { RISK_DROP_SHARE, RiskPolicy } from "../../../shared/domain/interventions/risk-policy.ts"
import type { SubscriptionState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"
import { textArray } from "../platform/companies.ts"

const DAY_MS = 86_400_000

/** A customer outside the rest period after contact, with the newest score. */
export interface RiskCandidate {
  readonly customerId: string
  readonly predictionId: string
  readonly modelVersion: string
  readonly asOf: Date
  readonly probability: number
  /** The inputs of that score; null unless requested. */
  readonly vector: Readonly<Record<string, unknown>> | null
  readonly subscriptions: Readonly<Record<string, SubscriptionState>>
}

/** Companies that were not processed since `before`, longest waiting first; of `companies` only (null: of all). */
export async function companiesDueForRiskPass(
  db: Db,
  {
    before,
    limit,
    companies,
  }: { readonly before: Date; readonly limit: number; readonly companies: readonly string[] | null },
): Promise<readonly string[]> {
  const result = await db.execute<{ company_id: string }>(
    sql`select company_id from risk_companies(${before.toISOString()}::timestamptz, ${limit}, ${textArray(companies)})`,
  )
  return result.rows.map(({ company_id }) => company_id)
}

/** An at-risk case that may have to be closed, with its customer's newest score. */
export interface ClosableRiskCase {
  readonly companyId: string
  readonly customerId: string
  readonly caseId: string
  readonly score: { readonly probability: number; readonly asOf: string } | null
}

/** At-risk cases whose horizon has passed, or whose score has dropped to the share `dropShare` of what it was. */
export async function closableRiskCases(
  db: Db,
  {
    now,
    dropShare,
    limit,
    companies,
  }: {
    readonly now: Date
    readonly dropShare: typeof RISK_DROP_SHARE
    readonly limit: number
    readonly companies: readonly string[] | null
  },
): Promise<readonly ClosableRiskCase[]> {
  const result = await db.execute<{
    company_id: string
    customer_id: string
    id: string
    probability: number | null
    as_of: string | null
  }>(
    sql`select company_id, customer_id, id, probability, as_of
      from passed_risks(${now.toISOString()}::timestamptz, ${dropShare}::float8, ${limit}, ${textArray(companies)})`,
  )
  return result.rows.map(({ company_id, customer_id, id, probability, as_of }) => ({
    companyId: company_id,
    customerId: customer_id,
    caseId: id,
    score: probability === null || as_of === null ? null : { probability, asOf: new Date(as_of).toISOString() },
  }))
}

/**
 * A company's customers with the highest probability of leaving, without those with an open case, in the rest period or
 * opted out; and the number of at-risk cases opened today. Also records that the company was processed now.
 */
export async function loadRiskCandidates(
  db: Db,
  companyId: string,
  {
    now,
    policy,
    freshMs,
    confidenceMin,
    limit,
    withVectors,
  }: {
    readonly now: Date
    readonly policy: Pick<RiskPolicy, "restDays">
    /** Older scores are not used. */
    readonly freshMs: number
    readonly confidenceMin: number
    readonly limit: number
    /** Whether to read the inputs of each score too. */
    readonly withVectors: boolean
  },
): Promise<{ readonly candidates: readonly RiskCandidate[]; readonly openedToday: number }> {
  const at = sql`${now.toISOString()}::timestamptz`
  const since = new Date(now.getTime() - freshMs).toISOString()
  const rest = sql`${new Date(now.getTime() - policy.restDays * DAY_MS).toISOString()}::timestamptz`
  const [, today, found] = await inCompany(db, companyId, [
    db.execute(
      sql`insert into risk_passes (company_id, passed_at) values (${companyId}, ${at})
        on conflict (company_id) do update set passed_at = excluded.passed_at`,
    ),
    db.execute<{ count: number }>(
      sql`select count(*)::int as count from recovery_cases r
        where r.company_id = ${companyId} and r.kind = 'at_risk' and r.opened_at >= date_trunc('day', ${at}, 'UTC')`,
    ),
    db.execute<{
      customer_id: string
      prediction_id: string
      model_version: string
      as_of: string
      probability: number
      vector: RiskCandidate["vector"]
      subscriptions: RiskCandidate["subscriptions"] | null
    }>(
      sql`select s.customer_id, s.prediction_id, s.model_version, s.as_of, s.probability, c.state -> 'subscriptions' as subscriptions,
          case when ${withVectors} then (select p.vector from predictions p where p.company_id = ${companyId}
            and p.id = s.prediction_id and p.as_of = s.as_of) end as vector
        from customer_scores s join customers c on c.company_id = s.company_id and c.id = s.customer_id
        where s.company_id = ${companyId} and s.not_scored is null and s.as_of >= ${since}::timestamptz
          and s.confidence >= ${confidenceMin} and c.state #>> '{outreach,optedOutAt}' is null
          and not exists (select from recovery_cases r where r.company_id = ${companyId} and r.customer_id = s.customer_id
            and (r.status = 'open' or r.kind = 'at_risk' and r.closed_at > ${rest}))
          and not exists (select from nudges n where n.company_id = ${companyId} and n.customer_id = s.customer_id
            and n.channel <> 'slack' and n.sent_at > ${rest})
        order by s.probability desc, s.customer_id limit ${limit}`,
    ),
  ])
  return {
    openedToday: today.rows[0]?.count ?? 0,
    candidates: found.rows.map((row) => ({
      customerId: row.customer_id,
      predictionId: row.prediction_id,
      modelVersion: row.model_version,
      asOf: new Date(row.as_of),
      probability: row.probability,
      vector: row.vector,
      subscriptions: row.subscriptions ?? {},
    })),
  }
}
