/**
 * What an isolate remembers for a while. Only finished values are kept: in workerd a promise belongs to the request that made
 * it, and another request that awaits it hangs or fails, so callers at the same time each read for themselves. Time is a
 * parameter. A clock that goes back makes everything unknown rather than fresh for longer.
 */
import { BoundedMap } from "./network/rate-limit.ts"

interface Entry<Value> {
  readonly value: Value
  readonly atMs: number
}

/** Values by name, each for `ttlMs`; beyond `entriesMax` the one that was set longest ago is forgotten. */
export class TtlCache<Value> {
  readonly #ttlMs: number
  readonly #entries: BoundedMap<string, Entry<Value>>
  /** The newest read of each name that is under way. */
  readonly #reads: BoundedMap<string, symbol>

  constructor({ ttlMs, entriesMax }: { readonly ttlMs: number; readonly entriesMax: number }) {
    this.#ttlMs = ttlMs
    this.#entries = new BoundedMap(entriesMax)
    this.#reads = new BoundedMap(entriesMax)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Whether the name was known at some time, though its value may be too old by now. */
  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** The value, unless there is none or it is as old as `ageMsMax` (the cache's own limit when that is less). */
  get(name: string, nowMs: number, ageMsMax = this.#ttlMs): Value | undefined {
    const entry = this.#entries.get(name)
    const ageMs = entry === undefined ? Number.NaN : nowMs - entry.atMs
    return ageMs >= 0 && ageMs < Math.min(ageMsMax, this.#ttlMs) ? entry?.value : undefined
  }

  set(name: string, value: Value, nowMs: number): void {
    this.#entries.set(name, { value, atMs: nowMs })
  }

  /** Forgets the value; a read that began before does not bring it back. */
  delete(name: string): void {
    this.#entries.delete(name)
    this.#reads.delete(name)
  }

  /**
   * The value, read when it is not known. With `isStaleAllowed`, a read that fails answers what was known last, for another
   * `ttlMs`, so that not everybody waits for a source that is away; otherwise throws what the read throws.
   */
  async load(
    name: string,
    nowMs: number,
    read: () => Promise<Value>,
    { isStaleAllowed = false }: { readonly isStaleAllowed?: boolean } = {},
  ): Promise<Value> {
    const known = this.get(name, nowMs)
    if (known !== undefined) return known
    const own = Symbol()
    this.#reads.set(name, own)
    try {
      const value = await read().catch((error: unknown) => {
        const last = this.#entries.get(name)
        if (last === undefined || !isStaleAllowed) throw error
        return last.value
      })
      if (this.#reads.get(name) === own) this.set(name, value, nowMs)
      return value
    } finally {
      if (this.#reads.get(name) === own) this.#reads.delete(name)
    }
  }
}
