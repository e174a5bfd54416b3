/** Imports and reconciliations. */
import { boolean, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import type { ProviderName } from "../../shared/domain/facts.ts"
import { companyId, instant } from "./columns.ts"

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
