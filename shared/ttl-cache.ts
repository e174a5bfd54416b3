/**
 * A cache of one isolate. Only resolved values are stored: in workerd a promise belongs to the request that created it,
 * and another request that awaits it hangs or fails, so concurrent callers each read. Time is a parameter. If the clock
 * goes back, entries count as expired rather than as fresh for longer.
 */
import { BoundedMap } from "./network/rate-limit.ts"

interface Entry<Value> {
  readonly value: Value
  readonly atMs: number
}

/** Values by name, each for `ttlMs`; beyond `entriesMax` the entry that was set longest ago is evicted. */
export class TtlCache<Value> {
  readonly #ttlMs: number
  readonly #entries: BoundedMap<string, Entry<Value>>
  /** The newest running read of each name. */
  readonly #reads: BoundedMap<string, symbol>

  constructor({ ttlMs, entriesMax }: { readonly ttlMs: number; readonly entriesMax: number }) {
    this.#ttlMs = ttlMs
    this.#entries = new BoundedMap(entriesMax)
    this.#reads = new BoundedMap(entriesMax)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Whether there is an entry, also an expired one. */
  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** The value if it is younger than `ageMsMax` and the cache's own limit. */
  get(name: string, nowMs: number, ageMsMax = this.#ttlMs): Value | undefined {
    const entry = this.#entries.get(name)
    const ageMs = entry === undefined ? Number.NaN : nowMs - entry.atMs
    return ageMs >= 0 && ageMs < Math.min(ageMsMax, this.#ttlMs) ? entry?.value : undefined
  }

  set(name: string, value: Value, nowMs: number): void {
    this.#entries.set(name, { value, atMs: nowMs })
  }

  /** Removes the value; a read that began before does not store it again. */
  delete(name: string): void {
    this.#entries.delete(name)
    this.#reads.delete(name)
  }

  /** Removes all values, as `delete` does. */
  clear(): void {
    this.#entries.clear()
    this.#reads.clear()
  }

  /**
   * The cached value, else the read one. With `isStaleAllowed`, a failed read returns the expired value and caches it
   * for another `ttlMs`, so that not every caller waits for an unavailable source; otherwise the read's error is
   * thrown.
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
