/**
 * What takes the facts of the last instant back from a state. Facts of one second arrive in any order and are folded in ledger
 * order, so one that is late by its rank or id needs the state before that second, but not the whole ledger.
 */
import type { Fact } from "../facts.ts"
import type { CustomerState } from "../state.ts"
import { isSameValue } from "./compare-states.ts"
import type { DroppedCase } from "./fold/bounds.ts"
import { fold, isOutreach } from "./fold.ts"

/** A state, and what takes the facts of its last instant back; null: that is not known. */
export interface UndoableState {
  readonly state: CustomerState
  readonly undo: Undo | null
}

/** The values from before. `outreach` commutes, and is never taken back. */
export interface Undo {
  readonly fields: Partial<CustomerState>
  /** Fields that did not exist. */
  readonly absent: readonly string[]
  /** Entries of records; null: there was no such entry. */
  readonly subscriptions: Entries<"subscriptions">
  readonly payments: Entries<"payments">
}

type RecordName = "subscriptions" | "payments"
type Entries<K extends RecordName> = Readonly<Record<string, CustomerState[K][string] | null>>

/** `fold`, which also says what takes the facts of the last instant back. */
export function foldUndoable(facts: readonly Fact[], from: UndoableState, dropped: DroppedCase[] = []): UndoableState {
  const instant = facts.findLast(({ kind }) => !isOutreach(kind))?.occurredAt
  if (instant === undefined) return { state: fold(facts, from.state, dropped), undo: from.undo }
  const start = facts.findIndex(({ kind, occurredAt }) => !isOutreach(kind) && occurredAt >= instant)
  const middle = fold(facts.slice(0, start), from.state, dropped)
  const before = middle.position?.occurredAt === instant ? from.undo && takeBack(middle, from.undo) : middle
  const state = fold(facts.slice(start), middle, dropped)
  return { state, undo: before && undoOf(state, before) }
}

/** The state before the facts of the last instant, with the outreach of now. */
export function takeBack(state: CustomerState, { fields, absent, subscriptions, payments }: Undo): CustomerState {
  const kept = Object.entries({ ...state, ...fields }).filter(([name]) => !absent.includes(name))
  return {
    // All fields of a state but those that did not exist before.
    ...(Object.fromEntries(kept) as unknown as CustomerState),
    subscriptions: withEntries(state.subscriptions, subscriptions),
    payments: withEntries(state.payments, payments),
  }
}

function withEntries<T>(record: Readonly<Record<string, T>>, entries: Readonly<Record<string, T | null>>) {
  const all = Object.entries({ ...record, ...entries })
  return Object.fromEntries(all.flatMap(([id, entry]) => (entry === null ? [] : [[id, entry] as const])))
}

function undoOf(after: CustomerState, before: CustomerState): Undo {
  const names = [...new Set([...Object.keys(after), ...Object.keys(before)])] as (keyof CustomerState)[]
  const differing = names.filter((name) => !KEPT.has(name) && !isSameValue(after[name], before[name]))
  return {
    fields: Object.fromEntries(differing.flatMap((name) => (name in before ? [[name, before[name]] as const] : []))),
    absent: differing.filter((name) => !(name in before)),
    subscriptions: differingEntries(after.subscriptions, before.subscriptions),
    payments: differingEntries(after.payments, before.payments),
  }
}

const KEPT: ReadonlySet<keyof CustomerState> = new Set(["outreach", "subscriptions", "payments"] as const)

function differingEntries<T>(after: Readonly<Record<string, T>>, before: Readonly<Record<string, T>>) {
  const ids = [...new Set([...Object.keys(after), ...Object.keys(before)])]
  // Ids are any text, also the name of a property that every object has.
  const entryOf = (record: Readonly<Record<string, T>>, id: string) =>
    Object.hasOwn(record, id) ? (record[id] ?? null) : null
  return Object.fromEntries(
    ids
      .filter((id) => !isSameValue(entryOf(after, id), entryOf(before, id)))
      .map((id) => [id, entryOf(before, id)] as const),
  )
}
