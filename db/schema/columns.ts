/** Column types that all tables share. */
import { text, timestamp } from "drizzle-orm/pg-core"

/** A time, to the millisecond. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: "date" })

/** The tenant of the row. */
export const companyId = () => text("company_id").notNull()
