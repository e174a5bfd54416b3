/** When predictions are judged. */
import type { TimeRange } from "../../../db/queries/scoring/monitoring.ts"
import { HORIZON_DAYS, LABEL_DAYS } from "../../../shared/domain/scoring/churn-label.ts"

const DAY_MS = 86_400_000
const WEEK_MS = 7 * DAY_MS

/** Two predictions of a customer closer than this would count one loss twice. */
export const LABEL_HORIZON_MS = HORIZON_DAYS * DAY_MS

/** Predictions from before then have matured. */
export const labelledUntil = (now: Date): Date => new Date(now.getTime() - LABEL_DAYS * DAY_MS)

/** Labels are given at most this far back, so that a new switch does not read years. */
export const labelledFrom = (now: Date): Date => new Date(now.getTime() - 400 * DAY_MS)

/** Scores are made every night; one of the night before last was forgotten. */
const SCORE_STALE_MS = 36 * 3_600_000

/** What a check looks at. */
export function checkWindow(now: Date): TimeRange {
  const ago = (days: number): Date => new Date(now.getTime() - days * DAY_MS)
  const matured = labelledUntil(now)
  return {
    now,
    weeksFrom: ago(2 * 365),
    // The last moment of the last week that has matured as a whole.
    weeksUntil: new Date(Math.floor(matured.getTime() / WEEK_MS) * WEEK_MS - 1),
    recentFrom: ago(LABEL_DAYS + 182),
    scoresFrom: new Date(now.getTime() - SCORE_STALE_MS),
    eventsFrom: ago(7),
    // The job that gives labels runs once a day; after two more days it has failed to.
    labelsUntil: ago(LABEL_DAYS + 2),
    labelsFrom: ago(LABEL_DAYS + 92),
  }
}
