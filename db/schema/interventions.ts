/** Segments, and what is learned of whom contact keeps. */
import { jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core"
import type { SegmentRule } from "../../shared/domain/segments.ts"
import { companyId, instant } from "./columns.ts"

export const riskPasses = pgTable("risk_passes", {
  companyId: text("company_id").primaryKey(),
  passedAt: instant("passed_at").notNull(),
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
