/** A customer's stream as in the database: a ledger with each fact once, and a snapshot in JSON. */
import { type Fact, inLedgerOrder } from "../../../shared/domain/facts.ts"
import { fold, isBefore, rebuild } from "../../../shared/domain/recovery/fold.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"

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

export class StoredStream {
  readonly #ledger = new Map<string, Fact>()
  readonly #storage: Storage
  #snapshot: CustomerState | null = null

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** The state after a batch, refolded only where the rule requires it. */
  append(batch: readonly Fact[]): CustomerState {
    const position = this.#snapshot?.position ?? null
    for (const fact of batch) this.#ledger.set(fact.id, fact)
    const mustRefold = this.#snapshot === null || batch.some((fact) => isBefore(fact, position))
    const state = mustRefold ? this.rebuilt() : fold(inLedgerOrder(batch), this.#snapshot ?? undefined)
    this.#snapshot = this.#storage(state)
    return state
  }

  /** The state of all facts so far, folded from the beginning. */
  rebuilt(): CustomerState {
    return rebuild([...this.#ledger.values()])
  }
}
