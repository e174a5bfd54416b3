/** Who may do what in a company: API keys, people, their sessions, and the company's set-up. */
import { jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import type { CredentialKind } from "../../shared/credentials.ts"
import { bytea, companyId, instant } from "./columns.ts"

/** Null: an operator's, for the whole deployment. */
const companyIdOrNone = () => text("company_id")

export const apiKeys = pgTable("api_keys", {
  companyId: companyIdOrNone(),
  id: text("id").notNull(),
  name: text("name").notNull(),
  role: text("role").notNull(),
  hash: bytea("hash").notNull(),
  createdAt: instant("created_at").notNull(),
  revokedAt: instant("revoked_at"),
  prefix: text("prefix"),
  createdBy: text("created_by"),
  expiresAt: instant("expires_at"),
  lastUsedAt: instant("last_used_at"),
})

export const people = pgTable(
  "people",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    role: text("role").notNull(),
    address: bytea("address"),
    invitedBy: text("invited_by").notNull(),
    createdAt: instant("created_at").notNull(),
    lastSignInAt: instant("last_sign_in_at"),
    removedAt: instant("removed_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const personAddresses = pgTable(
  "person_addresses",
  {
    companyId: companyId(),
    addressIndex: text("address_index").notNull(),
    personId: text("person_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.addressIndex] })],
)

export const signInLinks = pgTable(
  "sign_in_links",
  {
    companyId: companyId(),
    hash: bytea("hash").notNull(),
    personId: text("person_id").notNull(),
    createdAt: instant("created_at").notNull(),
    expiresAt: instant("expires_at").notNull(),
    usedAt: instant("used_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.hash] })],
)

export const sessions = pgTable("sessions", {
  companyId: companyIdOrNone(),
  hash: bytea("hash").notNull(),
  id: uuid("id").notNull(),
  role: text("role").notNull(),
  personId: text("person_id"),
  keyId: text("key_id"),
  keyHash: bytea("key_hash"),
  via: text("via").$type<SignInWay>().notNull(),
  createdAt: instant("created_at").notNull(),
  lastSeenAt: instant("last_seen_at").notNull(),
  expiresAt: instant("expires_at").notNull(),
  revokedAt: instant("revoked_at"),
})

export const accessEvents = pgTable("access_events", {
  companyId: companyIdOrNone(),
  id: uuid("id").notNull(),
  kind: text("kind").$type<AccessEventKind>().notNull(),
  via: text("via").$type<SignInWay>().notNull(),
  who: text("who"),
  reason: text("reason"),
  at: instant("at").notNull(),
})

/** How somebody signs in: with an API key, a one-time link, or through Cloudflare Access. */
export type SignInWay = "key" | "link" | "access"

export type AccessEventKind = "link_requested" | "signed_in" | "sign_in_failed" | "signed_out"

export const onboardingSteps = pgTable(
  "onboarding_steps",
  {
    companyId: companyId(),
    step: text("step").notNull(),
    at: instant("at").notNull(),
    who: text("who").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.step] })],
)

export const companyCredentials = pgTable(
  "company_credentials",
  {
    companyId: companyId(),
    kind: text("kind").$type<CredentialKind>().notNull(),
    sealed: bytea("sealed").notNull(),
    shown: jsonb("shown").$type<Readonly<Record<string, string | null>>>().notNull(),
    checkResult: text("check_result"),
    checkedAt: instant("checked_at"),
    createdAt: instant("created_at").notNull(),
    createdBy: text("created_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.kind] })],
)
