/** What a challenger can be made of: a model of its own where there are enough churns, else the champion put straight. */
import type { Artefact } from "../../scoring/artefact.ts"
import { logOdds } from "./calibration-drift.ts"
import type { MaturedPrediction } from "./cusum.ts"

/** Below, a model of a company's own rows is worse than a pooled one with the company's own intercept (simulated subscriptions). */
export const OWN_MODEL_EVENTS_MIN = 200
/** Below, even an intercept says more about chance than about the company. */
export const INTERCEPT_EVENTS_MIN = 20

/** `trained`: a scorecard of its own. `recalibrated`: the champion with another intercept for this company. */
export type ChallengerMethod = "trained" | "recalibrated"

/** How a challenger is made of labels with so many churns; null: there are too few. */
export function methodFor(rows: number, events: number): ChallengerMethod | null {
  const fewest = Math.min(events, rows - events)
  if (fewest >= OWN_MODEL_EVENTS_MIN) return "trained"
  return fewest >= INTERCEPT_EVENTS_MIN ? "recalibrated" : null
}

/** How far intercepts of companies lie apart, in log-odds. */
const OFFSET_DEVIATION = 0.4
const STEPS_MAX = 50

/** The champion under a note of its own, and what the company adds to it in log-odds. */
export interface Recalibrated {
  readonly artefact: Artefact
  readonly offset: number
}

/**
 * The champion with the company's offset (`known`) moved by what its labels say, held back by how far companies usually lie apart.
 * Null when chance alone would move it as far once in twenty: then there is nothing to challenge with.
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
