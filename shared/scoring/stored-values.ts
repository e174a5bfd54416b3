/** Values stored with models, scores and alarms. Their meaning never changes; new ones are added. */

/** The company id of shared models; no company can have it. */
export const SHARED_COMPANY = "*"

export type ModelState = "candidate" | "shadow" | "champion" | "retired"
export type ModelAction = "uploaded" | "shadowed" | "promoted" | "retired" | "rolled_back" | "returned"
export type ScoreSource = "model" | "rules"
export type ScoreTrigger = "event" | "nightly" | "request"

/** Why a score is not shown. */
export type NotScored = "coverage_too_low" | "no_paid_access"

/** The action taken for an alarm, or why none was. */
export type AlarmAction =
  | "none"
  | "returned"
  | "cooling_down"
  | "nothing_before"
  | "shared_model"
  | "pinned"
  | "earlier_no_better"
  | "earlier_not_usable"
