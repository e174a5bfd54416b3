/** Recovery cases, nudges and incentives. */
import { bigint, doublePrecision, integer, jsonb, pgTable, primaryKey, smallint, text } from "drizzle-orm/pg-core"
import type { Arm, ChannelName, Incentive, ProviderName } from "../../shared/domain/facts.ts"
import type { NudgeStatus } from "../../shared/domain/recovery/nudges/nudges.ts"
import type { CaseKind, CaseStatus } from "../../shared/domain/state.ts"
import { companyId, instant } from "./columns.ts"

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
  (table) => [primaryKey({ columns: [table.id, table.companyId] })],
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
