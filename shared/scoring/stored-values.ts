/** Values that are stored with models, scores and alarms. They never change their meaning; new ones are added. */

/** The company that models are under which all companies share; no company can have this id. */
export const SHARED_COMPANY = "*"

export type ModelState = "candidate" | "shadow" | "champion" | "retired"
export type ModelAction = "uploaded" | "shadowed" | "promoted" | "retired" | "rolled_back" | "returned"
export type ScoreSource = "model" | "rules"
export type ScoreTrigger = "event" | "nightly" | "request"

/** Why a score is not to be shown. */
export type NotScored = "coverage_too_low" | "no_paid_access"

/** What was done about an alarm, or why nothing was. */
export type AlarmAction =
  | "none"
  | "returned"
  | "cooling_down"
  | "nothing_before"
  | "shared_model"
  | "pinned"
  | "earlier_no_better"
  | "earlier_not_usable"
