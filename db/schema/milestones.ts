/** Milestones of customers, each recorded once. */
import { jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core"
import type { Milestone, MilestoneKind } from "../../shared/domain/interventions/milestones.ts"
import { companyId, instant } from "./columns.ts"

/** The status of the message to the team; `none`: the company did not enable it. */
export type Announcement = "none" | "planned" | "sending" | "sent" | "failed" | "unknown"

export const milestones = pgTable(
  "milestones",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    key: text("key").notNull(),
    kind: text("kind").$type<MilestoneKind>().notNull(),
    detail: jsonb("detail").$type<Milestone["detail"]>().notNull(),
    reachedAt: instant("reached_at").notNull(),
    recordedAt: instant("recorded_at").notNull(),
    announcement: text("announcement").$type<Announcement>().notNull(),
    announcedAt: instant("announced_at"),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId, table.key] })],
)
