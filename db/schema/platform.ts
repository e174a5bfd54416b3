/** Companies' accounts, secrets and settings; jobs and flags. */
import { sql } from "drizzle-orm"
import { bigint, boolean, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import type { ProviderName } from "../../shared/domain/facts.ts"
import type { FlagValue } from "../../shared/domain/flags.ts"
import { bytea, companyId, instant } from "./columns.ts"

export const companyAccounts = pgTable(
  "company_accounts",
  {
    companyId: companyId(),
    provider: text("provider").$type<ProviderName>().notNull(),
    accountId: text("account_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.provider, table.accountId] })],
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
