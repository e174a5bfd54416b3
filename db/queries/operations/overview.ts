/** What a success team looks at first, in one round trip: what is at stake, what was recovered and through what. */
import { type SQL, sql } from "drizzle-orm"
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

/** Cases that opened within the window, by what opened them and how they stand. */
export interface ReasonRow {
  readonly kind: CaseKind
  readonly reason: string | null
  readonly status: CaseStatus
  /** Null where the provider states no amount. */
  readonly currency: string | null
  readonly cases: number
  readonly amountMinor: number
  /** Of recovered cases. */
  readonly recoveredMinor: number
}

/** What cases of the window brought back, by the day on which they closed (UTC). */
export interface RecoveredRow {
  readonly day: string
  readonly currency: string
  readonly cases: number
  readonly amountMinor: number
}

/** Failed payments of the window by the time at which they first failed (UTC). */
export interface FailureTime {
  /** From 1, Monday, to 7. */
  readonly weekday: number
  readonly hour: number
  readonly cases: number
  readonly recovered: number
  readonly ended: number
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
  readonly failureTimes: readonly FailureTime[]
  readonly likelyToLeave: readonly LikelyToLeave[]
  /** False: there are more cases than are counted. */
  readonly isWhole: boolean
}

/** The newest cases of the window and the newest open ones are counted: some tenths of a second of Postgres' time. */
export const COUNTED_MAX = 50_000
/** Messages of these cases: their playbooks have a few steps, on a few channels. */
const MESSAGES_MAX = 6 * COUNTED_MAX

/** Of a company's cases that opened at `from` or later. `scoredSince` bounds the age of scores, `limit` their number. */
export async function readOverview(
  db: Db,
  companyId: string,
  { from, scoredSince, limit }: { readonly from: Date; readonly scoredSince: Date; readonly limit: number },
): Promise<OverviewRows> {
  const since = sql`${from.toISOString()}::timestamptz`
  const all = (rows: SQL) => sql`(select coalesce(jsonb_agg(to_jsonb(x)), '[]'::jsonb) from (${rows}) x)`
  const [atStake, cohort, likely] = await inCompany(db, companyId, [
    db.execute<AtStake & Record<string, unknown>>(
      sql`select kind, currency, count(*)::int as cases,
          coalesce(sum(coalesce(remaining_minor, amount_minor)), 0)::float8 as "amountMinor"
        from (
          select * from recovery_cases where company_id = ${companyId} and status = 'open'
          order by opened_at desc, id desc limit ${COUNTED_MAX}
        ) r group by kind, currency`,
    ),
    db.execute<CohortRow>(
      sql`with cohort as materialized (
          select id, kind, status, coalesce(decline_code, cause) as reason, currency, amount_minor, recovered_minor,
            opened_at, closed_at
          from recovery_cases where company_id = ${companyId} and opened_at >= ${since}
          order by opened_at desc, id desc limit ${COUNTED_MAX}
        ), nudged as (
          select distinct case_id from (
            select case_id, status, channel from nudges
            where company_id = ${companyId} and due_at >= ${since} and due_at < 'infinity'
            order by due_at desc, id desc limit ${MESSAGES_MAX}
          ) n where status = 'sent' and channel <> 'slack'
        ), clicked as (
          select distinct body ->> 'caseId' as case_id from (
            select body from facts where company_id = ${companyId} and kind = 'link_clicked' and occurred_at >= ${since}
            order by occurred_at desc limit ${COUNTED_MAX}
          ) f
        )
        select (select count(*) from cohort) < ${COUNTED_MAX} as "isWhole",
          ${all(sql`select r.kind, count(*) as opened, count(n.case_id) as nudged, count(k.case_id) as clicked,
            count(*) filter (where r.status = 'recovered') as recovered,
            count(*) filter (where r.status <> 'open') as ended
            from cohort r left join nudged n on n.case_id = r.id left join clicked k on k.case_id = r.id group by 1`)} as funnel,
          ${all(sql`select kind, reason, status, currency, count(*) as cases, sum(amount_minor) as "amountMinor",
            coalesce(sum(recovered_minor) filter (where status = 'recovered'), 0) as "recoveredMinor"
            from cohort group by 1, 2, 3, 4`)} as reasons,
          ${all(sql`select to_char(closed_at at time zone 'UTC', 'YYYY-MM-DD') as day, currency, count(*) as cases,
            sum(recovered_minor) as "amountMinor"
            from cohort where status = 'recovered' and currency is not null group by 1, 2 order by 1, 2`)} as recovered,
          ${all(sql`select extract(isodow from opened_at at time zone 'UTC')::int as weekday,
            extract(hour from opened_at at time zone 'UTC')::int as hour, count(*) as cases,
            count(*) filter (where status = 'recovered') as recovered,
            count(*) filter (where status <> 'open') as ended
            from cohort where kind = 'payment' group by 1, 2 order by 1, 2`)} as "failureTimes"`,
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
  const [counted] = cohort.rows
  if (counted === undefined) throw new Error("the query of the overview returned nothing")
  const open = atStake.rows.reduce((sum, { cases }) => sum + cases, 0)
  return {
    ...counted,
    isWhole: counted.isWhole && open < COUNTED_MAX,
    atStake: atStake.rows,
    likelyToLeave: likely.rows,
  }
}

type CohortRow = Pick<OverviewRows, "isWhole" | "funnel" | "reasons" | "recovered" | "failureTimes"> &
  Record<string, unknown>
