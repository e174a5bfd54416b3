/** The differences between a stored state and the state that its ledger folds to. Pure. */

import type { Instant } from "../facts.ts"
import type { CaseStatus, CustomerState } from "../state.ts"
import type { Action } from "./decide.ts"

/**
 * Whether two values of JSON have the same content, for any order of fields, which `jsonb` does not keep. A field that is
 * undefined is like one that is missing.
 */
export function isSameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true
  if (!isCompound(one) || !isCompound(other) || Array.isArray(one) !== Array.isArray(other)) return false
  const names = definedNames(one)
  return (
    names.length === definedNames(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSameValue(one[name], other[name]))
  )
}

/** An object or an array, whose fields are its places. */
const isCompound = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const definedNames = (value: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(value).filter((name) => value[name] !== undefined)

/** Whether a state equals the stored one. */
export const isSameState = (state: CustomerState, stored: CustomerState | null): boolean =>
  stored !== null && isSameValue(state, stored)

/** One difference between the stored and the rebuilt state; null: the case is missing there. */
export type Difference =
  | {
      readonly kind: "case"
      readonly id: string
      readonly stored: CaseStatus | null
      readonly rebuilt: CaseStatus | null
    }
  /** Any other field of the state. */
  | { readonly kind: "part"; readonly id: keyof CustomerState }

/** What differs: cases one by one, all else by field of the state. Empty: the states are equal. */
export function differencesOf(stored: CustomerState, rebuilt: CustomerState): readonly Difference[] {
  const before = new Map(stored.cases.map((entry) => [entry.id, entry]))
  const after = new Map(rebuilt.cases.map((entry) => [entry.id, entry]))
  const cases = [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((id): Difference[] => {
    const [was, is] = [before.get(id) ?? null, after.get(id) ?? null]
    if (isSameValue(was, is)) return []
    return [{ kind: "case", id, stored: was?.status ?? null, rebuilt: is?.status ?? null }]
  })
  const names = [...new Set([...Object.keys(stored), ...Object.keys(rebuilt)])].sort() as (keyof CustomerState)[]
  const parts = names.filter((name) => name !== "cases" && !isSameValue(stored[name], rebuilt[name]))
  return [...cases, ...parts.map((id): Difference => ({ kind: "part", id }))]
}

/** Open cases that the stored state does not have and that opened before `before`: too late for a first message. */
export function casesFoundLate(
  stored: CustomerState | null,
  rebuilt: CustomerState,
  before: Instant,
): ReadonlySet<string> {
  const isKnown = (id: string) => stored?.cases.some((entry) => entry.id === id) ?? false
  return new Set(
    rebuilt.cases
      .filter(({ id, status, openedAt }) => status === "open" && openedAt < before && !isKnown(id))
      .map(({ id }) => id),
  )
}

/** The actions with the nudges of these cases suppressed; a manual nudge can still be sent. */
export const withoutNudges = (actions: readonly Action[], caseIds: ReadonlySet<string>): Action[] =>
  actions.map((action) =>
    action.kind === "plan_nudge" && action.nudge.status === "planned" && caseIds.has(action.nudge.caseId)
      ? { ...action, nudge: { ...action.nudge, status: "suppressed", reason: "found_late" } }
      : action,
  )
