/**
 * Answers about how the suite is operated: events, imports, jobs, switches, health.
 * Longer than 300 lines, since every field that a client reads is written out.
 */
import * as z from "zod"
import { FLAG_NAMES } from "../../../shared/domain/flags.ts"
import { anyObject, count, type Described, instant, listOf, ok, provider } from "./common.ts"

const event = z
  .strictObject({
    id: z.string(),
    companyId: z.string().nullable(),
    provider,
    account: z.string().optional().describe("Only where it is registered for no company"),
    endpoint: z.string().nullable().optional().describe("The company in the path that such an event was sent to"),
    providerEventId: z.string(),
    type: z.string(),
    apiVersion: z.string().nullable(),
    status: z.enum(["received", "held", "processed", "unhandled", "failed", "dead", "unmapped_account"]),
    attempts: count,
    customerId: z.string().nullable(),
    occurredAt: instant,
    receivedAt: instant,
    processedAt: instant.nullable(),
    error: z.string().nullable(),
  })
  .meta({ id: "Event" })

const backfill = z
  .strictObject({
    id: z.string(),
    companyId: z.string(),
    provider,
    account: z.string().nullable(),
    since: instant,
    until: instant,
    imported: count,
    known: count,
    unread: count,
    reached: instant,
    isComplete: z.boolean(),
    startedAt: instant,
    updatedAt: instant,
    finishedAt: instant.nullable(),
  })
  .meta({ id: "Backfill" })

const counted = {
  checked: count,
  missing: count,
  fetched: count,
  outOfReach: count,
  differences: count,
  repaired: count,
}
const reconciliation = z
  .strictObject({
    id: z.string(),
    companyId: z.string(),
    provider,
    account: z.string().nullable(),
    kind: z.enum(["recent", "full", "subscriptions"]),
    startedAt: instant,
    finishedAt: instant.nullable(),
    from: instant,
    until: instant,
    ...counted,
    isComplete: z.boolean(),
    details: z.unknown(),
  })
  .meta({ id: "Reconciliation" })

const flagValue = {
  enabled: z.boolean(),
  percentage: z.number().min(0).max(100),
  allow: z.array(z.string()),
  deny: z.array(z.string()),
}
const flagFields = {
  name: z.enum(FLAG_NAMES),
  ...flagValue,
  isDefault: z.boolean(),
  updatedAt: instant.nullable(),
  updatedBy: z.string().nullable(),
  reason: z.string().nullable(),
  isOn: z.boolean().describe("For the caller's company"),
  because: z.string().optional(),
  source: z.string().describe("Where the reading comes from"),
}
const flagChange = z
  .strictObject({
    id: z.string(),
    before: z.strictObject(flagValue).nullable(),
    after: z.strictObject(flagValue),
    who: z.string().nullable(),
    why: z.string().nullable(),
    at: instant,
  })
  .meta({ id: "FlagChange" })

const runFields = {
  id: z.string(),
  job: z.string(),
  source: z.enum(["qstash", "cron", "operator"]),
  owner: z.string(),
  slot: instant.nullable(),
  startedAt: instant,
  finishedAt: instant.nullable(),
  heartbeatAt: instant.nullable(),
  leaseUntil: instant.nullable(),
  fence: z.number().nullable(),
  outcome: z.string().nullable(),
  error: z.string().nullable(),
  durationMs: z.number().nullable(),
  counts: anyObject,
}
const run = z.strictObject(runFields).meta({ id: "JobRun" })
const job = z
  .strictObject({
    name: z.string(),
    schedule: z.string().nullable(),
    isPaused: z.boolean(),
    reason: z.string().nullable(),
    changedBy: z.string().nullable(),
    changedAt: instant.nullable(),
    lastRun: run.nullable(),
    running: z.strictObject({ ...runFields, isStuck: z.boolean() }).nullable(),
    nextRunAt: instant.nullable(),
    heartbeats: z.strictObject({ qstash: instant.nullable(), cron: instant.nullable() }),
  })
  .meta({ id: "Job" })
const jobOutcome = z
  .strictObject({ job: z.string(), outcome: z.string(), counts: anyObject })
  .meta({ id: "JobOutcome" })

const deadLetter = z.strictObject({
  kind: z.enum(["event", "message", "parked"]),
  id: z.string(),
  reason: z.string().nullable(),
  job: z.string().nullable(),
  eventId: z.string().nullable(),
  attempts: count.nullable(),
  responseStatus: z.int().nullable(),
  at: instant,
  isRetryable: z.boolean(),
})

const secretFields = {
  id: z.string(),
  companyId: z.string(),
  provider,
  fingerprint: z.string().nullable().describe("The first digits of the secret's SHA-256"),
  createdAt: instant,
  createdBy: z.string(),
  expiresAt: instant.nullable(),
  isActive: z.boolean(),
}

const area = z
  .strictObject({
    requests: count,
    refused: count,
    errors: count,
    meanResponseMs: z.number().nullable(),
  })
  .meta({ id: "AreaFigures" })

const health: Described["answers"] = {
  200: { type: "application/health+json" },
  503: { type: "application/health+json" },
}
const ofHealth = (summary: string): Described => ({ summary, answers: health })

const received = z.strictObject({ received: z.literal(true), id: z.string(), duplicate: z.boolean() })
const webhook: Described = {
  summary: "A provider's signed delivery, taken in once it is durable",
  body: "application/json",
  answers: ok(received),
}

export const OPERATIONS: Readonly<Record<string, Described>> = {
  "POST /api/webhooks/:provider": webhook,
  "POST /api/webhooks/:provider/:companyId": webhook,
  "GET /api/health": ofHealth("The status as a whole"),
  "GET /api/health/live": ofHealth("That the Worker answers"),
  "GET /api/health/db": ofHealth("Postgres"),
  "GET /api/health/redis": ofHealth("Redis"),
  "GET /api/health/qstash": ofHealth("QStash"),
  "GET /api/health/integrations": ofHealth("Providers and channels"),
  "GET /api/health/scoring": ofHealth("Scoring"),
  "GET /api/health/interventions": ofHealth("Interventions"),
  "GET /api/health/webhooks": ofHealth("What waits to be processed"),
  "GET /api/health/scheduler": ofHealth("Nudges that are due"),
  "GET /api/scheduler/reminders": ofHealth("When nudges were last sent, and what waits"),
  "GET /api/events": { summary: "What providers sent, and how far it got", answers: ok(listOf(event)) },
  "GET /api/events/:id": { summary: "One event", answers: ok(event) },
  "POST /api/events/:id/replay": {
    summary: "Processes one event anew, now",
    answers: ok(z.strictObject({ id: z.string(), status: z.string() })),
  },
  "POST /api/events/replay": {
    summary: "Puts many events in line to be processed anew",
    answers: {
      202: {
        schema: z.strictObject({
          matched: count,
          queued: count,
          purged: count,
          more: z.boolean(),
          lastReceivedAt: instant.nullable(),
        }),
      },
    },
  },
  "GET /api/backfills": { summary: "Imports", answers: ok(listOf(backfill)) },
  "GET /api/backfills/:id": { summary: "One import", answers: ok(backfill) },
  "POST /api/backfills": {
    summary: "Begins an import, or answers the one that is not finished",
    answers: { 200: { schema: backfill }, 201: { schema: backfill } },
  },
  "POST /api/backfills/:id/next": { summary: "Imports one page", answers: ok(backfill) },
  "GET /api/reconciliations": { summary: "Comparisons with the provider", answers: ok(listOf(reconciliation)) },
  "POST /api/reconciliations": {
    summary: "Compares now",
    answers: ok(z.strictObject({ ...counted, isComplete: z.boolean(), data: z.array(reconciliation) })),
  },
  "POST /api/rebuild": {
    summary: "Compares what is stored with the ledgers of the next customers",
    answers: ok(
      z.strictObject({
        checked: count,
        differing: z.array(
          z.strictObject({
            customerId: z.string(),
            differences: z.array(z.unknown()),
            isPending: z.boolean(),
            isApplied: z.boolean(),
          }),
        ),
        next: z.string().nullable(),
      }),
    ),
  },
  "GET /api/flags": { summary: "Switches and feature flags", answers: ok(listOf(z.strictObject(flagFields))) },
  "GET /api/flags/:name": { summary: "One flag", answers: ok(z.strictObject(flagFields)) },
  "PUT /api/flags/:name": {
    summary: "Sets a flag",
    answers: ok(z.strictObject({ ...flagFields, storedIn: z.array(z.enum(["redis", "postgres"])) })),
  },
  "GET /api/flags/:name/changes": { summary: "Changes of a flag, newest first", answers: ok(listOf(flagChange)) },
  "GET /api/jobs": { summary: "Jobs and how they are", answers: ok(listOf(job)) },
  "GET /api/jobs/:name": { summary: "One job", answers: ok(job) },
  "GET /api/jobs/:name/runs": { summary: "Runs of a job, newest first", answers: ok(listOf(run)) },
  "POST /api/jobs/:name/run": { summary: "Runs a job now", answers: ok(jobOutcome) },
  "POST /api/jobs/:name/pause": { summary: "Stops both heartbeats of a job", answers: ok(job) },
  "POST /api/jobs/:name/resume": { summary: "Lets a job run again", answers: ok(job) },
  "POST /api/jobs/:name/release": { summary: "Ends a run that is stuck", answers: ok(job) },
  "POST /jobs/:job": {
    summary: "Runs a job: called by QStash with its signature, or by an operator; the body is the job's payload",
    body: "application/json",
    answers: {
      200: { schema: jobOutcome },
      489: { schema: z.strictObject({ job: z.string(), gaveUp: z.string() }) },
    },
  },
  "GET /api/dead-letters": {
    summary: "Dead letters with their reason",
    answers: ok(
      z.strictObject({
        data: z.array(deadLetter),
        nextCursor: z.string().nullable(),
        unavailable: z.array(z.string()).describe("Kinds whose store does not answer now"),
      }),
    ),
  },
  "POST /api/dead-letters/:kind/:id/retry": {
    summary: "Tries a dead letter once more",
    answers: ok(z.strictObject({ kind: z.enum(["event", "message", "parked"]), id: z.string(), status: z.string() })),
  },
  "GET /api/secrets/webhooks": {
    summary: "The secrets of the company's own endpoints, never the secrets themselves",
    answers: ok(listOf(z.strictObject(secretFields))),
  },
  "POST /api/secrets/webhooks": {
    summary: "Adds a secret; the others stay valid for an overlap",
    answers: {
      201: { schema: z.strictObject({ ...secretFields, othersAcceptedUntil: instant.nullable() }) },
    },
  },
  "DELETE /api/secrets/webhooks/:id": { summary: "Ends a secret", answers: ok(z.strictObject(secretFields)) },
  "GET /api/figures": {
    summary: "The whole deployment in these minutes",
    answers: ok(
      z.strictObject({
        windowMinutes: z.int(),
        isPartial: z.boolean(),
        requests: count,
        errorRate: z.number().nullable(),
        meanResponseMs: z.number().nullable(),
        areas: z.strictObject({ webhooks: area, api: area, jobs: area, links: area }),
        processing: z.strictObject({
          received: count,
          processed: count,
          failed: count,
          waiting: count,
          success: z.number().nullable(),
        }),
        delivery: z.strictObject({ sent: count, failed: count, unknown: count, rate: z.number().nullable() }),
      }),
    ),
  },
  "GET /api/openapi.json": {
    summary: "This description (OpenAPI 3.1)",
    answers: { 200: { type: "application/json" } },
  },
  "GET /api/docs": { summary: "This description for people", answers: { 200: { type: "text/html" } } },
}
