/** Scores whose outcome is known, in parts: what other weights of the components are tried on. */
import { sql } from "drizzle-orm"
import type { Component } from "../../../shared/domain/scoring/health.ts"
import type { LabelledScore } from "../../../shared/scoring/weight-effect.ts"
import { type Db, inCompany } from "../../client.ts"

/** Enough for an AUC within a hundredth at the usual rates, and a quarter of a megabyte to read. */
const ROWS_MAX = 4_000

/** The latest scores of a company that came true or did not, and from when to when they were said. */
export interface LabelledScores {
  readonly rows: readonly LabelledScore[]
  readonly from: Date | null
  readonly to: Date | null
}

/**
 * What was said of customers, shadows left out, and what became of them, the latest first and no more than fit. Components
 * are summed by the database: `componentOf` names the component of each code; other codes are nobody's own.
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
