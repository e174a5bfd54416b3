import * as z from "zod"

/** The sender's name for what it counts; never personal data. */
export const meterName = z.string().regex(/^[A-Za-z0-9_.:-]{1,64}$/, "expected a name of letters, digits, _ . : or -")
