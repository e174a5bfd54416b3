/** What matured labels say of a challenger that scores in the shadow of the champion. A verdict promotes nobody. */
import { type CalibrationDrift, calibrationDrift } from "./calibration-drift.ts"
import { type Comparison, comparePaired, type Pair } from "./paired.ts"

/** Churns among the labels that both have predicted: fewer cannot tell two models apart. */
export const VERDICT_EVENTS_MIN = 30

export interface Verdict {
  /** `propose`: better than chance allows, and calibrated. `reject`: worse than chance allows. `wait`: neither yet. */
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
  const says = (word: Verdict["word"], reason: Verdict["reason"]): Verdict => ({
    word,
    reason,
    comparison,
    calibration,
  })
  if (comparison === null || comparison.events < VERDICT_EVENTS_MIN) return says("wait", "too_few_churns")
  if (comparison.low > 0) return says("reject", "worse")
  if (comparison.high >= 0) return says("wait", "not_told_apart")
  return calibration?.isAbove === false ? says("propose", "better") : says("wait", "not_calibrated")
}
