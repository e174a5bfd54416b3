/** Segments, and what is learned of whom contact keeps. */
import { jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core"
import type { SegmentRule } from "../../shared/domain/interventions/segments.ts"
import { companyId, instant } from "./columns.ts"

export const riskPasses = pgTable("risk_passes", {
  companyId: text("company_id").primaryKey(),
  passedAt: instant("passed_at").notNull(),
})

/** What a training found, and whether what it learned is in force. */
export interface UpliftSummary {
  readonly status: "in_force" | "too_few" | "not_better"
  readonly rows: number
  readonly treatedLost: number
  readonly heldOutLost: number
  /** Members kept by writing to a fifth of those who were compared, estimated out of fold; null: not trained. */
  readonly keptByUplift: number | null
  readonly keptByRisk: number | null
  /** Areas under the curves of both orders, and of one by chance. */
  readonly areaByUplift: number | null
  readonly areaByRisk: number | null
  readonly areaByChance: number | null
}

export const upliftModels = pgTable("uplift_models", {
  companyId: text("company_id").primaryKey(),
  trainedAt: instant("trained_at").notNull(),
  model: jsonb("model"),
  report: jsonb("report").$type<UpliftSummary>().notNull(),
})

export const segments = pgTable(
  "segments",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    name: text("name").notNull(),
    rule: jsonb("rule").$type<SegmentRule>().notNull(),
    createdAt: instant("created_at").notNull(),
    createdBy: text("created_by").notNull(),
    updatedAt: instant("updated_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)
