/** Answers about scores, models and their monitoring. */
import * as z from "zod"
import { anyObject, count, type Described, instant, listOf, ok, probability, riskLevel } from "./common.ts"

const source = z.enum(["model", "rules"])
const interval = z.strictObject({ low: z.number(), high: z.number(), level: z.number() })
const labelled = { code: z.string(), label: z.string(), group: z.string().nullable() }
const reason = z
  .strictObject({
    ...labelled,
    value: z.union([z.number(), z.string(), z.null()]),
    logOdds: z.number(),
  })
  .meta({ id: "Reason" })

/** A prediction with all contributions, or why there is none. */
const predictionFields = {
  status: z.enum(["scored", "not_scored"]),
  notScored: z
    .strictObject({
      reason: z.enum(["no_paid_access", "coverage_too_low"]),
      detail: z.string(),
      coverage: z.number().nullable(),
      needed: z.number().nullable(),
    })
    .nullable(),
  probability: probability.nullable(),
  interval: interval.nullable(),
  riskLevel: riskLevel.nullable(),
  baseRate: z.number().nullable(),
  logOdds: z.number().nullable(),
  base: z.number().nullable().describe("base and the logOdds of all reasons sum to logOdds"),
  reasons: z.array(reason),
  confidence: z.number().nullable(),
  confidenceThreshold: z.number().nullable(),
  isConfident: z.boolean(),
  source: source.nullable(),
  model: z.strictObject({ id: z.string(), version: z.string() }).nullable(),
  modelVersion: z.string().nullable(),
  coverage: z.number().nullable(),
}

const scoredFields = {
  customerId: z.string(),
  ...predictionFields,
  change: z
    .strictObject({
      since: instant,
      probabilityBefore: probability,
      probability,
      logOdds: z.number(),
      isOtherModel: z.boolean(),
      reasons: z.array(z.strictObject({ ...labelled, logOdds: z.number() })),
    })
    .nullable(),
  asOf: instant.nullable(),
  isStored: z.boolean(),
}

export const scored = z.strictObject(scoredFields).meta({ id: "Score" })

export const scoreSummary = z
  .strictObject({
    probability,
    interval,
    riskLevel,
    source,
    modelVersion: z.string(),
    isConfident: z.boolean(),
    asOf: instant,
  })
  .meta({ id: "ScoreSummary" })

export const prediction = z.strictObject({
  id: z.string(),
  source,
  modelVersion: z.string(),
  trigger: z.string(),
  coverage: z.number(),
  vectorHash: z.string(),
  notScored: z.string().nullable(),
  probability: probability.nullable(),
  interval: interval.nullable(),
  logOdds: z.number().nullable(),
  base: z.number().nullable(),
  reasons: z.array(reason),
  asOf: instant,
})

const ofFeatures = z.strictObject({
  ...predictionFields,
  ignored: z.array(z.string()).describe("Features that the model does not use"),
  unusable: z.array(z.string()).describe("Features with an invalid value"),
  error: z.null(),
})
const ofCustomer = z.strictObject({ ...scoredFields, error: z.null() })
const failedScore = z.strictObject({
  customerId: z.string(),
  status: z.literal("failed"),
  error: z.strictObject({ code: z.string(), detail: z.string() }),
})

const modelFields = {
  id: z.string().describe("The sha-256 of the artefact"),
  version: z.string(),
  scope: z.enum(["company", "shared"]),
  companyId: z.string().nullable(),
  kind: z.string(),
  state: z.enum(["candidate", "shadow", "champion", "retired"]),
  stateChangedAt: instant,
  featureHash: z.string(),
  dataHash: z.string(),
  bytes: count,
  training: anyObject,
  refused: z.strictObject({ at: instant, reason: z.string().nullable() }).nullable(),
  createdAt: instant,
  createdBy: z.string(),
}
const model = z.strictObject(modelFields).meta({ id: "Model" })

const gates = z
  .strictObject({
    isPassed: z.boolean(),
    isStrict: z.boolean(),
    isForced: z.boolean(),
    gates: z.array(
      z.strictObject({
        name: z.string(),
        status: z.enum(["pass", "fail", "no_data"]),
        value: z.number().nullable(),
        bound: z.number().nullable(),
        because: z.string(),
      }),
    ),
  })
  .meta({ id: "Gates" })

const modelOffset = z.strictObject({
  logOdds: z.number(),
  rows: count.nullable().describe("Rows that it was estimated from"),
  madeAt: instant,
  storedAt: instant,
  storedBy: z.string(),
})

const modelChange = z.strictObject({
  id: z.string(),
  action: z.string(),
  championBefore: z.string().nullable(),
  championAfter: z.string().nullable(),
  gates: gates.nullable(),
  who: z.string(),
  why: z.string().nullable(),
  at: instant,
})

const changeFields = {
  outcome: z.enum(["changed", "unchanged"]),
  champion: z.string().nullable(),
  before: z.string().nullable(),
}
const changed = z.strictObject(changeFields).meta({ id: "ModelChanged" })

const retraining = z
  .strictObject({
    id: z.string(),
    startedAt: instant,
    finishedAt: instant.nullable(),
    outcome: z.string().nullable(),
    method: z.string().nullable(),
    rows: count.nullable(),
    churned: count.nullable(),
    championId: z.string().nullable(),
    challenger: z
      .strictObject({ id: z.string(), version: z.string().nullable(), state: z.string().nullable() })
      .nullable(),
    verdict: z.string().nullable(),
    verdictDetails: z.unknown(),
    judgedAt: instant.nullable(),
    proposedAt: instant.nullable(),
  })
  .meta({ id: "Retraining" })

const alarm = z.strictObject({
  id: z.string(),
  measure: z.string(),
  status: z.enum(["open", "closed"]),
  value: z.number().nullable(),
  limit: z.number().nullable(),
  action: z.string().nullable(),
  raisedAt: instant,
  closedAt: instant.nullable(),
  announcedAt: instant.nullable(),
})

export const SCORES = {
  "POST /api/score": {
    summary: "Scores of customers, or of features in the request",
    answers: ok(
      z.union([
        ofCustomer,
        ofFeatures,
        z.strictObject({ data: z.array(z.union([ofCustomer, ofFeatures, failedScore])) }),
      ]),
    ),
  },
  "GET /api/models": { summary: "Models that may score the company, newest first", answers: ok(listOf(model)) },
  "GET /api/models/:id": {
    summary: "One model with its changes; the id is a sha-256 or a version",
    answers: ok(z.strictObject({ ...modelFields, offset: modelOffset.nullable(), changes: z.array(modelChange) })),
  },
  "POST /api/models": {
    summary: "Stores an artefact as a candidate; 200 if it exists already",
    body: "application/json",
    answers: { 200: { schema: model }, 201: { schema: model } },
  },
  "POST /api/models/rollback": { summary: "Rolls back to the previous champion", answers: ok(changed) },
  "POST /api/models/:id/promote": {
    summary: "Promotes a model to champion if it passes its gates",
    answers: ok(
      z.union([
        z.strictObject({ champion: z.null(), previous: z.null(), isPromoted: z.literal(false), gates }),
        z.strictObject({ ...changeFields, isPromoted: z.literal(true), gates }),
      ]),
    ),
  },
  "POST /api/models/:id/shadow": {
    summary: "Makes a model a shadow, which scores beside the champion",
    answers: ok(changed),
  },
  "PUT /api/models/:id/offset": {
    summary: "Stores the company's offset for the model: log-odds that are added to its own",
    answers: ok(modelOffset),
  },
  "POST /api/models/:id/retire": { summary: "Retires a model", answers: ok(changed) },
  "GET /api/models/:id/artefact": {
    summary: "The artefact, byte for byte as uploaded",
    answers: { 200: { type: "application/json" } },
  },
  "GET /api/models/:id/monitoring": {
    summary: "Monitoring of a model",
    answers: ok(
      z.strictObject({
        model: z.strictObject({ id: z.string(), version: z.string(), state: z.string() }),
        latest: z
          .strictObject({
            checkedAt: instant,
            status: z.string(),
            dataQuality: z.number().nullable(),
            measures: z.unknown(),
            features: z.unknown(),
          })
          .nullable(),
        history: z.array(z.strictObject({ day: z.string(), status: z.string(), dataQuality: z.number().nullable() })),
        challenge: retraining.nullable(),
        alarms: listOf(alarm),
      }),
    ),
  },
  "GET /api/retrainings": { summary: "Trainings of challengers and their verdicts", answers: ok(listOf(retraining)) },
  "GET /api/training/export": {
    summary: "Matured labels with the scored inputs, as CSV without personal data",
    answers: { 200: { type: "text/csv" } },
  },
} as const satisfies Readonly<Record<string, Described>>
