/** What a success team looks at first, in one round trip: what is at stake, what was recovered and through what. */
import { sql } from "drizzle-orm"
import type { CaseKind, CaseStatus, SubscriptionState } from "../../../shared/domain/state.ts"
import { type Db, inCompany } from "../../client.ts"

/** Open cases of a kind and a currency; `currency` is null where the provider states no amount. */
export interface AtStake {
  readonly kind: CaseKind
  readonly currency: string | null
  readonly cases: number
  readonly amountMinor: number
}

/** How far the cases came that opened within the window. */
export interface FunnelRow {
  readonly kind: CaseKind
  readonly opened: number
  readonly nudged: number
  readonly clicked: number
  readonly recovered: number
  /** Closed with any result; the denominator of the recovery rate. */
  readonly ended: number
}

/** Cases that opened within the window, by what opened them. */
export interface ReasonRow {
  readonly kind: CaseKind
  readonly reason: string | null
  readonly status: CaseStatus
  readonly cases: number
}

/** What cases of the window brought back, by the day on which they closed (UTC). */
export interface RecoveredRow {
  readonly day: string
  readonly currency: string
  readonly cases: number
  readonly amountMinor: number
}

/** A customer with a fresh score and without an open case. */
export interface LikelyToLeave {
  readonly customerId: string
  readonly providerCustomerId: string
  readonly probability: number
  readonly subscriptions: Readonly<Record<string, SubscriptionState>>
}

export interface OverviewRows {
  readonly atStake: readonly AtStake[]
  readonly funnel: readonly FunnelRow[]
  readonly reasons: readonly ReasonRow[]
  readonly recovered: readonly RecoveredRow[]
  readonly likelyToLeave: readonly LikelyToLeave[]
}

/** Of a company's cases that opened at `from` or later. `scoredSince` bounds the age of scores, `limit` their number. */
export async function readOverview(
  db: Db,
  companyId: string,
  { from, scoredSince, limit }: { readonly from: Date; readonly scoredSince: Date; readonly limit: number },
): Promise<OverviewRows> {
  const since = sql`${from.toISOString()}::timestamptz`
  const cohort = sql`recovery_cases r where r.company_id = ${companyId} and r.opened_at >= ${since}`
  const [atStake, funnel, reasons, recovered, likely] = await inCompany(db, companyId, [
    db.execute<AtStake & Record<string, unknown>>(
      sql`select kind, currency, count(*)::int as cases,
          coalesce(sum(coalesce(remaining_minor, amount_minor)), 0)::float8 as "amountMinor"
        from recovery_cases where company_id = ${companyId} and status = 'open' group by kind, currency`,
    ),
    db.execute<FunnelRow & Record<string, unknown>>(
      sql`with nudged as (
          select distinct case_id from nudges
            where company_id = ${companyId} and due_at >= ${since} and status = 'sent' and channel <> 'slack'
        ), clicked as (
          select distinct body ->> 'caseId' as case_id from facts
            where company_id = ${companyId} and kind = 'link_clicked' and occurred_at >= ${since}
        )
        select r.kind, count(*)::int as opened, count(n.case_id)::int as nudged, count(k.case_id)::int as clicked,
          count(*) filter (where r.status = 'recovered')::int as recovered,
          count(*) filter (where r.status <> 'open')::int as ended
        from recovery_cases r left join nudged n on n.case_id = r.id left join clicked k on k.case_id = r.id
        where r.company_id = ${companyId} and r.opened_at >= ${since} group by r.kind`,
    ),
    db.execute<ReasonRow & Record<string, unknown>>(
      sql`select r.kind, coalesce(r.decline_code, r.cause) as reason, r.status, count(*)::int as cases
        from ${cohort} group by 1, 2, 3`,
    ),
    db.execute<RecoveredRow & Record<string, unknown>>(
      sql`select to_char(r.closed_at at time zone 'UTC', 'YYYY-MM-DD') as day, r.currency, count(*)::int as cases,
          sum(r.recovered_minor)::float8 as "amountMinor"
        from ${cohort} and r.status = 'recovered' and r.currency is not null group by 1, 2 order by 1, 2`,
    ),
    db.execute<LikelyToLeave & Record<string, unknown>>(
      sql`select s.customer_id as "customerId", c.provider_customer_id as "providerCustomerId", s.probability,
          coalesce(c.state -> 'subscriptions', '{}'::jsonb) as subscriptions
        from customer_scores s join customers c on c.company_id = s.company_id and c.id = s.customer_id
        where s.company_id = ${companyId} and s.not_scored is null
          and s.as_of >= ${scoredSince.toISOString()}::timestamptz
          and not exists (select from recovery_cases r where r.company_id = ${companyId} and r.customer_id = s.customer_id
            and r.status = 'open')
        order by s.probability desc, s.customer_id limit ${limit}`,
    ),
  ])
  return {
    atStake: atStake.rows,
    funnel: funnel.rows,
    reasons: reasons.rows,
    recovered: recovered.rows,
    likelyToLeave: likely.rows,
  }
}
