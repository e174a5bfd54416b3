/** Outcomes of cases that take part in a comparison of templates, by the variant that each was assigned to. */
import { sql } from "drizzle-orm"
import type { Experiment } from "../../../shared/domain/messaging/templates/templates.ts"
import type { Db } from "../../client.ts"
import type { TemplateRow } from "../messaging/templates.ts"
import { type Horizon, type InterventionFilter, matching, succeededBy } from "./interventions.ts"

/** A comparison with the template whose words it compares. */
export interface ExperimentRow
  extends Pick<TemplateRow, "id" | "version" | "caseKind" | "stage" | "ask" | "channel" | "language"> {
  readonly experiment: Experiment
  /** Null: under way. */
  readonly endedAt: Date | null
}

/** Older comparisons are not read. */
const EXPERIMENTS_MAX = 50

/** Cases that were assigned to a variant. */
export interface VariantRow {
  readonly experimentId: string
  readonly variant: string
  readonly cases: number
  /** Cases whose horizon has passed, and those of them that succeeded within it. */
  readonly matured: number
  readonly successes: number
}

/** Statement: a company's comparisons, those started last first; `experimentsFrom` reads its result. */
export const experimentsStatement = (db: Db, companyId: string) =>
  db.execute<StoredExperiment>(
    sql`select v.* from (
        select t.id, t.version, t.case_kind as "caseKind", t.stage, t.ask, t.channel, t.language, t.experiment,
          t.created_at, lead(t.created_at) over (partition by t.id order by t.version) as "endedAt"
        from message_templates t where t.company_id = ${companyId}
      ) v where v.experiment is not null order by v.created_at desc, v.id limit ${EXPERIMENTS_MAX}`,
  )

type StoredExperiment = Omit<{ [Name in keyof ExperimentRow]: ExperimentRow[Name] }, "endedAt"> & {
  endedAt: string | null
}

/** The comparisons that `experimentsStatement` read. */
export const experimentsFrom = ({ rows }: { readonly rows: readonly StoredExperiment[] }): readonly ExperimentRow[] =>
  rows.map((row) => ({ ...row, endedAt: row.endedAt === null ? null : new Date(row.endedAt) }))

/**
 * Statement: counts the cases of a company's comparisons by the variant that each was assigned to. A case matures
 * `horizonDays` after its assignment, which is made just before the first message that the comparison is about.
 */
export const variantsStatement = (
  db: Db,
  companyId: string,
  filter: InterventionFilter,
  { now, horizonDays }: Horizon,
) =>
  db.execute<{ [Name in keyof VariantRow]: VariantRow[Name] }>(
    sql`select o.experiment as "experimentId", o.variant, count(*)::int as cases,
        count(*) filter (where o.is_mature)::int as matured,
        count(*) filter (where o.is_mature and o.is_success)::int as successes
      from (
        select a.experiment, a.variant, a.until <= ${now.toISOString()}::timestamptz as is_mature,
          ${succeededBy(sql.raw("a.until"))} as is_success
        from (
          select distinct on (f.body ->> 'experimentId', f.body ->> 'caseId')
            f.body ->> 'experimentId' as experiment, f.body ->> 'caseId' as case_id, f.body ->> 'variant' as variant,
            f.occurred_at + make_interval(days => ${horizonDays}) as until
          from facts f where f.company_id = ${companyId} and f.kind = 'variant_assigned'
          order by f.body ->> 'experimentId', f.body ->> 'caseId', f.occurred_at, f.id
        ) a
        join recovery_cases c on c.company_id = ${companyId} and c.id = a.case_id
        join customers on customers.company_id = c.company_id and customers.id = c.customer_id
        where ${matching(companyId, filter)}
      ) o
      group by o.experiment, o.variant`,
  )
