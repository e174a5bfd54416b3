/** How much a customer has used, by meter: usage milestones are measured against it. */
import type { Fact } from "../../facts.ts"
import type { CustomerState } from "../../state.ts"

/** A sender with a new meter every day must not let the state grow without bound; further meters are in the ledger only. */
const METERS_MAX = 20

type UsageRecorded = Extract<Fact, { kind: "usage_recorded" }>

/** Adds the usage. The sum follows the order of the ledger, and stays within safe integers. */
export function recordUsage(state: CustomerState, { meter, quantity, occurredAt }: UsageRecorded): CustomerState {
  const usage = state.usage ?? {}
  const known = Object.hasOwn(usage, meter) ? usage[meter] : undefined
  if (known === undefined && Object.keys(usage).length >= METERS_MAX) return state
  const total = Math.min((known?.total ?? 0) + quantity, Number.MAX_SAFE_INTEGER)
  return { ...state, usage: { ...usage, [meter]: { total, at: occurredAt } } }
}
