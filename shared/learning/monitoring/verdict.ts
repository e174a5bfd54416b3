/** The verdict of matured labels on a challenger that scores as a shadow. A verdict never promotes a model. */
import { type CalibrationDrift, calibrationDrift } from "./calibration-drift.ts"
import { type Comparison, comparePaired, type Pair } from "./paired.ts"

/** Minimum churns among labels that both models have predicted; fewer cannot distinguish two models. */
export const VERDICT_EVENTS_MIN = 30

export interface Verdict {
  /** `propose`: significantly better, and calibrated. `reject`: significantly worse. `wait`: neither yet. */
  readonly word: "propose" | "reject" | "wait"
  readonly reason: "better" | "worse" | "too_few_churns" | "not_told_apart" | "not_calibrated"
  readonly comparison: Comparison | null
  readonly calibration: CalibrationDrift | null
}

/** The verdict on a challenger over the rows that both have predicted. */
export function evaluateChallenger(pairs: readonly Pair[], seed: number): Verdict {
  const comparison = comparePaired(pairs, seed)
  const own = pairs.map(({ challenger, isChurned }) => ({ probability: challenger, isChurned }))
  const calibration = calibrationDrift(own)
  const verdict = (word: Verdict["word"], reason: Verdict["reason"]): Verdict => ({
    word,
    reason,
    comparison,
    calibration,
  })
  if (comparison === null || comparison.events < VERDICT_EVENTS_MIN) return verdict("wait", "too_few_churns")
  if (comparison.low > 0) return verdict("reject", "worse")
  if (comparison.high >= 0) return verdict("wait", "not_told_apart")
  return calibration?.isAbove === false ? verdict("propose", "better") : verdict("wait", "not_calibrated")
}
