/** Scores with known outcome, by component: the data on which other health weights are evaluated. */
import { sql } from "drizzle-orm"
import type { Component } from "../../../shared/domain/scoring/health.ts"
import type { LabelledScore } from "../../../shared/scoring/weight-effect.ts"
import { type Db, inCompany } from "../../client.ts"

/** Enough for an AUC within 0.01 at usual churn rates; takes 0.25 MB. */
const ROWS_MAX = 4_000

/** A company's latest labelled scores, and the times of the first and the last one. */
export interface LabelledScores {
  readonly rows: readonly LabelledScore[]
  readonly from: Date | null
  readonly to: Date | null
}

/**
 * The latest scores with their outcomes, without shadows, newest first, at most `ROWS_MAX`. The database sums the components:
 * `componentOf` gives the component of each code; other codes belong to none.
 */
export async function labelledScores(
  db: Db,
  companyId: string,
  componentOf: Readonly<Record<string, Component>>,
): Promise<LabelledScores> {
  const [result] = await inCompany(db, companyId, [
    db.execute<{
      logOdds: number
      isChurned: boolean
      asOf: string
      components: Partial<Record<Component, number>> | null
    }>(sql`
      select p.log_odds as "logOdds", o.is_churned as "isChurned", o.as_of as "asOf", (
        select jsonb_object_agg(g.component, g.total) from (
          select c.value #>> '{}' as component, sum((r ->> 'logOdds')::double precision) as total
          from jsonb_array_elements(p.parts -> 'reasons') as r
          join jsonb_each(${JSON.stringify(componentOf)}::jsonb) as c on c.key = r ->> 'code'
          group by 1
        ) as g
      ) as components
      from (
        select * from model_outcomes where company_id = ${companyId} and is_churned is not null and not is_shadow
        order by as_of desc, customer_id limit ${ROWS_MAX}
      ) as o
      join predictions p on p.company_id = o.company_id and p.id = o.prediction_id and p.as_of = o.as_of
      where p.parts is not null and p.not_scored is null
      order by o.as_of desc, o.customer_id`),
  ])
  const rows = result.rows.map(({ logOdds, isChurned, components }) => ({
    logOdds,
    isChurned,
    components: components ?? {},
  }))
  const dateOf = (row: { readonly asOf: string } | undefined) => (row === undefined ? null : new Date(row.asOf))
  return { rows, from: dateOf(result.rows.at(-1)), to: dateOf(result.rows[0]) }
}
