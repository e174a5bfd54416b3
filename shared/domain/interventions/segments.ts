/**
 * Segments: groups of customers, defined by a small expression over their data. An expression is data: it uses only the
 * fields listed here, with limited depth and number of conditions.
 */

/**
 * Fields compared with a list. A customer may have several subscriptions: a condition on statuses, prices (`plan`), products,
 * intervals and currencies is met if a subscription that has not ended meets it.
 */
export const CHOICE_FIELDS = [
  "provider",
  "status",
  "plan",
  "product",
  "interval",
  "currency",
  "locale",
  "timeZone",
  "riskLevel",
  "openCase",
] as const

/**
 * Fields compared with a bound: `risk` is a probability of 0 to 1, `health` the model's of 0 to 100, `tenureDays` is counted
 * from the first subscription that has not ended, `mrrMinor` is the monthly price of active ones in their own currencies.
 */
export const NUMBER_FIELDS = [
  "risk",
  "health",
  "tenureDays",
  "mrrMinor",
  "failedPayments90d",
  "cases365d",
  "daysSinceContact",
] as const

/** Fields that are true or false. */
export const FLAG_FIELDS = ["optedOut", "hasEmail", "cancelScheduled", "trialing"] as const

export type ChoiceField = (typeof CHOICE_FIELDS)[number]
export type NumberField = (typeof NUMBER_FIELDS)[number]
export type FlagField = (typeof FLAG_FIELDS)[number]

export type Comparison = "lt" | "lte" | "gt" | "gte"

/** One condition. An unknown value meets no condition, so that `not` of it is met. */
export type Condition =
  | { readonly field: ChoiceField; readonly in: readonly string[] }
  | { readonly field: NumberField; readonly op: Comparison; readonly value: number }
  | { readonly field: FlagField; readonly is: boolean }

export type SegmentRule =
  | Condition
  | { readonly all: readonly SegmentRule[] }
  | { readonly any: readonly SegmentRule[] }
  | { readonly not: SegmentRule }

/** Limits for what a person can read and one query can evaluate. */
export const RULE_DEPTH_MAX = 5
export const RULE_CONDITIONS_MAX = 30
export const CHOICES_MAX = 50

/** How deep a rule is nested, and how many conditions it has. */
export function conditionCount(rule: SegmentRule): { readonly depth: number; readonly conditions: number } {
  if ("field" in rule) return { depth: 1, conditions: 1 }
  const parts = ("all" in rule ? rule.all : "any" in rule ? rule.any : [rule.not]).map(conditionCount)
  return {
    depth: 1 + Math.max(0, ...parts.map(({ depth }) => depth)),
    conditions: parts.reduce((sum, { conditions }) => sum + conditions, 0),
  }
}

/** The built-in segments of every company: customers by risk level. They cannot be changed. */
export const RISK_SEGMENTS = (["low", "medium", "high", "critical"] as const).map((level) => ({
  id: `risk-${level}`,
  name: `Risk: ${level}`,
  rule: { field: "riskLevel", in: [level] } as SegmentRule,
}))
