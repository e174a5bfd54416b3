/** Validates a segment's rule from a caller: limited depth and number of conditions, known fields only. */
import * as z from "zod"
import {
  CHOICE_FIELDS,
  CHOICES_MAX,
  conditionCount,
  FLAG_FIELDS,
  NUMBER_FIELDS,
  RULE_CONDITIONS_MAX,
  RULE_DEPTH_MAX,
  type SegmentRule,
} from "../../shared/domain/interventions/segments.ts"

/** Long enough for price ids, the longest values. */
const CHOICE_CHARS_MAX = 200
const choice = z.lazy(() =>
  z
    .string()
    .min(1)
    .max(CHOICE_CHARS_MAX)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u, "expected plain text"),
)

const condition: z.ZodType<SegmentRule> = z.lazy(() =>
  z
    .union([
      z.strictObject({ field: z.enum(CHOICE_FIELDS), in: z.array(choice).min(1).max(CHOICES_MAX) }),
      z.strictObject({ field: z.enum(NUMBER_FIELDS), op: z.enum(["lt", "lte", "gt", "gte"]), value: z.number() }),
      z.strictObject({ field: z.enum(FLAG_FIELDS), is: z.boolean() }),
    ])
    .meta({ id: "SegmentCondition" }),
)

const EXPECTED = "expected a condition, or all, any or not of rules"

/** Built level by level instead of recursively, so that deeper nesting is rejected without being traversed. */
function ruleOf(depth: number): z.ZodType<SegmentRule> {
  if (depth === 1) return condition
  const inner = ruleOf(depth - 1)
  const parts = z.array(inner).min(1).max(RULE_CONDITIONS_MAX)
  return z
    .union(
      [condition, z.strictObject({ all: parts }), z.strictObject({ any: parts }), z.strictObject({ not: inner })],
      { error: EXPECTED },
    )
    .meta({ id: `SegmentRule${depth}` })
}

export const segmentRule = z.lazy(() =>
  ruleOf(RULE_DEPTH_MAX).refine((rule) => conditionCount(rule).conditions <= RULE_CONDITIONS_MAX, {
    error: `expected at most ${RULE_CONDITIONS_MAX} conditions`,
  }),
)
