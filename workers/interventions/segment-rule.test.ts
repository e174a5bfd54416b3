import { describe, expect, test } from "vitest"
import { RULE_CONDITIONS_MAX, RULE_DEPTH_MAX } from "../../shared/domain/interventions/segments.ts"
import { segmentRule } from "./segment-rule.ts"

const risky = { field: "risk", op: "gte", value: 0.2 }
const accepts = (rule: unknown): boolean => segmentRule.safeParse(rule).success

/** A rule with this nesting depth. */
const nested = (depth: number): unknown => (depth === 1 ? risky : { not: nested(depth - 1) })
const many = (count: number) => Array.from({ length: count }, () => risky)

describe("accepted", () => {
  test.each<[string, unknown]>([
    ["a choice", { field: "status", in: ["active", "past_due"] }],
    ["a bound", risky],
    ["a flag", { field: "optedOut", is: false }],
    ["all, any and not combined", { all: [risky, { any: [risky, { not: { field: "trialing", is: true } }] }] }],
    ["the maximum depth", nested(RULE_DEPTH_MAX)],
    ["the maximum number of conditions", { all: many(RULE_CONDITIONS_MAX) }],
    ["a choice in any script", { field: "plan", in: ["料金"] }],
  ])("%s", (_, rule) => {
    expect(accepts(rule)).toBe(true)
  })
})

describe("rejected", () => {
  test.each<[string, unknown]>([
    ["an empty object", {}],
    ["an unknown field", { field: "email", in: ["x"] }],
    ["a property name of Object.prototype", { field: "constructor", in: ["x"] }],
    ["SQL in a field name", { field: "provider) or (true", in: ["x"] }],
    ["a bound for a choice", { field: "status", op: "gt", value: 1 }],
    ["a choice for a number", { field: "risk", in: ["0.2"] }],
    ["an unknown comparison", { field: "risk", op: "or", value: 1 }],
    ["a bound that is text", { field: "risk", op: "gt", value: "0.2" }],
    ["an infinite bound", { field: "risk", op: "gt", value: Number.POSITIVE_INFINITY }],
    ["NaN", { field: "risk", op: "gt", value: Number.NaN }],
    ["no choices", { field: "status", in: [] }],
    ["more than fifty choices", { field: "status", in: Array.from({ length: 51 }, (_, n) => `s${n}`) }],
    ["a choice that Postgres refuses", { field: "plan", in: ["a\u0000b"] }],
    ["a lone surrogate", { field: "plan", in: ["\ud800"] }],
    ["two rules in one", { ...risky, not: risky }],
    ["an empty list of rules", { all: [] }],
    ["one level too deep", nested(RULE_DEPTH_MAX + 1)],
    ["thousands of levels", nested(4_000)],
    ["one condition too many", { all: many(RULE_CONDITIONS_MAX + 1) }],
    ["too many over all levels", { all: [{ any: many(RULE_CONDITIONS_MAX) }, risky] }],
    ["an array", [risky]],
    ["null", null],
  ])("%s", (_, rule) => {
    expect(accepts(rule)).toBe(false)
  })
})
