/**
 * Readers of fields of Stripe's objects. Two kinds: `read` with a schema, where an error means that the event gives no facts;
 * and single readers, for which an invalid value counts as absent.
 */
import * as z from "zod"
import { type Instant, type StatedMoney, UNKNOWN_MONEY } from "../../../../shared/domain/facts.ts"
import { currencyCodeOf } from "../../../../shared/domain/money.ts"
import { err, ok, type Result } from "../../../../shared/result.ts"
import { isId } from "../../ids.ts"

/** A parsed JSON object that is not validated yet. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Whether the value is a JSON object, neither null nor an array. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The id in a reference, which is the id itself or, when it was expanded, the object; null when there is none. */
export function idOf(reference: unknown): string | null {
  const id = isObject(reference) ? reference.id : reference
  return isId(id) ? id : null
}

/** The value at a path of nested objects and lists; undefined when there is none. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value
  for (const step of path) {
    if (typeof step === "number") current = Array.isArray(current) ? current[step] : undefined
    else current = isObject(current) && Object.hasOwn(current, step) ? current[step] : undefined
  }
  return current
}

/** The entries of a Stripe list (`{ object: "list", data: [] }`), or none. */
export function listOf(value: unknown): readonly unknown[] {
  const data = at(value, "data")
  return Array.isArray(data) ? data : []
}

/** A code such as `insufficient_funds`; null for any other value. Codes become part of facts, so free text is left out. */
export const codeOf = (value: unknown): string | null =>
  typeof value === "string" && /^[A-Za-z0-9_.-]{1,100}$/.test(value) ? value : null

/** The last second of the year 9998: later ones would not sort as text, nor fit everywhere they are stored. */
const SECONDS_MAX = 253_370_764_799

/** Unix seconds as an instant; null when they are not whole seconds within the years 1970 to 9998. */
export function instantOf(seconds: unknown): Instant | null {
  if (typeof seconds !== "number" || !Number.isInteger(seconds) || seconds < 0 || seconds > SECONDS_MAX) return null
  return new Date(seconds * 1000).toISOString()
}

export const id = z.string().refine(isId)
export const minorUnits = z.int().nonnegative()
export const currency = z.unknown().transform((value, context) => {
  const code = currencyCodeOf(value)
  if (code !== null) return code
  context.addIssue({ code: "custom", message: "expected a currency" })
  return z.NEVER
})
export const instant = z
  .int()
  .min(0)
  .max(SECONDS_MAX)
  .transform((seconds) => new Date(seconds * 1000).toISOString())

/** Null for absent and null. */
export const orNull = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? null)

/** A detail: null where it is absent, null or invalid; the rest of the object is still read. */
export const detail = <T extends z.ZodType>(schema: T) => orNull(schema).catch(null)

/** The amount with its currency; unknown when either is missing. */
export const moneyOf = (amountMinor: number | null, currency: string | null): StatedMoney =>
  amountMinor === null || currency === null ? UNKNOWN_MONEY : { amountMinor, currency }

/** The object as the schema reads it, or a sentence that names the first invalid field, never its value. */
export function read<T extends z.ZodType>(schema: T, object: JsonObject): Result<z.output<T>, string> {
  const result = schema.safeParse(object)
  if (result.success) return ok(result.data)
  const path = result.error.issues[0]?.path.join(".") ?? ""
  const kind = codeOf(object.object) ?? "object"
  return err(path === "" ? `${kind} cannot be read` : `${kind}: ${path} is missing or not as expected`)
}
