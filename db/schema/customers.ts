/** Customers, their personal data, subscriptions, payments and consents. */
import { bigint, boolean, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core"
import type { ProviderName, SubscriptionItem, SubscriptionStatus } from "../../shared/domain/facts.ts"
import type { CustomerState, PaymentStatus } from "../../shared/domain/state.ts"
import { bytea, companyId, instant } from "./columns.ts"

export const customers = pgTable(
  "customers",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    provider: text("provider").$type<ProviderName>().notNull(),
    providerCustomerId: text("provider_customer_id").notNull(),
    version: integer("version").notNull().default(0),
    state: jsonb("state").$type<CustomerState>(),
    undo: jsonb("undo"),
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
    namesVersion: integer("names_version"),
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
  (table) => [primaryKey({ columns: [table.customerId, table.companyId, table.kind, table.address] })],
)

/** Blind indexes of the words of names. */
export const customerNames = pgTable(
  "customer_names",
  { companyId: companyId(), customerId: text("customer_id").notNull(), name: bytea("name").notNull() },
  (table) => [primaryKey({ columns: [table.customerId, table.companyId, table.name] })],
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
