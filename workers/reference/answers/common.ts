/** What many answers of the API are made of. */
import * as z from "zod"
import { COMPONENTS, RISK_LEVELS } from "../../../shared/domain/scoring/health.ts"

/** An answer of a route, under its status; `type` where it is not JSON, and then without a schema. */
export interface Answer {
  readonly schema?: z.ZodType
  readonly type?: string
}

/** A route as its clients rely on it. */
export interface Described {
  /** One sentence. */
  readonly summary: string
  readonly answers: Readonly<Record<number, Answer>>
  /** What it takes where that is not JSON by one of the validators. */
  readonly body?: string
}

export const instant = z.string().meta({ format: "date-time" })
export const provider = z.enum(["stripe", "whop"])
export const channel = z.enum(["email", "sms", "push", "dm", "slack"])
export const arm = z.enum(["treated", "held_out"]).nullable()
export const riskLevel = z.enum(RISK_LEVELS)
export const component = z.enum(COMPONENTS)
export const count = z.int().min(0)
export const probability = z.number().min(0).max(1)

/** Objects whose fields are the matter of whoever wrote them, or differ from case to case. */
export const anyObject = z.record(z.string(), z.unknown())

/** A page of a list. */
export const listOf = (schema: z.ZodType) =>
  z.strictObject({
    data: z.array(schema),
    nextCursor: z.string().nullable().describe("Ask for it as `cursor`; null: this page is the last"),
  })

/** An answer in JSON. */
export const ok = (schema: z.ZodType): Readonly<Record<number, Answer>> => ({ 200: { schema } })

/** What every refusal looks like (RFC 9457); some have further members. */
export const problemDocument = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe("One plain sentence for people"),
  code: z.string().describe("For programs"),
})
