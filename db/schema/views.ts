/** Named filters of lists. */
import { jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import { companyId, instant } from "./columns.ts"

export const savedViews = pgTable(
  "saved_views",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    name: text("name").notNull(),
    filter: jsonb("filter").$type<Readonly<Record<string, string>>>().notNull(),
    createdAt: instant("created_at").notNull(),
    createdBy: text("created_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)
