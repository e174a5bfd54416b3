/**
 * Answers for operators: events, imports, jobs, switches, health.
 * One file of more than 300 lines, since it lists every field of these answers.
 */
import * as z from "zod"
import { FLAG_NAMES } from "../../../shared/domain/flags.ts"
import { anyObject, count, type Described, instant, listOf, ok, provider } from "./common.ts"

const event = z
  .strictObject({
    id: z.string(),
    companyId: z.string().nullable(),
    provider,
    account: z.string().optional().describe("Only for an account that no company has registered"),
    endpoint: z.string().nullable().optional().describe("The company in the path of an unmapped event"),
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
  source: z.string().describe("The store that the flag was read from"),
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
const healthAnswer = (summary: string): Described => ({ summary, answers: health })

const received = z.strictObject({ received: z.literal(true), id: z.string(), duplicate: z.boolean() })
const webhook: Described = {
  summary: "A provider's signed delivery, answered once it is stored",
  body: "application/json",
  answers: ok(received),
}

export const OPERATIONS = {
  "POST /api/webhooks/:provider": webhook,
  "POST /api/webhooks/:provider/:companyId": webhook,
  "GET /api/health": healthAnswer("The overall status"),
  "GET /api/health/live": healthAnswer("Whether the Worker answers"),
  "GET /api/health/db": healthAnswer("Postgres"),
  "GET /api/health/redis": healthAnswer("Redis"),
  "GET /api/health/qstash": healthAnswer("QStash"),
  "GET /api/health/integrations": healthAnswer("Providers and channels"),
  "GET /api/health/scoring": healthAnswer("Scoring"),
  "GET /api/health/interventions": healthAnswer("Interventions"),
  "GET /api/health/webhooks": healthAnswer("Events that wait to be processed"),
  "GET /api/health/scheduler": healthAnswer("Nudges that are due"),
  "GET /api/scheduler/reminders": healthAnswer("When nudges were last sent, and how many are due"),
  "GET /api/events": { summary: "Webhook events and their status", answers: ok(listOf(event)) },
  "GET /api/events/:id": { summary: "One event", answers: ok(event) },
  "GET /api/events/:id/payload": {
    summary: "What the provider sent, opened; every reading is logged",
    answers: ok(z.strictObject({ id: z.string(), payload: z.string().describe("The body as it was received") })),
  },
  "POST /api/events/:id/replay": {
    summary: "Replays one event now",
    answers: ok(z.strictObject({ id: z.string(), status: z.string() })),
  },
  "POST /api/events/replay": {
    summary: "Queues many events to be replayed",
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
    summary: "Starts an import, or returns the unfinished one",
    answers: { 200: { schema: backfill }, 201: { schema: backfill } },
  },
  "POST /api/backfills/:id/next": { summary: "Imports one page", answers: ok(backfill) },
  "GET /api/reconciliations": { summary: "Comparisons with the provider", answers: ok(listOf(reconciliation)) },
  "POST /api/reconciliations": {
    summary: "Compares now",
    answers: ok(z.strictObject({ ...counted, isComplete: z.boolean(), data: z.array(reconciliation) })),
  },
  "POST /api/rebuild": {
    summary: "Compares the stored states of the next customers with their ledgers",
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
  "GET /api/jobs": { summary: "Jobs and their state", answers: ok(listOf(job)) },
  "GET /api/jobs/:name": { summary: "One job", answers: ok(job) },
  "GET /api/jobs/:name/runs": { summary: "Runs of a job, newest first", answers: ok(listOf(run)) },
  "POST /api/jobs/:name/run": { summary: "Runs a job now", answers: ok(jobOutcome) },
  "POST /api/jobs/:name/pause": { summary: "Pauses a job for both heartbeats", answers: ok(job) },
  "POST /api/jobs/:name/resume": { summary: "Resumes a job", answers: ok(job) },
  "POST /api/jobs/:name/release": { summary: "Ends a stuck run", answers: ok(job) },
  "POST /jobs/:job": {
    summary: "Runs a job: called by QStash with its signature, or by an operator; the body is the job's payload",
    body: "application/json",
    answers: {
      200: { schema: jobOutcome },
      489: { schema: z.strictObject({ job: z.string(), gaveUp: z.string() }) },
    },
  },
  "GET /api/dead-letters": {
    summary: "Dead letters with their reasons",
    answers: ok(
      z.strictObject({
        data: z.array(deadLetter),
        nextCursor: z.string().nullable(),
        unavailable: z.array(z.string()).describe("Kinds whose store does not answer now"),
      }),
    ),
  },
  "POST /api/dead-letters/:kind/:id/retry": {
    summary: "Retries a dead letter",
    answers: ok(z.strictObject({ kind: z.enum(["event", "message", "parked"]), id: z.string(), status: z.string() })),
  },
  "GET /api/secrets/webhooks": {
    summary: "The signing secrets of the company's own endpoints, as fingerprints",
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
    summary: "Metrics of the whole deployment over the last minutes",
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
        refolds: z.strictObject({
          whole: count.describe("How often the whole ledger of a known customer was folded again"),
          lastSecond: count.describe("How often only the facts of the state's last second were folded again"),
          facts: count.describe("The facts that were folded for both"),
        }),
      }),
    ),
  },
  "GET /api/openapi.json": {
    summary: "The OpenAPI 3.1 description of this API",
    answers: { 200: { type: "application/json" } },
  },
  "GET /api/docs": { summary: "The API reference as a page", answers: { 200: { type: "text/html" } } },
} as const satisfies Readonly<Record<string, Described>>
