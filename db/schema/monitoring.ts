/** Outcomes of predictions, daily measures of models, alarms, and challengers. */
import { boolean, date, doublePrecision, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import type { Profile } from "../../shared/learning/monitoring/profile.ts"
import type { MeasureName, Report } from "../../shared/learning/monitoring/report.ts"
import type { Verdict } from "../../shared/learning/monitoring/verdict.ts"
import type { AlarmAction } from "../../shared/scoring/stored-values.ts"
import { companyId, instant } from "./columns.ts"

export const modelOutcomes = pgTable(
  "model_outcomes",
  {
    companyId: companyId(),
    modelSha256: text("model_sha256").notNull(),
    customerId: text("customer_id").notNull(),
    asOf: instant("as_of").notNull(),
    predictionId: uuid("prediction_id").notNull(),
    isShadow: boolean("is_shadow").notNull(),
    probability: doublePrecision("probability").notNull(),
    isChurned: boolean("is_churned"),
    maturedAt: instant("matured_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.modelSha256, table.customerId, table.asOf] })],
)

export const modelLabelPositions = pgTable(
  "model_label_positions",
  {
    companyId: companyId(),
    modelSha256: text("model_sha256").notNull(),
    asOf: instant("as_of").notNull(),
    predictionId: uuid("prediction_id").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.modelSha256] })],
)

export const modelReferences = pgTable(
  "model_references",
  {
    companyId: companyId(),
    modelSha256: text("model_sha256").notNull(),
    takenAt: instant("taken_at").notNull(),
    rows: integer("rows").notNull(),
    profile: jsonb("profile").$type<Profile>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.modelSha256] })],
)

export const modelChecks = pgTable(
  "model_checks",
  {
    companyId: companyId(),
    modelSha256: text("model_sha256").notNull(),
    day: date("day").notNull(),
    checkedAt: instant("checked_at").notNull(),
    status: text("status").$type<Report["status"]>().notNull(),
    dataQuality: doublePrecision("data_quality"),
    measures: jsonb("measures").$type<Pick<Report, "measures" | "features">>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.modelSha256, table.day] })],
)

export const modelAlarms = pgTable(
  "model_alarms",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    modelSha256: text("model_sha256").notNull(),
    measure: text("measure").$type<MeasureName>().notNull(),
    raisedAt: instant("raised_at").notNull(),
    closedAt: instant("closed_at"),
    value: doublePrecision("value"),
    alarmLimit: doublePrecision("alarm_limit"),
    action: text("action").$type<AlarmAction>().notNull(),
    announcedAt: instant("announced_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const modelRetrainings = pgTable(
  "model_retrainings",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    startedAt: instant("started_at").notNull(),
    finishedAt: instant("finished_at"),
    outcome: text("outcome"),
    method: text("method"),
    championSha256: text("champion_sha256"),
    challengerSha256: text("challenger_sha256"),
    rows: integer("rows").notNull().default(0),
    events: integer("events").notNull().default(0),
    verdict: text("verdict").$type<Verdict["word"]>(),
    verdictDetails: jsonb("verdict_details").$type<Omit<Verdict, "word">>(),
    judgedAt: instant("judged_at"),
    proposedAt: instant("proposed_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

export const monitoringPositions = pgTable("monitoring_positions", {
  companyId: text("company_id").primaryKey(),
  checkedAt: instant("checked_at"),
  retrainedAt: instant("retrained_at"),
})
