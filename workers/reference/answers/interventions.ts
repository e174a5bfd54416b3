/** Answers about segments, the lift of interventions, usage and signals. */
import * as z from "zod"
import { segmentRule } from "../../interventions/segment-rule.ts"
import {
  caseKind,
  channel,
  consent,
  count,
  type Described,
  instant,
  listOf,
  ok,
  provider,
  subscription,
} from "./common.ts"

const segment = z
  .strictObject({
    id: z.string(),
    companyId: z.string(),
    name: z.string(),
    kind: z.enum(["risk", "rule"]),
    rule: segmentRule,
    createdAt: instant,
    createdBy: z.string(),
    updatedAt: instant,
  })
  .meta({ id: "Segment" })

const member = z.strictObject({
  id: z.string(),
  companyId: z.string(),
  provider,
  providerCustomerId: z.string(),
  createdAt: instant,
  timeZone: z.string().nullable(),
  subscriptions: z.array(subscription),
  consents: z.array(consent),
})

const share = {
  cases: count,
  written: count,
  matured: count,
  successes: count,
  rate: z.number().nullable(),
  low: z.number(),
  high: z.number(),
}

const amounts = z.strictObject({ atStakeMinor: z.number(), keptMinor: z.number() })

const lift = z.strictObject({
  verdict: z.enum(["too_few_to_tell", "more", "less", "no_difference_shown"]),
  difference: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
})

const compared = z
  .strictObject({
    kind: caseKind,
    cases: count,
    open: count,
    randomized: count,
    matured: count,
    treated: z.strictObject(share),
    heldOut: z.strictObject(share),
    lift,
    amounts: z.array(
      z.strictObject({
        currency: z.string(),
        treated: amounts,
        heldOut: amounts,
        incremental: z.strictObject({
          isTooFewToTell: z.boolean(),
          amountMinor: z.number().nullable(),
          lowMinor: z.number().nullable(),
          highMinor: z.number().nullable(),
        }),
      }),
    ),
  })
  .meta({ id: "Comparison" })

const variants = z
  .strictObject({
    id: z.string(),
    template: z.strictObject({
      id: z.string(),
      version: z.int(),
      caseKind,
      stage: z.string().nullable(),
      ask: z.string().nullable(),
      channel: channel.nullable(),
      language: z.string().nullable(),
    }),
    startedAt: instant,
    endedAt: instant.nullable().describe("Null: under way"),
    arms: z.array(
      z.strictObject({
        name: z.string().describe("`control`: the template's own words"),
        weight: z.int(),
        cases: count,
        matured: count,
        successes: count,
        rate: z.number().nullable(),
        low: z.number(),
        high: z.number(),
        lift: lift.nullable().describe("The difference from `control`"),
      }),
    ),
  })
  .meta({ id: "VariantComparison" })

const uplift = z.strictObject({
  trainedAt: instant,
  status: z.enum(["in_force", "too_few", "not_better"]),
  rows: count,
  treatedLost: count,
  heldOutLost: count,
  keptByUplift: z.number().nullable(),
  keptByRisk: z.number().nullable(),
  areaByUplift: z.number().nullable(),
  areaByRisk: z.number().nullable(),
  areaByChance: z.number().nullable(),
})

const signalOutcomes = z
  .strictObject({
    data: z.array(
      z.strictObject({
        id: z.string().nullable(),
        status: z.enum(["recorded", "duplicate", "refused"]),
        customerId: z.string().nullable(),
        error: z.strictObject({ code: z.string(), detail: z.string() }).nullable(),
      }),
    ),
    recorded: count,
    duplicate: count,
    refused: count,
  })
  .meta({ id: "SignalOutcomes" })

export const INTERVENTIONS = {
  "GET /api/interventions": {
    summary: "The lift of nudges over the hold-out, and of variants of templates over their own words",
    answers: ok(
      z.strictObject({
        asOf: instant,
        horizonDays: z.int(),
        segmentId: z.string().nullable(),
        data: z.array(compared),
        nextCursor: z.null(),
        variants: z.array(variants).describe("Comparisons of templates, by the words that each case was assigned to"),
        uplift: uplift.nullable(),
      }),
    ),
  },
  "GET /api/segments": { summary: "Segments", answers: ok(listOf(segment)) },
  "POST /api/segments": { summary: "Adds a segment", answers: { 201: { schema: segment } } },
  "GET /api/segments/:id": { summary: "One segment", answers: ok(segment) },
  "PUT /api/segments/:id": { summary: "Changes a segment", answers: ok(segment) },
  "DELETE /api/segments/:id": { summary: "Deletes a segment", answers: { 204: {} } },
  "GET /api/segments/:id/customers": {
    summary: "The current customers of a segment",
    answers: ok(
      z.strictObject({
        data: z.array(member),
        nextCursor: z.string().nullable(),
        count,
        isCountComplete: z.boolean(),
      }),
    ),
  },
  "POST /api/signals": {
    summary: "Records usage and support signals of a company's customers",
    answers: ok(signalOutcomes),
  },
  "POST /api/usage": { summary: "Records usage of customers", answers: ok(signalOutcomes) },
} as const satisfies Readonly<Record<string, Described>>
