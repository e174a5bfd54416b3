/** A company's own words for its messages. */
import { boolean, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import type { Experiment, TemplatePlace, TemplateWords } from "../../shared/domain/messaging/templates/templates.ts"
import { companyId, instant } from "./columns.ts"

export const messageTemplates = pgTable(
  "message_templates",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    version: integer("version").notNull(),
    caseKind: text("case_kind").$type<TemplatePlace["caseKind"]>().notNull(),
    stage: text("stage").$type<NonNullable<TemplatePlace["stage"]>>(),
    ask: text("ask").$type<NonNullable<TemplatePlace["ask"]>>(),
    channel: text("channel").$type<NonNullable<TemplatePlace["channel"]>>(),
    language: text("language"),
    words: jsonb("words").$type<TemplateWords>().notNull(),
    experiment: jsonb("experiment").$type<Experiment>(),
    isInForce: boolean("is_in_force").notNull(),
    createdAt: instant("created_at").notNull(),
    createdBy: text("created_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id, table.version] })],
)
