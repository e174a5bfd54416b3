/** How much a customer has used, by meter: what usage marks are measured against. */
import type { Fact } from "../../facts.ts"
import type { CustomerState } from "../../state.ts"

/** A sender that invents a meter for each day must not make the state grow without end; later meters stay in the ledger only. */
const METERS_MAX = 20

type UsageRecorded = Extract<Fact, { kind: "usage_recorded" }>

/** Adds what was used. The sum is that of the ledger's order, and never leaves the whole numbers that JSON keeps. */
export function recordUsage(state: CustomerState, { meter, quantity, occurredAt }: UsageRecorded): CustomerState {
  const usage = state.usage ?? {}
  const known = Object.hasOwn(usage, meter) ? usage[meter] : undefined
  if (known === undefined && Object.keys(usage).length >= METERS_MAX) return state
  const total = Math.min((known?.total ?? 0) + quantity, Number.MAX_SAFE_INTEGER)
  return { ...state, usage: { ...usage, [meter]: { total, at: occurredAt } } }
}
