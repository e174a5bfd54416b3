/** Answers about cases, nudges, customers and saved views, and the pages behind the links in messages. */
import * as z from "zod"
import {
  arm,
  caseKind,
  channel,
  component,
  consent,
  count,
  type Described,
  instant,
  listOf,
  ok,
  probability,
  provider,
  riskLevel,
  subscription,
} from "./common.ts"
import { prediction, scored, scoreSummary } from "./scores.ts"

const quarantineReason = z.enum(["customer_flood", "too_many_links", "state_is_full"])

const caseFields = {
  id: z.string(),
  companyId: z.string(),
  kind: caseKind,
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

const message = z
  .strictObject({
    nudgeId: z.string(),
    step: nudgeFields.step,
    channel,
    status: z.enum(["planned", "sending", "sent", "failed", "suppressed", "unknown"]),
    sentAt: instant.nullable(),
    asOf: instant.describe("Composed from what was known then"),
    subject: z.string().nullable().describe("Null, like `text`: the customer has no address on this channel"),
    text: z.string().nullable(),
    template: z
      .strictObject({ id: z.string(), version: z.int(), variant: z.string().optional() })
      .nullable()
      .describe("The company's own words that it was sent with; null: the shipped ones"),
  })
  .meta({ id: "Message" })

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

const view = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    filter: z.record(z.string(), z.string()).describe("The query of `GET /api/cases`"),
    createdAt: instant,
    createdBy: z.string(),
  })
  .meta({ id: "SavedView" })

export const RECOVERY = {
  "GET /api/cases": { summary: "Cases, the latest opened first", answers: ok(listOf(recoveryCase)) },
  "GET /api/cases/:id": {
    summary: "One case with its nudges and its timeline",
    answers: ok(z.strictObject({ ...caseFields, nudges: z.array(nudge), timeline: z.array(fact) })),
  },
  "GET /api/cases/:id/messages": {
    summary:
      "The messages of a case as they were read, and the planned ones as they would be sent now; links are left out",
    answers: ok(listOf(message)),
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
    summary: "Customers with this e-mail address, phone number or name, in any spelling",
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
  "GET /api/views": { summary: "The saved views of the list of cases, by name", answers: ok(listOf(view)) },
  "POST /api/views": { summary: "Saves a filter of the list of cases by a name", answers: { 201: { schema: view } } },
  "DELETE /api/views/:id": { summary: "Deletes a saved view", answers: { 204: {} } },
  "GET /logos/:companyId/:file": {
    summary: "A company's logo",
    answers: { 200: { type: "image/png" }, 404: {} },
  },
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
  "GET /thanks/:token": {
    summary: "The same page in the look of the company",
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
