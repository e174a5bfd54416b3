import { expect, test } from "vitest"
import { FEATURES, INTERVALS } from "./schema.ts"

const namesOf = (group: string) => FEATURES.filter((feature) => feature.group === group).map(({ name }) => name)

test("each feature belongs to one component of the health", () => {
  const groups = ["tenure", "payment", "usage", "support", "relationship"]
  expect(groups.map((group) => namesOf(group).length)).toEqual([7, 14, 11, 6, 15])
  expect(groups.flatMap(namesOf)).toEqual(FEATURES.map(({ name }) => name))
})

test("names, their order and the levels of categories never change: stored models depend on them", () => {
  expect(INTERVALS).toEqual(["shorter", "month", "quarter", "half_year", "year", "longer"])
  const levels = FEATURES.flatMap((feature) => ("levels" in feature ? [[feature.name, ...feature.levels]] : []))
  expect(levels).toEqual([
    ["interval", "shorter", "month", "quarter", "half_year", "year", "longer"],
    ["price_class", "free", "up_to_10", "up_to_30", "up_to_100", "up_to_300", "above_300"],
  ])
})

test("labels are lower case, for use within a sentence, and differ", () => {
  const labels = FEATURES.map(({ label }) => label)
  for (const label of labels) expect(label).toMatch(/^[a-z][a-z0-9 ,']{5,60}$/)
  expect(new Set(labels).size).toBe(labels.length)
})

test("more failures, complaints and lost usage never lower the risk, more usage and upgrades never raise it", () => {
  const inDirection = (wanted: number) =>
    FEATURES.filter(({ direction }) => direction === wanted).map(({ name }) => name)
  expect(inDirection(-1)).toEqual([
    "long_plan",
    "usage_4w_ratio",
    "usage_8w_ratio",
    "usage_2w_ratio",
    "usage_life_ratio",
    "upgrades_90d",
    "upgrades_365d",
  ])
  expect(inDirection(1)).toEqual([
    "long_renewal_due",
    "failed_invoices_30d",
    "failed_invoices_90d",
    "failed_attempts_30d",
    "unrecovered_invoices_30d",
    "unrecovered_invoices_90d",
    "failure_share_365d",
    "new_card_needed",
    "refunds_180d",
    "disputes_365d",
    "usage_decline_4w",
    "usage_decline_8w",
    "usage_drop_8w",
    "zero_usage_4w",
    "zero_usage_weeks",
    "days_since_usage",
    "negative_tickets_30d",
    "negative_tickets_90d",
    "downgrades_30d",
    "downgrades_90d",
    "downgrades_365d",
    "cancel_scheduled",
    "paused",
  ])
})
