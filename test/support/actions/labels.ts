/** Inserts predictions of months ago with their outcomes, as nightly scoring and the job `drift` store them. */
import { sql, worldNow } from "../world/world.ts"

/** What is inserted: predictions per week, one customer each. */
export interface LabelPlan {
  readonly companyId: string
  readonly sha256: string
  readonly weeks: number
  readonly perWeek: number
  /** The prediction for every customer. */
  readonly probability: number
  /** Every n-th customer churned; 0: nobody. */
  readonly everyNth: number
  readonly isShadow?: boolean
  /** The inputs of a row, by its number, as SQL of `n`. */
  readonly vectorSql?: string
  /** Churn by the number of the row instead, as SQL of `n`. */
  readonly churnedSql?: string
  /** The prediction by the number of the row instead, as SQL of `n`. */
  readonly probabilitySql?: string
  /** When the youngest was made, as returned by an earlier call; default: the end of the last matured week. */
  readonly until?: string
}

/** The youngest of them are from a week that has matured as a whole. */
const YOUNGEST_DAYS = 75

/**
 * Inserts predictions with their labels, evenly over the weeks; returns when the youngest was made. With the same `until`
 * customers and times are the same for every model.
 */
export async function insertLabels(labels: LabelPlan): Promise<string> {
  const { companyId, sha256, weeks, perWeek, everyNth, isShadow = false } = labels
  const { vectorSql = `jsonb_build_object('tenure_days', n % 400)`, probabilitySql = String(labels.probability) } =
    labels
  const churnedSql = labels.churnedSql ?? (everyNth === 0 ? "false" : `n % ${everyNth} = 0`)
  const until = labels.until ?? new Date((await worldNow()).getTime() - YOUNGEST_DAYS * 86_400_000).toISOString()
  const rows = `
    select n, 'planted_' || n as customer_id, md5('${isShadow}' || '${sha256}' || n)::uuid as id,
      date_trunc('milliseconds', $3::timestamptz - make_interval(secs => n * ${(7 * 86_400) / perWeek})) as as_of,
      (${probabilitySql})::float8 as probability, (${churnedSql}) as is_churned, (${vectorSql}) as vector
    from generate_series(1, ${weeks * perWeek}) as n`
  await sql(
    `insert into predictions (company_id, id, customer_id, as_of, source, model_sha256, model_version, is_shadow, trigger,
      probability, low, high, log_odds, coverage, confidence, vector, vector_hash, took_ms)
     select $1, id, customer_id, as_of, 'model', $2, 'planted', ${isShadow}, 'nightly', probability, 0, 1,
      ln(probability / (1 - probability)), 1, 0.5, vector, md5(vector::text), 1 from (${rows}) as r`,
    [companyId, sha256, until],
  )
  await sql(
    `insert into model_outcomes (company_id, model_sha256, customer_id, as_of, prediction_id, is_shadow, probability,
      is_churned, matured_at)
     select $1, $2, customer_id, as_of, id, ${isShadow}, probability, is_churned, now() from (${rows}) as r`,
    [companyId, sha256, until],
  )
  // They have their labels: the job must not read ledgers of these customers, which do not exist.
  await sql(
    `insert into model_label_positions (company_id, model_sha256, as_of, prediction_id)
     select $1, $2, $3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid on conflict do nothing`,
    [companyId, sha256, until],
  )
  await sql("analyze predictions, model_outcomes") // as autovacuum does after so many rows
  return until
}

/** Makes the company due for `drift` and `retrain`. */
export const makeCompanyDue = (companyId: string): Promise<unknown> =>
  sql("update monitoring_positions set checked_at = null, retrained_at = null where company_id = $1", [companyId])
