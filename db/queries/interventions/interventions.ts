/** Outcomes of cases, by the arm that they were assigned to. */
import { type SQL, sql } from "drizzle-orm"
import type { Arm } from "../../../shared/domain/facts.ts"
import type { CaseKind } from "../../../shared/domain/state.ts"
import type { Db } from "../../client.ts"

/** Which cases are counted. */
export interface InterventionFilter {
  readonly kind?: CaseKind | undefined
  readonly currency?: string | undefined
  /** Bounds of the opening time; `to` is exclusive. */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** A condition on the customer as of now, from `segmentCondition`. */
  readonly condition?: SQL | undefined
}

/** When an outcome is known: so many days after a case opened or was assigned. */
export interface Horizon {
  readonly now: Date
  readonly horizonDays: number
}

/** Cases of one kind, hold-out percentage, arm and currency. Amounts are in minor units; their squares may exceed integers. */
export interface OutcomeRow {
  readonly kind: CaseKind
  /** Null: not assigned. */
  readonly arm: Arm | null
  readonly percentage: number | null
  readonly currency: string | null
  readonly cases: number
  readonly open: number
  /** Cases with at least one sent message. */
  readonly written: number
  /** Cases whose horizon has passed, and those of them that succeeded within it. */
  readonly matured: number
  readonly successes: number
  readonly atStake: number
  readonly kept: number
  readonly atStakeSquared: number
  readonly keptSquared: number
  readonly product: number
}

/**
 * Statement: counts a company's cases. A case matures `horizonDays` after it opened. It succeeded if it was recovered by then or, for
 * an at-risk case, if the member had not left by then. The amount kept is the amount paid or, where nothing was owed, the
 * price of one period of the subscription.
 */
export const outcomesStatement = (
  db: Db,
  companyId: string,
  filter: InterventionFilter,
  { now, horizonDays }: Horizon,
) =>
  db.execute<{ [Name in keyof OutcomeRow]: OutcomeRow[Name] }>(
    sql`select o.kind, o.arm, o.percentage, o.currency,
          count(*)::int as cases, count(*) filter (where o.is_open)::int as open,
          count(*) filter (where o.is_written)::int as written,
          count(*) filter (where o.is_mature)::int as matured,
          count(*) filter (where o.is_mature and o.is_success)::int as successes,
          ${total("o.at_stake")} as "atStake", ${total("o.kept")} as kept,
          ${total("o.at_stake * o.at_stake")} as "atStakeSquared", ${total("o.kept * o.kept")} as "keptSquared",
          ${total("o.at_stake * o.kept")} as product
        from (
          select e.*, case when e.is_success then e.value else 0 end as kept
          from (
            select c.kind, c.arm, c.holdout_percentage as percentage, c.currency, c.status = 'open' as is_open,
              c.opened_at + h.length <= ${now.toISOString()}::timestamptz as is_mature,
              ${succeededBy(sql.raw("c.opened_at + h.length"))} as is_success,
              c.amount_minor::float8 as at_stake,
              (case when c.kind = 'payment' then c.recovered_minor else c.amount_minor end)::float8 as value,
              exists (select from nudges n where n.company_id = c.company_id and n.customer_id = c.customer_id
                and n.case_id = c.id and n.channel <> 'slack' and n.status in ('sent', 'unknown')) as is_written
            from recovery_cases c
              join customers on customers.company_id = c.company_id and customers.id = c.customer_id,
              (select make_interval(days => ${horizonDays}) as length) h
            where ${matching(companyId, filter)}
          ) e
        ) o
        group by o.kind, o.arm, o.percentage, o.currency`,
  )

/** The cases of a filter, as `c`. */
export function matching(companyId: string, { kind, currency, from, to, condition }: InterventionFilter): SQL {
  const conditions = [
    sql`c.company_id = ${companyId}`,
    ...(kind === undefined ? [] : [sql`c.kind = ${kind}`]),
    ...(currency === undefined ? [] : [sql`c.currency = ${currency}`]),
    ...(from === undefined ? [] : [sql`c.opened_at >= ${from.toISOString()}::timestamptz`]),
    ...(to === undefined ? [] : [sql`c.opened_at < ${to.toISOString()}::timestamptz`]),
    ...(condition === undefined ? [] : [condition]),
  ]
  return sql.join(conditions, sql` and `)
}

/** Whether the case `c` had succeeded at that moment: recovered or, for an at-risk case, not lost. */
export const succeededBy = (moment: SQL): SQL =>
  sql`case when c.kind = 'at_risk' then not (c.status = 'lost' and c.closed_at <= ${moment})
    else c.status = 'recovered' and c.closed_at <= ${moment} end`

/** A sum over matured cases. `expression` is raw SQL: only constants of this file are passed. */
const total = (expression: string): SQL =>
  sql`coalesce(sum(${sql.raw(expression)}) filter (where o.is_mature), 0)::float8`
