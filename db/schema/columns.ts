/** Columns that every area's tables are made of. */
import { text, timestamp } from "drizzle-orm/pg-core"

/** A moment, to the millisecond. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: "date" })

/** Whose row it is. */
export const companyId = () => text("company_id").notNull()
