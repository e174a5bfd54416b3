import { describe, expect, test } from "vitest"
import { RULE_CONDITIONS_MAX, RULE_DEPTH_MAX } from "../../shared/domain/interventions/segments.ts"
import { segmentRule } from "./segment-rule.ts"

const risky = { field: "risk", op: "gte", value: 0.2 }
const accepts = (rule: unknown): boolean => segmentRule.safeParse(rule).success

/** A rule that is so deep. */
const nested = (depth: number): unknown => (depth === 1 ? risky : { not: nested(depth - 1) })
const many = (count: number) => Array.from({ length: count }, () => risky)

describe("acceptable", () => {
  test.each<[string, unknown]>([
    ["a choice", { field: "status", in: ["active", "past_due"] }],
    ["a bound", risky],
    ["a flag", { field: "optedOut", is: false }],
    [
      "all of them and any of them and not",
      { all: [risky, { any: [risky, { not: { field: "trialing", is: true } }] }] },
    ],
    ["as deep as it may be", nested(RULE_DEPTH_MAX)],
    ["as long as it may be", { all: many(RULE_CONDITIONS_MAX) }],
    ["a choice in any script", { field: "plan", in: ["料金"] }],
  ])("%s", (_, rule) => {
    expect(accepts(rule)).toBe(true)
  })
})

describe("refused", () => {
  test.each<[string, unknown]>([
    ["nothing", {}],
    ["an unknown field", { field: "email", in: ["x"] }],
    ["a name that every object inherits", { field: "constructor", in: ["x"] }],
    ["a column for a field", { field: "provider) or (true", in: ["x"] }],
    ["a bound for a choice", { field: "status", op: "gt", value: 1 }],
    ["a choice for a number", { field: "risk", in: ["0.2"] }],
    ["an unknown comparison", { field: "risk", op: "or", value: 1 }],
    ["a bound that is text", { field: "risk", op: "gt", value: "0.2" }],
    ["a bound without end", { field: "risk", op: "gt", value: Number.POSITIVE_INFINITY }],
    ["no number", { field: "risk", op: "gt", value: Number.NaN }],
    ["no choices", { field: "status", in: [] }],
    ["more than fifty choices", { field: "status", in: Array.from({ length: 51 }, (_, n) => `s${n}`) }],
    ["a choice that Postgres refuses", { field: "plan", in: ["a\u0000b"] }],
    ["half a character", { field: "plan", in: ["\ud800"] }],
    ["two rules in one", { ...risky, not: risky }],
    ["no parts", { all: [] }],
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
