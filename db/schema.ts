/**
 * The tables for the code. The database is defined by `db/migrations`, since drizzle cannot express partitions,
 * row-level security and functions; a test compares both.
 */
import { sql } from "drizzle-orm"
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  smallint,
  text,
  uuid,
} from "drizzle-orm/pg-core"
import type {
  Arm,
  ChannelName,
  FactBody,
  FactKind,
  Incentive,
  ProviderName,
  SubscriptionItem,
  SubscriptionStatus,
} from "../shared/domain/facts.ts"
import type { FlagValue } from "../shared/domain/flags.ts"
import type { NudgeStatus } from "../shared/domain/recovery/nudges.ts"
import type { CaseKind, CaseStatus, CustomerState, PaymentStatus } from "../shared/domain/state.ts"
import { companyId, instant } from "./schema/columns.ts"

export * from "./schema/brands.ts"
export * from "./schema/interventions.ts"
export * from "./schema/milestones.ts"
export * from "./schema/monitoring.ts"
export * from "./schema/scoring.ts"

/** Bytes: written as `\\x` and hex digits; the driver returns them as bytes. */
const bytea = customType<{ data: Uint8Array; driverData: string | Uint8Array }>({
  dataType: () => "bytea",
  toDriver: (value) => `\\x${[...value].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`,
  fromDriver: (value) => {
    if (typeof value === "string") throw new TypeError("the driver must return bytea as bytes")
    return new Uint8Array(value)
  },
})

export type EventStatus = "received" | "held" | "processed" | "unhandled" | "failed" | "dead"

export const webhookEvents = pgTable(
  "webhook_events",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    account: text("account").notNull(),
    providerEventId: text("provider_event_id").notNull(),
    type: text("type").notNull(),
    apiVersion: text("api_version"),
    status: text("status").$type<EventStatus>().notNull(),
    attempts: integer("attempts").notNull().default(0),
    subject: text("subject"),
    customerId: text("customer_id"),
    occurredAt: instant("occurred_at").notNull(),
    receivedAt: instant("received_at").notNull(),
    processedAt: instant("processed_at"),
    nextAttemptAt: instant("next_attempt_at"),
    error: text("error"),
    payload: bytea("payload"),
    replayedAt: instant("replayed_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id, table.receivedAt] })],
)

export const webhookEventKeys = pgTable(
  "webhook_event_keys",
  {
    companyId: companyId(),
    provider: text("provider").$type<ProviderName>().notNull(),
    account: text("account").notNull(),
    providerEventId: text("provider_event_id").notNull(),
    eventId: uuid("event_id").notNull(),
    receivedAt: instant("received_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.provider, table.account, table.providerEventId] })],
)

export const customerQuarantines = pgTable(
  "customer_quarantines",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    reason: text("reason").$type<"customer_flood" | "too_many_links" | "state_is_full">().notNull(),
    since: instant("since").notNull(),
    endsAt: instant("ends_at").notNull(),
    announcedAt: instant("announced_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId] })],
)

/** Belongs to no company. */
export const unmappedEvents = pgTable(
  "unmapped_events",
  {
    provider: text("provider").$type<ProviderName>().notNull(),
    account: text("account").notNull(),
    providerEventId: text("provider_event_id").notNull(),
    path: text("path").notNull(),
    id: uuid("id").notNull(),
    type: text("type").notNull(),
    apiVersion: text("api_version"),
    isOwnSecret: boolean("is_own_secret").notNull(),
    occurredAt: instant("occurred_at").notNull(),
    receivedAt: instant("received_at").notNull(),
    payload: bytea("payload").notNull(),
  },
  (table) => [primaryKey({ columns: [table.provider, table.account, table.providerEventId, table.path] })],
)

export const facts = pgTable(
  "facts",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    subject: text("subject").notNull(),
    kind: text("kind").$type<FactKind>().notNull(),
    rank: smallint("rank").notNull(),
    occurredAt: instant("occurred_at").notNull(),
    recordedAt: instant("recorded_at").notNull(),
    knownAt: instant("known_at"),
    eventId: uuid("event_id"),
    body: jsonb("body").$type<FactBody>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id, table.occurredAt] })],
)

export const customers = pgTable(
  "customers",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    providerCustomerId: text("provider_customer_id").notNull(),
    version: integer("version").notNull().default(0),
    state: jsonb("state").$type<CustomerState>(),
    createdAt: instant("created_at").notNull(),
    updatedAt: instant("updated_at").notNull(),
    milestoneDueAt: instant("milestone_due_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const customerKeys = pgTable(
  "customer_keys",
  { companyId: companyId(), customerId: text("customer_id").notNull(), wrapped: bytea("wrapped").notNull() },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId] })],
)

export const customerPii = pgTable(
  "customer_pii",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    sealed: bytea("sealed").notNull(),
    updatedAt: instant("updated_at").notNull(),
    indexedVersion: integer("indexed_version"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId] })],
)

export const customerAddresses = pgTable(
  "customer_addresses",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    kind: text("kind").$type<"email" | "phone">().notNull(),
    address: bytea("address").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId, table.kind, table.address] })],
)

export const subscriptions = pgTable(
  "subscriptions",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    id: text("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    status: text("status").$type<SubscriptionStatus>().notNull(),
    currency: text("currency"),
    items: jsonb("items").$type<readonly SubscriptionItem[]>().notNull(),
    startedAt: instant("started_at"),
    currentPeriodEnd: instant("current_period_end"),
    trialEnd: instant("trial_end"),
    cancelAt: instant("cancel_at"),
    endedAt: instant("ended_at"),
    unsettledAt: instant("unsettled_at"),
    askedAt: instant("asked_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId, table.id] })],
)

export const payments = pgTable(
  "payments",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    invoiceId: text("invoice_id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    subscriptionId: text("subscription_id"),
    status: text("status").$type<PaymentStatus>().notNull(),
    amountMinor: bigint("amount_minor", { mode: "number" }).notNull(),
    currency: text("currency"),
    refundedMinor: bigint("refunded_minor", { mode: "number" }).notNull(),
    how: text("how").$type<"collected" | "out_of_band">(),
    failedAt: instant("failed_at"),
    paidAt: instant("paid_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId, table.invoiceId] })],
)

export const recoveryCases = pgTable(
  "recovery_cases",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    customerId: text("customer_id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    kind: text("kind").$type<CaseKind>().notNull(),
    status: text("status").$type<CaseStatus>().notNull(),
    subscriptionId: text("subscription_id"),
    invoiceId: text("invoice_id"),
    amountMinor: bigint("amount_minor", { mode: "number" }).notNull(),
    recoveredMinor: bigint("recovered_minor", { mode: "number" }).notNull(),
    currency: text("currency"),
    remainingMinor: bigint("remaining_minor", { mode: "number" }),
    billing: text("billing").$type<"one_off">(),
    collection: text("collection").$type<"manual">(),
    paymentPendingSince: instant("payment_pending_since"),
    paymentPendingUntil: instant("payment_pending_until"),
    declineCode: text("decline_code"),
    failureCount: integer("failure_count").notNull(),
    cause: text("cause"),
    arm: text("arm").$type<Arm>(),
    holdoutPercentage: smallint("holdout_percentage"),
    riskProbability: doublePrecision("risk_probability"),
    riskUntil: instant("risk_until"),
    lastNewsAt: instant("last_news_at"),
    openedAt: instant("opened_at").notNull(),
    closedAt: instant("closed_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const nudges = pgTable(
  "nudges",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    caseId: text("case_id").notNull(),
    customerId: text("customer_id").notNull(),
    step: integer("step"),
    channel: text("channel").$type<ChannelName>().notNull(),
    status: text("status").$type<NudgeStatus>().notNull(),
    reason: text("reason"),
    incentive: jsonb("incentive").$type<Incentive>(),
    dueAt: instant("due_at").notNull(),
    attempts: integer("attempts").notNull().default(0),
    sentAt: instant("sent_at"),
    leaseOwner: text("lease_owner"),
    leaseUntil: instant("lease_until"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const consents = pgTable(
  "consents",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    purpose: text("purpose").notNull(),
    isGranted: boolean("is_granted").notNull(),
    via: text("via").notNull(),
    changedAt: instant("changed_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId, table.purpose] })],
)

export const incentives = pgTable(
  "incentives",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    caseId: text("case_id").notNull(),
    customerId: text("customer_id").notNull(),
    incentive: jsonb("incentive").$type<Incentive>().notNull(),
    receiptId: text("receipt_id"),
    createdAt: instant("created_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const companySettings = pgTable("company_settings", {
  companyId: text("company_id").primaryKey(),
  settings: jsonb("settings").notNull(),
  updatedAt: instant("updated_at").notNull(),
})

export const webhookSecrets = pgTable(
  "webhook_secrets",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    sealed: bytea("sealed").notNull(),
    expiresAt: instant("expires_at"),
    createdAt: instant("created_at").notNull().defaultNow(),
    createdBy: text("created_by"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const objectLinks = pgTable(
  "object_links",
  {
    companyId: companyId(),
    provider: text("provider").$type<ProviderName>().notNull(),
    objectId: text("object_id").notNull(),
    rootId: text("root_id").notNull(),
    isCustomer: boolean("is_customer").notNull(),
    holdsFacts: boolean("holds_facts").notNull().default(false),
    createdAt: instant("created_at").notNull(),
    linkedAt: instant("linked_at"),
    askedAt: instant("asked_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.provider, table.objectId] })],
)

export const companyAccounts = pgTable(
  "company_accounts",
  {
    companyId: companyId(),
    provider: text("provider").$type<ProviderName>().notNull(),
    accountId: text("account_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.provider, table.accountId] })],
)

export const backfills = pgTable(
  "backfills",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    account: text("account").notNull(),
    since: instant("since").notNull(),
    until: instant("until").notNull(),
    cursor: text("cursor"),
    revision: integer("revision").notNull().default(0),
    imported: integer("imported").notNull().default(0),
    known: integer("known").notNull().default(0),
    unread: integer("unread").notNull().default(0),
    reached: instant("reached").notNull(),
    requestedBy: text("requested_by").notNull(),
    startedAt: instant("started_at").notNull(),
    updatedAt: instant("updated_at").notNull(),
    finishedAt: instant("finished_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export type ReconciliationKind = "recent" | "full" | "subscriptions"

export const reconciliationPositions = pgTable(
  "reconciliation_positions",
  {
    companyId: companyId(),
    provider: text("provider").$type<ProviderName>().notNull(),
    account: text("account").notNull(),
    kind: text("kind").$type<ReconciliationKind>().notNull(),
    completeUntil: instant("complete_until"),
    run: jsonb("run"),
    isOpen: boolean("is_open").notNull(),
    steppedAt: instant("stepped_at"),
    leaseOwner: text("lease_owner"),
    leaseUntil: instant("lease_until"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.provider, table.account, table.kind] })],
)

export const reconciliations = pgTable(
  "reconciliations",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    account: text("account").notNull(),
    kind: text("kind").$type<ReconciliationKind>().notNull(),
    startedAt: instant("started_at").notNull(),
    finishedAt: instant("finished_at"),
    windowFrom: instant("window_from").notNull(),
    windowUntil: instant("window_until").notNull(),
    checked: integer("checked").notNull(),
    missing: integer("missing").notNull(),
    fetched: integer("fetched").notNull(),
    outOfReach: integer("out_of_reach").notNull(),
    differences: integer("differences").notNull(),
    repaired: integer("repaired").notNull(),
    isComplete: boolean("is_complete").notNull(),
    details: jsonb("details").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const subscriptionChecks = pgTable(
  "subscription_checks",
  {
    companyId: companyId(),
    provider: text("provider").$type<ProviderName>().notNull(),
    subscriptionId: text("subscription_id").notNull(),
    account: text("account").notNull(),
    checkedAt: instant("checked_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.provider, table.subscriptionId] })],
)

export const jobRuns = pgTable("job_runs", {
  id: uuid("id").primaryKey().defaultRandom(),
  job: text("job").notNull(),
  source: text("source").notNull(),
  startedAt: instant("started_at").notNull(),
  finishedAt: instant("finished_at"),
  outcome: text("outcome"),
  details: jsonb("details"),
  fence: bigint("fence", { mode: "number" }).notNull().default(sql`nextval('job_runs_fence')`),
  slot: instant("slot"),
  owner: text("owner"),
  heartbeatAt: instant("heartbeat_at"),
  leaseUntil: instant("lease_until"),
  error: text("error"),
})

export const jobStates = pgTable("job_states", {
  job: text("job").primaryKey(),
  isPaused: boolean("is_paused").notNull().default(false),
  reason: text("reason"),
  changedBy: text("changed_by"),
  changedAt: instant("changed_at"),
  lastQstashAt: instant("last_qstash_at"),
  lastCronAt: instant("last_cron_at"),
})

export const flags = pgTable("flags", {
  name: text("name").primaryKey(),
  value: jsonb("value").$type<FlagValue>().notNull(),
  revision: bigint("revision", { mode: "number" }).notNull(),
  changeId: uuid("change_id").notNull(),
  updatedAt: instant("updated_at").notNull(),
  updatedBy: text("updated_by").notNull(),
  reason: text("reason"),
})

export const flagChanges = pgTable("flag_changes", {
  id: uuid("id").primaryKey(),
  name: text("name").notNull(),
  before: jsonb("before").$type<FlagValue>(),
  after: jsonb("after").$type<FlagValue>().notNull(),
  who: text("who").notNull(),
  why: text("why"),
  at: instant("at").notNull(),
  revision: bigint("revision", { mode: "number" }).notNull(),
})
