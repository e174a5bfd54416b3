/** Time windows for labelling predictions and for checks. */
import type { TimeRange } from "../../../db/queries/scoring/monitoring.ts"
import { HORIZON_DAYS, LABEL_DAYS } from "../../../shared/domain/scoring/churn-label.ts"

const DAY_MS = 86_400_000
const WEEK_MS = 7 * DAY_MS

/** Two predictions of one customer within this time would count one churn twice. */
export const LABEL_HORIZON_MS = HORIZON_DAYS * DAY_MS

/** Predictions up to then have matured. */
export const labelledUntil = (now: Date): Date => new Date(now.getTime() - LABEL_DAYS * DAY_MS)

/** The oldest predictions that are labelled, so that enabling the job later does not read years. */
export const labelledFrom = (now: Date): Date => new Date(now.getTime() - 400 * DAY_MS)

/** Scoring runs every night; an older score has missed a night. */
const SCORE_STALE_MS = 36 * 3_600_000

/** The time ranges that a check reads. */
export function checkWindow(now: Date): TimeRange {
  const ago = (days: number): Date => new Date(now.getTime() - days * DAY_MS)
  const matured = labelledUntil(now)
  return {
    now,
    weeksFrom: ago(2 * 365),
    // The end of the last week that has matured completely.
    weeksUntil: new Date(Math.floor(matured.getTime() / WEEK_MS) * WEEK_MS - 1),
    recentFrom: ago(LABEL_DAYS + 182),
    scoresFrom: new Date(now.getTime() - SCORE_STALE_MS),
    eventsFrom: ago(7),
    // Labelling runs once a day; a label that is missing two days later is late.
    labelsUntil: ago(LABEL_DAYS + 2),
    labelsFrom: ago(LABEL_DAYS + 92),
  }
}
