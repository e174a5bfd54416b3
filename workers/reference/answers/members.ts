/**
 * Answers about members: cases, nudges, customers, segments and interventions.
 * One file of more than 300 lines, since it lists every field of these answers.
 */
import * as z from "zod"
import { segmentRule } from "../../interventions/segment-rule.ts"
import { settingsSchema } from "../../operations/settings-schema.ts"
import {
  arm,
  channel,
  component,
  count,
  type Described,
  instant,
  listOf,
  ok,
  probability,
  provider,
  riskLevel,
} from "./common.ts"
import { prediction, scored, scoreSummary } from "./scores.ts"

const kind = z.enum(["payment", "cancellation", "at_risk"])

const quarantineReason = z.enum(["customer_flood", "too_many_links", "state_is_full"])

const brand = z.strictObject({
  brandName: z.string().nullable().describe("The name that the company chose"),
  shownName: z.string().nullable().describe("The name in its messages"),
  isWaiting: z.boolean().describe("The chosen name waits for an operator's approval"),
  approved: z.array(z.string()),
  decisions: z.array(
    z.strictObject({
      name: z.string(),
      isApproved: z.boolean(),
      at: instant,
      who: z.string().optional().describe("For operators only"),
      why: z.string().nullable().optional().describe("For operators only"),
    }),
  ),
})

const caseFields = {
  id: z.string(),
  companyId: z.string(),
  kind,
  status: z.enum(["open", "recovered", "lost", "reversed"]),
  provider,
  customerId: z.string(),
  providerCustomerId: z.string(),
  subscriptionId: z.string().nullable(),
  invoiceId: z.string().nullable(),
  amountMinor: z
    .int()
    .nullable()
    .describe("The amount owed at opening, in minor units; null where the provider states no amount"),
  currency: z.string().nullable(),
  remainingMinor: z.int().nullable().describe("The amount that is still owed; null once closed"),
  recoveredMinor: z.int().describe("Paid and not refunded"),
  billing: z.enum(["subscription", "one_off"]),
  collection: z.enum(["automatic", "manual"]),
  paymentInProgress: z.strictObject({ since: instant, until: instant }).nullable(),
  declineCode: z.string().nullable(),
  failureCount: count,
  openedAt: instant,
  closedAt: instant.nullable(),
  cause: z.string().nullable(),
  heldOut: z.boolean(),
  arm,
  holdoutPercentage: z.number().nullable(),
  risk: z.strictObject({ probability, until: instant.nullable() }).nullable(),
}

const nudgeFields = {
  id: z.string(),
  step: z.int().nullable().describe("The day of the playbook; null: a manual nudge"),
  channel,
  status: z.enum(["planned", "sent", "failed", "suppressed", "unknown"]),
  reason: z.string().nullable(),
  attempts: count,
  dueAt: instant,
  sentAt: instant.nullable(),
}

const fact = z
  .looseObject({ id: z.string(), occurredAt: instant, recordedAt: instant, kind: z.string() })
  .meta({ id: "Fact", description: "A fact of the ledger; further fields depend on its kind" })

const recoveryCase = z.strictObject(caseFields).meta({ id: "Case" })
const nudge = z.strictObject(nudgeFields).meta({ id: "Nudge" })

const subscription = z
  .looseObject({
    id: z.string(),
    status: z.string(),
    currency: z.string().nullable(),
    items: z.array(
      z.looseObject({
        priceId: z.string().nullable(),
        productId: z.string().nullable(),
        unitAmountMinor: z.number().nullable(),
        quantity: z.number(),
        interval: z.enum(["day", "week", "month", "year"]).nullable(),
        intervalCount: z.number(),
      }),
    ),
    startedAt: instant.nullable(),
    currentPeriodEnd: instant.nullable(),
    trialEnd: instant.nullable(),
    cancelAt: instant.nullable(),
    endedAt: instant.nullable(),
    endReason: z.string().nullable(),
    paused: z.string().nullable(),
    hasPaid: z.boolean(),
  })
  .meta({ id: "Subscription", description: "The latest state that the provider sent" })

const consent = z
  .strictObject({
    purpose: z.string(),
    isGranted: z.boolean(),
    via: z.string(),
    changedAt: instant,
  })
  .meta({ id: "Consent" })

const health = z
  .strictObject({
    status: z.enum(["scored", "not_scored"]),
    because: z
      .strictObject({ reason: z.string(), coverage: z.number().optional(), needed: z.number().optional() })
      .nullable(),
    score: z.number().nullable().describe("0 to 100; 100 is the lowest risk"),
    components: z.array(z.strictObject({ name: component, score: z.number(), points: z.number() })),
    isReweighted: z.boolean().optional(),
    source: z.string(),
    modelVersion: z.string(),
    asOf: instant,
  })
  .nullable()

const customerFields = {
  id: z.string(),
  companyId: z.string(),
  provider,
  providerCustomerId: z.string(),
  name: z.string().nullable().describe("Null for roles that may not see it"),
  email: z.string().nullable().describe("Null for roles that may not see it"),
  timeZone: z.string().nullable(),
  subscriptions: z.array(subscription),
  score: scoreSummary.nullable(),
  health,
  atRisk: z.strictObject({ score: z.number(), level: riskLevel }).nullable(),
  consents: z.array(consent),
}

const milestone = z
  .strictObject({
    id: z.string(),
    kind: z.string(),
    detail: z.unknown(),
    reachedAt: instant,
    recordedAt: instant,
    announcement: z.unknown(),
  })
  .meta({ id: "Milestone" })

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
const compared = z
  .strictObject({
    kind,
    cases: count,
    open: count,
    randomized: count,
    matured: count,
    treated: z.strictObject(share),
    heldOut: z.strictObject(share),
    lift: z.strictObject({
      verdict: z.enum(["too_few_to_tell", "more", "less", "no_difference_shown"]),
      difference: z.number().nullable(),
      low: z.number().nullable(),
      high: z.number().nullable(),
    }),
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
  }),
  recoveredMinor: byCurrency,
  recoveredMinorByArm: z.strictObject({ treated: byCurrency, held_out: byCurrency, not_drawn: byCurrency }),
})

const templateWords = z
  .record(z.string(), z.string())
  .describe("Own words by part; a part that is left out is written as shipped")
const savedFields = {
  version: z.int(),
  words: templateWords,
  isInForce: z.boolean(),
  savedAt: instant,
  savedBy: z.string(),
}
const templateFields = {
  id: z.string(),
  companyId: z.string(),
  caseKind: kind,
  stage: z.string().nullable().describe("Null: all stages; so are the next three"),
  ask: z.string().nullable(),
  channel: channel.nullable(),
  language: z.string().nullable(),
  ...savedFields,
}
const template = z.strictObject(templateFields).meta({ id: "Template" })
const previewed = z.strictObject({
  faults: z.array(z.strictObject({ part: z.string(), reason: z.string() })),
  previews: z.array(z.strictObject({ channel, subject: z.string(), text: z.string(), html: z.string().nullable() })),
})

const overview = z.strictObject({
  asOf: instant,
  days: z.int().describe("Counts are of cases that opened within so many days"),
  atStake: z.array(z.strictObject({ kind, currency: z.string().nullable(), cases: count, amountMinor: z.int() })),
  funnel: z.array(
    z.strictObject({
      kind,
      opened: count,
      nudged: count.describe("Cases with at least one sent message"),
      clicked: count.describe("Cases whose link was opened"),
      recovered: count,
      ended: count.describe("Closed with any result: the denominator of the recovery rate"),
    }),
  ),
  reasons: z.array(
    z.strictObject({ kind, reason: z.string().nullable(), cases: count, recovered: count, ended: count }),
  ),
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

const weights = z
  .strictObject({
    payment: z.number(),
    usage: z.number(),
    support: z.number(),
    relationship: z.number(),
    tenure: z.number(),
  })
  .meta({ id: "Weights" })

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

const view = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    filter: z.record(z.string(), z.string()).describe("The query of `GET /api/cases`"),
    createdAt: instant,
    createdBy: z.string(),
  })
  .meta({ id: "SavedView" })

export const MEMBERS = {
  "GET /api/cases": { summary: "Cases, the latest opened first", answers: ok(listOf(recoveryCase)) },
  "GET /api/cases/:id": {
    summary: "One case with its nudges and its timeline",
    answers: ok(z.strictObject({ ...caseFields, nudges: z.array(nudge), timeline: z.array(fact) })),
  },
  "POST /api/cases/bulk": {
    summary: "Sends a manual nudge for many cases or closes them; a dry run says whom it reaches and whom not",
    answers: ok(
      listOf(
        z.strictObject({
          caseId: z.string(),
          outcome: z
            .enum(["done", "would_be_done", "refused", "not_tried"])
            .describe("`not_tried`: the call made too many round trips; ask for these again"),
          channel: channel.nullable(),
          reason: z.string().nullable(),
          detail: z.string().nullable().describe("Why it was refused, for people"),
        }),
      ),
    ),
  },
  "POST /api/cases/:id/nudge": {
    summary: "Sends a manual nudge; the same Idempotency-Key is the same nudge",
    answers: { 202: { schema: z.strictObject({ nudge }) } },
  },
  "POST /api/cases/:id/close": { summary: "Closes a case manually; it counts as lost", answers: ok(recoveryCase) },
  "GET /api/nudges": {
    summary: "Nudges, the latest due first",
    answers: ok(
      listOf(
        z.strictObject({
          ...nudgeFields,
          companyId: z.string(),
          caseId: z.string(),
          customerId: z.string().nullable(),
        }),
      ),
    ),
  },
  "GET /api/customers": { summary: "Customers", answers: ok(listOf(z.strictObject(customerFields))) },
  "POST /api/customers/search": {
    summary: "Customers with this e-mail address or phone number, in any spelling",
    answers: ok(listOf(z.strictObject(customerFields))),
  },
  "GET /api/customers/:id": {
    summary: "One customer",
    answers: ok(
      z.strictObject({
        ...customerFields,
        refused: z
          .strictObject({ cases: count, subscriptions: count })
          .describe("Cases and subscriptions that exceeded the bounds of the customer's state"),
        quarantine: z
          .strictObject({ reason: quarantineReason, since: instant, endsAt: instant })
          .nullable()
          .describe("Until `endsAt` the customer gets no messages; null: not in quarantine"),
      }),
    ),
  },
  "POST /api/customers/:id/release": {
    summary: "Ends the customer's quarantine",
    answers: ok(z.strictObject({ id: z.string(), isReleased: z.boolean() })),
  },
  "GET /api/customers/:id/score": {
    summary: "The probability that the customer leaves, with all contributions",
    answers: ok(scored),
  },
  "GET /api/customers/:id/scores": {
    summary: "All scores of a customer, newest first",
    answers: ok(listOf(prediction)),
  },
  "GET /api/customers/:id/milestones": { summary: "Milestones, the latest first", answers: ok(listOf(milestone)) },
  "GET /api/summary": { summary: "Current counts and recovered revenue", answers: ok(summary) },
  "GET /api/templates": { summary: "The company's own words for its messages", answers: ok(listOf(template)) },
  "POST /api/templates": { summary: "Adds a template", answers: { 201: { schema: template } } },
  "POST /api/templates/preview": {
    summary: "The faults of words, and how messages look with example data",
    answers: ok(previewed),
  },
  "GET /api/templates/:id": {
    summary: "One template with all its versions",
    answers: ok(z.strictObject({ ...templateFields, versions: z.array(z.strictObject(savedFields)) })),
  },
  "PUT /api/templates/:id": { summary: "Saves a new version, or switches the template off", answers: ok(template) },
  "GET /api/overview": {
    summary: "What is at stake, what was recovered and through what, and who is likely to leave",
    answers: ok(overview),
  },
  "GET /api/interventions": {
    summary: "The lift of nudges over the hold-out",
    answers: ok(
      z.strictObject({
        asOf: instant,
        horizonDays: z.int(),
        segmentId: z.string().nullable(),
        data: z.array(compared),
        nextCursor: z.null(),
        uplift: uplift.nullable(),
      }),
    ),
  },
  "GET /api/views": { summary: "The saved views of the list of cases, by name", answers: ok(listOf(view)) },
  "POST /api/views": { summary: "Saves a filter of the list of cases by a name", answers: { 201: { schema: view } } },
  "DELETE /api/views/:id": { summary: "Deletes a saved view", answers: { 204: {} } },
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
  "GET /api/settings": { summary: "The settings in effect", answers: ok(settingsSchema) },
  "PUT /api/settings": { summary: "Replaces the settings", answers: ok(settingsSchema) },
  "GET /api/settings/brand": { summary: "The brand name in messages, and decisions on it", answers: ok(brand) },
  "PUT /api/settings/brand/approval": {
    summary: "Approves exactly this brand name for messages from the deployment's sender, or revokes it",
    answers: ok(brand),
  },
  "GET /api/settings/health-weights": {
    summary: "How the weights of the health components change the model's accuracy",
    answers: ok(
      z.strictObject({
        weights,
        saved: weights,
        model: weights,
        rows: count,
        events: count,
        auc: z
          .strictObject({
            model: z.number(),
            weighted: z.number(),
            difference: z.number(),
            standardError: z.number().nullable(),
          })
          .nullable(),
        logLoss: z.strictObject({ model: z.number(), weighted: z.number() }).nullable(),
        isReliable: z.boolean(),
        because: z.string().nullable(),
        from: instant.nullable(),
        to: instant.nullable(),
      }),
    ),
  },
  "POST /api/signals": {
    summary: "Records usage and support signals of a company's customers",
    answers: ok(signalOutcomes),
  },
  "POST /api/usage": { summary: "Records usage of customers", answers: ok(signalOutcomes) },
  "GET /r/:token": {
    summary: "The link in a message: redirects to the provider's page",
    answers: { 200: { type: "text/html" }, 302: {}, 404: { type: "text/html" }, 410: { type: "text/html" } },
  },
  "POST /r/:token": {
    summary: "The button of the confirmation page: redirects to the provider's page",
    answers: { 200: { type: "text/html" }, 303: {}, 404: { type: "text/html" }, 410: { type: "text/html" } },
  },
  "GET /thanks": {
    summary: "The page to which the provider returns the member",
    answers: { 200: { type: "text/html" } },
  },
  "GET /unsubscribe/:token": {
    summary: "Asks whether to stop messages",
    answers: { 200: { type: "text/html" }, 404: { type: "text/html" }, 410: { type: "text/html" } },
  },
  "POST /unsubscribe/:token": {
    summary: "Stops messages (also RFC 8058 one-click)",
    body: "application/x-www-form-urlencoded",
    answers: { 200: { type: "text/html" }, 404: { type: "text/html" }, 410: { type: "text/html" } },
  },
} as const satisfies Readonly<Record<string, Described>>
