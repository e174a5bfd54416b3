/** How a company's e-mails and members' pages look. */
import { boolean, integer, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core"
import type { Logo } from "../../shared/domain/messaging/messages/logo.ts"
import type { Branding } from "../../shared/domain/messaging/messages/look.ts"
import { bytea, companyId, instant } from "./columns.ts"

export const companyBranding = pgTable(
  "company_branding",
  {
    companyId: companyId(),
    version: integer("version").notNull(),
    branding: jsonb("branding").$type<Branding>().notNull(),
    isApproved: boolean("is_approved").notNull(),
    createdAt: instant("created_at").notNull(),
    createdBy: text("created_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.version] })],
)

export const companyLogos = pgTable(
  "company_logos",
  {
    companyId: companyId(),
    id: text("id").notNull(),
    type: text("type").$type<Logo["type"]>().notNull(),
    width: integer("width").notNull(),
    height: integer("height").notNull(),
    content: bytea("content").notNull(),
    createdAt: instant("created_at").notNull(),
    createdBy: text("created_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)
