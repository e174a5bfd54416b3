/** A customer's stream as in the database: a ledger with each fact once, and a snapshot in JSON. */
import { type Fact, inLedgerOrder } from "../../../shared/domain/facts.ts"
import { isBefore, isOutreach, rebuild } from "../../../shared/domain/recovery/fold.ts"
import { foldUndoable, takeBack, type Undo, type UndoableState } from "../../../shared/domain/recovery/undo.ts"
import { type CustomerState, EMPTY_STATE } from "../../../shared/domain/state.ts"

/** A snapshot after it was stored and read again. */
export type Storage = (state: CustomerState) => CustomerState

/** As text: keys keep their order. */
export const asText: Storage = (state) => JSON.parse(JSON.stringify(state))

/** As Postgres' jsonb: the keys of every object by length, then by bytes. */
export const asJsonb: Storage = (state) => JSON.parse(JSON.stringify(sortKeys(state)))

/** The same text for the same state in any order of keys. */
export const canonical = (state: CustomerState): string => JSON.stringify(sortKeys(state))

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, entry]) => [key, sortKeys(entry)]))
}

const NOTHING: UndoableState = { state: EMPTY_STATE, undo: null }

export class StoredStream {
  readonly #ledger = new Map<string, Fact>()
  readonly #storage: Storage
  #snapshot: CustomerState | null = null
  #undo: Undo | null = null
  /** How often the whole ledger was folded although there was a snapshot. */
  refolds = 0

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** The state after a batch, refolded only where the rule requires it. */
  append(batch: readonly Fact[]): CustomerState {
    for (const fact of batch) this.#ledger.set(fact.id, fact)
    const { state, undo } = this.#folded(batch)
    this.#snapshot = this.#storage(state)
    this.#undo = undo === null ? null : JSON.parse(JSON.stringify(undo))
    return state
  }

  #folded(batch: readonly Fact[]): UndoableState {
    const all = inLedgerOrder([...this.#ledger.values()])
    if (this.#snapshot === null) return foldUndoable(all, NOTHING)
    const { position } = this.#snapshot
    const late = batch.filter((fact) => isBefore(fact, position))
    const stored = { state: this.#snapshot, undo: this.#undo }
    if (late.length === 0) return foldUndoable(inLedgerOrder(batch), stored)
    if (this.#undo !== null && late.every(({ occurredAt }) => occurredAt === position?.occurredAt)) {
      const ofInstant = all.filter((fact) => !isOutreach(fact.kind) && fact.occurredAt >= (position?.occurredAt ?? ""))
      const own = inLedgerOrder(batch).filter(({ kind }) => isOutreach(kind))
      const before = { state: takeBack(this.#snapshot, this.#undo), undo: null }
      const after = foldUndoable(ofInstant, before)
      return foldUndoable(own, after)
    }
    this.refolds += 1
    return foldUndoable(all, NOTHING)
  }

  /** The state of all facts so far, folded from the beginning. */
  rebuilt(): CustomerState {
    return rebuild([...this.#ledger.values()])
  }
}
