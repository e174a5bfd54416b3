import { describe, expect, test } from "vitest"
import {
  CHOICE_FIELDS,
  type Condition,
  conditionCount,
  FLAG_FIELDS,
  NUMBER_FIELDS,
  RISK_SEGMENTS,
  type SegmentRule,
} from "./segments.ts"

const one: Condition = { field: "optedOut", is: false }

describe("a rule is measured", () => {
  test.each<[string, SegmentRule, number, number]>([
    ["a condition", one, 1, 1],
    ["the negation of one", { not: one }, 2, 1],
    ["all of two", { all: [one, one] }, 2, 2],
    ["any of three", { any: [one, one, one] }, 2, 3],
    ["an empty list", { all: [] }, 1, 0],
    ["the deepest of its parts", { any: [one, { all: [one, { not: one }] }, { not: one }] }, 4, 4],
  ])("%s", (_, rule, depth, conditions) => {
    expect(conditionCount(rule)).toEqual({ depth, conditions })
  })
})

test("every company has a segment for each risk level", () => {
  expect(RISK_SEGMENTS).toEqual([
    { id: "risk-low", name: "Risk: low", rule: { field: "riskLevel", in: ["low"] } },
    { id: "risk-medium", name: "Risk: medium", rule: { field: "riskLevel", in: ["medium"] } },
    { id: "risk-high", name: "Risk: high", rule: { field: "riskLevel", in: ["high"] } },
    { id: "risk-critical", name: "Risk: critical", rule: { field: "riskLevel", in: ["critical"] } },
  ])
})

test("stored segments keep working: no field is renamed or removed", () => {
  expect(CHOICE_FIELDS.join(" ")).toBe(
    "provider status plan product interval currency locale timeZone riskLevel openCase",
  )
  expect(NUMBER_FIELDS.join(" ")).toBe("risk health tenureDays mrrMinor failedPayments90d cases365d daysSinceContact")
  expect(FLAG_FIELDS.join(" ")).toBe("optedOut hasEmail cancelScheduled trialing")
})
