/** Comparisons of templates with their variants, by the words that each case was assigned to (intention to treat). */
import type { InterventionFilter } from "../../db/queries/interventions/interventions.ts"
import { type ExperimentRow, readExperiments, type VariantRow } from "../../db/queries/interventions/variants.ts"
import { liftOf, type Share, shareOf, verdictOf } from "../../shared/domain/interventions/lift.ts"
import { armsOf, CONTROL } from "../../shared/domain/messaging/templates/variants.ts"
import type { Services } from "../platform/services.ts"

/** A company's comparisons with the outcomes of their cases. */
export async function readComparisons(
  { db }: Services,
  companyId: string,
  filter: InterventionFilter,
  horizon: { readonly now: Date; readonly horizonDays: number },
) {
  const { experiments, outcomes } = await readExperiments(db, companyId, filter, horizon)
  return experiments
    .filter(({ caseKind }) => filter.kind === undefined || caseKind === filter.kind)
    .map((one) =>
      compareVariants(
        one,
        outcomes.filter(({ experimentId }) => experimentId === one.experiment.id),
      ),
    )
}

/** One comparison: of each variant its cases, its success rate, and the difference from the template's own words. */
export function compareVariants({ experiment, endedAt, ...template }: ExperimentRow, rows: readonly VariantRow[]) {
  const { id, version, caseKind, stage, ask, channel, language } = template
  const rowOf = (name: string) => rows.find(({ variant }) => variant === name)
  const matured = (name: string): Share => ({
    successes: rowOf(name)?.successes ?? 0,
    cases: rowOf(name)?.matured ?? 0,
  })
  return {
    id: experiment.id,
    template: { id, version, caseKind, stage, ask, channel, language },
    startedAt: experiment.startedAt,
    endedAt: endedAt?.toISOString() ?? null,
    arms: armsOf(experiment).map(({ name, weight }) => {
      const share = matured(name)
      return {
        ...{ name, weight },
        cases: rowOf(name)?.cases ?? 0,
        ...{ matured: share.cases, successes: share.successes, ...shareOf(share) },
        /** Null for the template's own words. */
        lift: name === CONTROL ? null : showLift(share, matured(CONTROL)),
      }
    }),
  }
}

/** All cases of a comparison are drawn with the same weights: one stratum. */
function showLift(treated: Share, control: Share) {
  const strata = [{ treated, heldOut: control }]
  return { verdict: verdictOf(strata), ...(liftOf(strata) ?? { difference: null, low: null, high: null }) }
}
