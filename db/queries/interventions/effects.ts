/** All that `GET /api/interventions` shows, read in one round trip. */
import { type Db, inCompany } from "../../client.ts"
import { type Horizon, type InterventionFilter, type OutcomeRow, outcomesStatement } from "./interventions.ts"
import { type UpliftRow, upliftStatement } from "./uplift.ts"
import {
  type ExperimentRow,
  experimentsFrom,
  experimentsStatement,
  type VariantRow,
  variantsStatement,
} from "./variants.ts"

/** Outcomes by arm and by variant, the comparisons of templates, and the latest training of the uplift model. */
export interface Effects {
  readonly outcomes: readonly OutcomeRow[]
  readonly uplift: UpliftRow | null
  readonly experiments: readonly ExperimentRow[]
  readonly variants: readonly VariantRow[]
}

/** The effects of a company's messages, among the cases of a filter. */
export async function readEffects(
  db: Db,
  companyId: string,
  filter: InterventionFilter,
  horizon: Horizon,
): Promise<Effects> {
  const [outcomes, uplift, experiments, variants] = await inCompany(db, companyId, [
    outcomesStatement(db, companyId, filter, horizon),
    upliftStatement(db, companyId),
    experimentsStatement(db, companyId),
    variantsStatement(db, companyId, filter, horizon),
  ])
  return {
    outcomes: outcomes.rows,
    uplift: uplift[0] ?? null,
    experiments: experimentsFrom(experiments),
    variants: variants.rows,
  }
}
