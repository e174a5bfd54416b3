/** Webhook events, unmapped events, facts and object links. */
import { sql } from "drizzle-orm"
import { boolean, integer, jsonb, pgTable, primaryKey, smallint, text, uuid } from "drizzle-orm/pg-core"
import type { FactBody, FactKind, ProviderName } from "../../shared/domain/facts.ts"
import { bytea, companyId, instant } from "./columns.ts"

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
  (table) => [primaryKey({ columns: [table.receivedAt, table.id, table.companyId] })],
)

/**
 * Condition that is always true. The index of a company's events in order of arrival is partial on it, so that queries which
 * look up single events never use that index.
 */
export const isListedEvent = sql`${webhookEvents.receivedAt} < 'infinity'`

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
  (table) => [primaryKey({ columns: [table.providerEventId, table.account, table.provider, table.companyId] })],
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
  (table) => [primaryKey({ columns: [table.id, table.occurredAt, table.companyId] })],
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
  (table) => [primaryKey({ columns: [table.objectId, table.provider, table.companyId] })],
)
