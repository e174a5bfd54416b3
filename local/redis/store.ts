import { RedisError } from "./reply.ts"

export type StreamEntry = { readonly id: StreamId; readonly fields: readonly string[] }
export type StreamId = { readonly ms: number; readonly seq: number }

/** The value of a key. */
export type Value =
  | { readonly type: "string"; text: string }
  | { readonly type: "hash"; readonly fields: Map<string, string> }
  | { readonly type: "list"; items: string[] }
  | { readonly type: "set"; readonly members: Set<string> }
  | { readonly type: "zset"; readonly scores: Map<string, number> }
  | { readonly type: "stream"; entries: StreamEntry[]; lastId: StreamId }

export type ValueType = Value["type"]
export type ValueOf<Type extends ValueType> = Extract<Value, { readonly type: Type }>

/** One key. `order` grows with every new key, which gives SCAN a cursor that is stable under changes. */
export type Entry = {
  readonly key: string
  readonly value: Value
  expiresAtMs: number | undefined
  readonly order: number
}

const EMPTY: { readonly [Type in ValueType]: () => ValueOf<Type> } = {
  string: () => ({ type: "string", text: "" }),
  hash: () => ({ type: "hash", fields: new Map() }),
  list: () => ({ type: "list", items: [] }),
  set: () => ({ type: "set", members: new Set() }),
  zset: () => ({ type: "zset", scores: new Map() }),
  stream: () => ({ type: "stream", entries: [], lastId: { ms: 0, seq: 0 } }),
}

/** The keys of one database. No reader sees an expired key; the time is `now`, in milliseconds. */
export class Store {
  readonly now: () => number
  readonly #entries = new Map<string, Entry>()
  #made = 0

  constructor(now: () => number) {
    this.now = now
  }

  /** The entry at `key`, or `undefined` when there is none or it has expired. */
  entry(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry?.expiresAtMs === undefined || entry.expiresAtMs > this.now()) return entry
    this.#entries.delete(key)
    return undefined
  }

  /** The value at `key` when it is of `type`, `undefined` when there is none. Throws WRONGTYPE for another type. */
  read<Type extends ValueType>(key: string, type: Type): ValueOf<Type> | undefined {
    const value = this.entry(key)?.value
    if (value === undefined) return undefined
    if (!isOfType(value, type)) {
      throw new RedisError("WRONGTYPE Operation against a key holding the wrong kind of value")
    }
    return value
  }

  /** Like `read`, but creates an empty value if there is none; the caller fills it. */
  open<Type extends ValueType>(key: string, type: Type): ValueOf<Type> {
    const found = this.read(key, type)
    if (found) return found
    const value = EMPTY[type]()
    this.put(key, value)
    return value
  }

  /** Sets `key` to `value`, replacing any earlier value and expiry. */
  put(key: string, value: Value, expiresAtMs?: number): void {
    this.#entries.delete(key) // keeps the map in order of creation
    this.#entries.set(key, { key, value, expiresAtMs, order: ++this.#made })
  }

  /** Removes `key`; returns whether it existed. */
  remove(key: string): boolean {
    return this.entry(key) !== undefined && this.#entries.delete(key)
  }

  /** All entries, oldest key first. Drops expired ones. */
  entries(): Entry[] {
    return [...this.#entries.keys()].map((key) => this.entry(key)).filter((entry) => entry !== undefined)
  }

  clear(): void {
    this.#entries.clear()
  }
}

function isOfType<Type extends ValueType>(value: Value, type: Type): value is ValueOf<Type> {
  return value.type === type
}
