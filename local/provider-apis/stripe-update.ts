import { randomBytes } from "node:crypto"
import { jsonReply, type Reply } from "../faults.ts"
import type { Form, FormValue } from "./form.ts"
import type { ApiObject } from "./objects.ts"
import { parameterMissing, resourceMissing } from "./stripe-errors.ts"
import type { StripeWorld } from "./stripe-world.ts"

/** Fields that are numbers in answers and text in requests. */
const NUMBERS: ReadonlySet<string> = new Set(["trial_end", "cancel_at", "days_until_due", "quantity"])

/**
 * Applies the parameters to `before`. Metadata is merged, discounts replace the list and must name existing coupons or
 * discounts, and the end of a trial starts one.
 */
export function update(collection: string, before: ApiObject, params: Form, world: StripeWorld): Reply {
  const { discounts, metadata, expand: _expand, ...fields } = params
  const changes: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) changes[name] = readValue(name, value)
  if (typeof changes.trial_end === "number" && changes.trial_end > world.now().getTime() / 1_000)
    changes.status = "trialing"
  if (metadata !== undefined) changes.metadata = mergedMetadata(before.metadata, metadata)
  if (discounts !== undefined) {
    const applied = applyDiscounts(before, discounts, world)
    if (!Array.isArray(applied)) return applied
    changes.discounts = applied
  }
  const after = world.objects.put(collection, { ...before, ...changes, id: before.id })
  return jsonReply(asResponse(after, params))
}

/** The object in an answer: discounts are ids unless the request expands them. */
export function asResponse(object: ApiObject, params: Form): ApiObject {
  const expands = Object.values(params.expand ?? []).includes("discounts")
  if (expands || !Array.isArray(object.discounts)) return object
  return { ...object, discounts: object.discounts.map(idOf) }
}

function readValue(name: string, value: FormValue): unknown {
  if (value === "true" || value === "false") return value === "true"
  return NUMBERS.has(name) && typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value
}

function mergedMetadata(before: unknown, changes: FormValue): Record<string, unknown> {
  const merged = { ...(typeof before === "object" ? before : {}), ...(typeof changes === "object" ? changes : {}) }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== "")) // blank removes a key
}

/** The new list of discounts, or an error. */
function applyDiscounts(before: ApiObject, wanted: FormValue, { objects, now }: StripeWorld): unknown[] | Reply {
  const present: readonly unknown[] = Array.isArray(before.discounts) ? before.discounts : []
  const applied: unknown[] = []
  for (const [index, one] of (Array.isArray(wanted) ? wanted : []).entries()) {
    const { coupon, discount } = typeof one === "object" && !Array.isArray(one) ? one : {}
    if (typeof discount === "string") {
      const kept = present.find((candidate) => idOf(candidate) === discount)
      if (kept === undefined)
        return resourceMissing("discount", discount, { param: `discounts[${index}][discount]`, status: 400 })
      applied.push(kept)
    } else if (typeof coupon === "string") {
      if (!objects.get("coupons", coupon)) {
        return resourceMissing("coupon", coupon, { param: `discounts[${index}][coupon]`, status: 400 })
      }
      applied.push({
        id: `di_${randomBytes(12).toString("hex")}`,
        object: "discount",
        source: { type: "coupon", coupon },
        start: Math.floor(now().getTime() / 1_000),
        end: null,
        subscription: before.id,
      })
    } else {
      return parameterMissing(`discounts[${index}][coupon]`)
    }
  }
  return applied
}

const idOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "id" in value ? value.id : value
