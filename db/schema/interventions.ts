/** Segments, runs of the risk search, and uplift models. */
import { jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core"
import type { SegmentRule } from "../../shared/domain/interventions/segments.ts"
import { companyId, instant } from "./columns.ts"

export const riskPasses = pgTable("risk_passes", {
  companyId: text("company_id").primaryKey(),
  passedAt: instant("passed_at").notNull(),
})

/** The result of a training, and whether its model is used. */
export interface UpliftSummary {
  readonly status: "in_force" | "too_few" | "not_better"
  readonly rows: number
  readonly treatedLost: number
  readonly heldOutLost: number
  /** Members kept by contacting the first fifth of the compared members, estimated out of fold; null: not trained. */
  readonly keptByUplift: number | null
  readonly keptByRisk: number | null
  /** Areas under the uplift curves of both orders, and of a random order. */
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
