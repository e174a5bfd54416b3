/** Operators' approvals of company names. */
import { boolean, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import { companyId, instant } from "./columns.ts"

export const brandDecisions = pgTable(
  "brand_decisions",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    name: text("name").notNull(),
    isApproved: boolean("is_approved").notNull(),
    who: text("who").notNull(),
    why: text("why").notNull(),
    at: instant("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)
