/** Schemas that many answers of the API share. */
import * as z from "zod"
import { CHANNELS, PROVIDERS } from "../../../shared/domain/facts.ts"
import { COMPONENTS, RISK_LEVELS } from "../../../shared/domain/scoring/health.ts"

/** An answer of a route; `type` and no schema when it is not JSON. */
export interface Answer {
  readonly schema?: z.ZodType
  readonly type?: string
}

/** The description of a route. */
export interface Described {
  /** One sentence. */
  readonly summary: string
  readonly answers: Readonly<Record<number, Answer>>
  /** The media type of its body, when that is not JSON parsed by one of the validators. */
  readonly body?: string
}

export const instant = z.string().meta({ format: "date-time" })
export const provider = z.enum(PROVIDERS)
export const channel = z.enum(CHANNELS)
export const arm = z.enum(["treated", "held_out"]).nullable()
export const riskLevel = z.enum(RISK_LEVELS)
export const component = z.enum(COMPONENTS)
export const count = z.int().min(0)
export const probability = z.number().min(0).max(1)

export const caseKind = z.enum(["payment", "cancellation", "at_risk"])

export const subscription = z
  .looseObject({
    id: z.string(),
    status: z.string(),
    currency: z.string().nullable(),
    items: z.array(
      z.looseObject({
        priceId: z.string().nullable(),
        productId: z.string().nullable(),
        unitAmountMinor: z.number().nullable(),
        quantity: z.number(),
        interval: z.enum(["day", "week", "month", "year"]).nullable(),
        intervalCount: z.number(),
      }),
    ),
    startedAt: instant.nullable(),
    currentPeriodEnd: instant.nullable(),
    trialEnd: instant.nullable(),
    cancelAt: instant.nullable(),
    endedAt: instant.nullable(),
    endReason: z.string().nullable(),
    paused: z.string().nullable(),
    hasPaid: z.boolean(),
  })
  .meta({ id: "Subscription", description: "The latest state that the provider sent" })

export const consent = z
  .strictObject({
    purpose: z.string(),
    isGranted: z.boolean(),
    via: z.string(),
    changedAt: instant,
  })
  .meta({ id: "Consent" })

/** Objects whose fields are free, or differ from case to case. */
export const anyObject = z.record(z.string(), z.unknown())

/** A page of a list. */
export const listOf = <Row extends z.ZodType>(schema: Row) =>
  z.strictObject({
    data: z.array(schema),
    nextCursor: z.string().nullable().describe("Ask for it as `cursor`; null: this page is the last"),
  })

/** An answer in JSON. */
export const ok = <Schema extends z.ZodType>(schema: Schema) => ({ 200: { schema } })

/** The body of every error (RFC 9457); some have further members. */
export const problemDocument = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe("One plain sentence for people"),
  code: z.string().describe("For programs"),
})
