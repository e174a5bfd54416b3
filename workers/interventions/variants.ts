/** Comparisons of templates with their variants, by the words that each case was assigned to (intention to treat). */
import type { ExperimentRow, VariantRow } from "../../db/queries/interventions/variants.ts"
import { liftOf, type Share, shareOf, verdictOf } from "../../shared/domain/interventions/lift.ts"
import { armsOf, CONTROL } from "../../shared/domain/messaging/templates/variants.ts"

/** One comparison: of each variant its cases, its success rate, and the difference from the template's own words. */
export function compareVariants({ experiment, endedAt, ...template }: ExperimentRow, all: readonly VariantRow[]) {
  const rows = all.filter(({ experimentId }) => experimentId === experiment.id)
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
