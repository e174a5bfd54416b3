import { calibrate } from "./model/calibrate.ts"
import { checkedRow, type Model, type Score, score } from "./model/model.ts"
import { explainScorecard } from "./model/scorecard.ts"
import { explainForest } from "./tree-shap.ts"

/** What one feature, the company's offset or the non-linearity of the calibration adds, in calibrated log-odds. */
export type Contribution = {
  readonly source: "feature" | "company" | "calibration"
  /** The feature's name; `company` and `calibration` for the other two. */
  readonly name: string
  readonly contribution: number
}

export type Explanation = Score & {
  /** Calibrated log-odds of the mean training row: the baseline of contributions. */
  readonly base: number
  /** In the order of the features, then `company` if there is an offset and `calibration` if it is isotonic. */
  readonly contributions: readonly Contribution[]
}

/**
 * Explains a row's score by contributions that, with the base, sum to its calibrated log-odds. Scorecards give their terms
 * minus their means (a pair's term is split in half), trees give exact Shapley values. A Platt slope scales them; what an
 * isotonic calibration adds to the raw sum is a separate item.
 */
export function explain(model: Model, vector: Float64Array, offset = 0): Explanation {
  const scored = score(model, vector, offset)
  const row = checkedRow(model, vector)
  const raw = new Float64Array(row.length)
  for (const part of model.parts) {
    if (part.kind === "gam") explainScorecard(part.scorecard, row, part.weight, raw)
    else explainForest(part.forest, row, part.weight, raw)
  }
  const { calibration, features } = model.artefact
  const slope = calibration.kind === "platt" ? calibration.slope : 1
  const base = calibrate(calibration, model.expectedRaw)
  const contributions = features.map(({ name }, input): Contribution => {
    return { source: "feature", name, contribution: slope * (raw[input] ?? 0) }
  })
  if (offset !== 0) contributions.push({ source: "company", name: "company", contribution: offset })
  if (calibration.kind === "isotonic") {
    const correction = calibrate(calibration, scored.raw) - base - (scored.raw - model.expectedRaw)
    contributions.push({ source: "calibration", name: "calibration", contribution: correction })
  }
  return { ...scored, base, contributions }
}
