import * as z from "zod"

/** A word of the sender's for what was counted; never something about a person. */
export const meterName = z.string().regex(/^[A-Za-z0-9_.:-]{1,64}$/, "expected a name of letters, digits, _ . : or -")
