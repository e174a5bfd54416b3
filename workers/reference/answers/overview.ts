/** Answers with counts and amounts of a company. */
import * as z from "zod"
import type { ChannelName } from "../../../shared/domain/facts.ts"
import { caseKind, count, type Described, instant, ok, probability } from "./common.ts"

const caseCounts = z
  .strictObject({ open: count, recovered: count, lost: count, reversed: count })
  .meta({ id: "CaseCounts" })

const nudgeCounts = z
  .strictObject({ planned: count, sent: count, failed: count, suppressed: count, unknown: count })
  .meta({ id: "NudgeCounts" })

const byCurrency = z.record(z.string(), z.int())

const summary = z.strictObject({
  events: z.strictObject({
    received: count,
    held: count,
    processed: count,
    unhandled: count,
    failed: count,
    dead: count,
  }),
  cases: caseCounts,
  casesByKind: z.strictObject({ payment: caseCounts, cancellation: caseCounts, at_risk: caseCounts }),
  casesByArm: z.strictObject({ treated: caseCounts, held_out: caseCounts, not_drawn: caseCounts }),
  nudges: z.strictObject({
    email: nudgeCounts,
    sms: nudgeCounts,
    push: nudgeCounts,
    dm: nudgeCounts,
    slack: nudgeCounts,
  } satisfies Record<ChannelName, z.ZodType>),
  recoveredMinor: byCurrency,
  recoveredMinorByArm: z.strictObject({ treated: byCurrency, held_out: byCurrency, not_drawn: byCurrency }),
})

const overview = z.strictObject({
  asOf: instant,
  days: z.int().describe("Counts are of cases that opened within so many days"),
  isWhole: z.boolean().describe("False: only the newest cases are counted, `countedMax` of them"),
  countedMax: z.int(),
  atStake: z.array(
    z.strictObject({ kind: caseKind, currency: z.string().nullable(), cases: count, amountMinor: z.int() }),
  ),
  funnel: z.array(
    z.strictObject({
      kind: caseKind,
      opened: count,
      nudged: count.describe("Cases with at least one sent message"),
      clicked: count.describe("Cases whose link was opened"),
      recovered: count,
      ended: count.describe("Closed with any result: the denominator of the recovery rate"),
    }),
  ),
  reasons: z.array(
    z.strictObject({ kind: caseKind, reason: z.string().nullable(), cases: count, recovered: count, ended: count }),
  ),
  outcomes: z
    .array(
      z.strictObject({
        currency: z.string(),
        kind: caseKind,
        reason: z.string().nullable(),
        amountMinor: z.int(),
        recoveredMinor: z.int(),
        openMinor: z.int(),
        lostMinor: z.int().describe("The rest: of lost and reversed cases, and what recovered ones did not bring back"),
      }),
    )
    .describe("What became of the amounts of these cases"),
  failureTimes: z
    .array(
      z.strictObject({
        weekday: z.int().describe("From 1, Monday, to 7, in UTC"),
        hour: z.int().describe("UTC"),
        cases: count,
        recovered: count,
        ended: count,
      }),
    )
    .describe("Failed payments by when they first failed"),
  recovered: z.array(
    z.strictObject({ day: z.string().describe("UTC"), currency: z.string(), cases: count, amountMinor: z.int() }),
  ),
  likelyToLeave: z
    .array(
      z.strictObject({
        customerId: z.string(),
        providerCustomerId: z.string(),
        probability,
        monthlyMinor: z.number(),
        currency: z.string(),
        expectedLossMinor: z.number().describe("Probability times the monthly price"),
      }),
    )
    .describe("Scored within two days and without an open case; the largest expected loss first, by currency"),
})

export const OVERVIEW = {
  "GET /api/summary": { summary: "Current counts and recovered revenue", answers: ok(summary) },
  "GET /api/overview": {
    summary: "What is at stake, what was recovered and through what, and who is likely to leave",
    answers: ok(overview),
  },
} as const satisfies Readonly<Record<string, Described>>
