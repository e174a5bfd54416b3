/** Column types that all tables share. */
import { customType, text, timestamp } from "drizzle-orm/pg-core"

/** A time, to the millisecond. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: "date" })

/** The tenant of the row. */
export const companyId = () => text("company_id").notNull()

/** Bytes: written as `\\x` and hex digits; the driver returns them as bytes. */
export const bytea = customType<{ data: Uint8Array; driverData: string | Uint8Array }>({
  dataType: () => "bytea",
  toDriver: (value) => `\\x${[...value].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`,
  fromDriver: (value) => {
    if (typeof value === "string") throw new TypeError("the driver must return bytea as bytes")
    return new Uint8Array(value)
  },
})
