/** How a challenger is made: a new model if there are enough churns, else the champion recalibrated. */
import type { Artefact } from "../../scoring/model/artefact.ts"
import { logOdds } from "./calibration-drift.ts"
import type { MaturedPrediction } from "./cusum.ts"

/** With fewer churns, a model of a company's own rows is worse than a pooled one with an offset (simulated subscriptions). */
export const OWN_MODEL_EVENTS_MIN = 200
/** With fewer churns even an intercept is mostly noise. */
export const INTERCEPT_EVENTS_MIN = 20

/** `trained`: a scorecard of its own. `recalibrated`: the champion with another intercept for this company. */
export type ChallengerMethod = "trained" | "recalibrated"

/** How to make a challenger from labels with this many churns; null: there are too few. */
export function methodFor(rows: number, events: number): ChallengerMethod | null {
  const fewest = Math.min(events, rows - events)
  if (fewest >= OWN_MODEL_EVENTS_MIN) return "trained"
  return fewest >= INTERCEPT_EVENTS_MIN ? "recalibrated" : null
}

/** The standard deviation of companies' offsets in log-odds, if the champion does not state it. */
const OFFSET_DEVIATION = 0.4
const STEPS_MAX = 50

/** The champion with its recalibration in the notes, and the company's new offset in log-odds. */
export interface Recalibrated {
  readonly artefact: Artefact
  readonly offset: number
}

/**
 * The champion with the company's offset (`known`) shifted to fit its labels, with a prior of the companies' usual deviation.
 * Null if the shift is not significant at 5 %.
 */
export function recalibrated(
  champion: Artefact,
  known: number,
  rows: readonly MaturedPrediction[],
  trainedAt: string,
): Recalibrated | null {
  const prior = 1 / (champion.offsetDeviation > 0 ? champion.offsetDeviation : OFFSET_DEVIATION) ** 2
  let [shift, precision] = [0, prior]
  for (let step = 0; step < STEPS_MAX; step++) {
    let slope = -prior * shift
    precision = prior
    for (const { probability, isChurned } of rows) {
      const p = 1 / (1 + Math.exp(-(logOdds(probability) + shift)))
      slope += (isChurned ? 1 : 0) - p
      precision += p * (1 - p)
    }
    const change = Math.max(-1, Math.min(1, slope / precision))
    shift += change
    if (Math.abs(change) < 1e-10) break
  }
  if (Math.abs(shift) * Math.sqrt(precision) < 1.96) return null
  const events = rows.filter(({ isChurned }) => isChurned).length
  const notes = { recalibratedBy: shift, recalibratedRows: rows.length, recalibratedEvents: events }
  const { training } = champion
  return {
    artefact: { ...champion, training: { ...training, trainedAt, notes: { ...training.notes, ...notes } } },
    offset: known + shift,
  }
}
