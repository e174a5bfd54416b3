import { glob, integer, options } from "../arguments.ts"
import { OK, RedisError, Status } from "../reply.ts"
import type { Store } from "../store.ts"
import { type Commands, MANY, read, write } from "./command.ts"

const SCAN_COUNT = 10

export const keys: Commands = {
  EXISTS: read(1, MANY, (store, names) => names.filter((key) => store.entry(key)).length),
  TYPE: read(1, 1, (store, [key = ""]) => new Status(store.entry(key)?.value.type ?? "none")),
  KEYS: read(1, 1, (store, [pattern = ""]) => {
    const matches = glob(pattern)
    return store.entries().flatMap(({ key }) => (matches.test(key) ? [key] : []))
  }),
  SCAN: read(1, MANY, (store, [cursor, ...rest]) => {
    const { MATCH, COUNT, TYPE } = options(rest, { MATCH: 1, COUNT: 1, TYPE: 1 })
    const matches = glob(MATCH?.[0] ?? "*")
    const after = integer(cursor)
    const ahead = store.entries().filter(({ order }) => order > after)
    const page = ahead.slice(0, COUNT ? integer(COUNT[0]) : SCAN_COUNT)
    const next = page.length < ahead.length ? page.at(-1)?.order : 0
    const wanted = page.filter(({ key, value }) => matches.test(key) && (!TYPE || value.type === TYPE[0]))
    return [String(next ?? 0), wanted.map(({ key }) => key)]
  }),
  DBSIZE: read(0, 0, (store) => store.entries().length),
  TTL: read(1, 1, (store, [key = ""]) => remaining(store, key, 1_000)),
  PTTL: read(1, 1, (store, [key = ""]) => remaining(store, key, 1)),
  EXPIRETIME: read(1, 1, (store, [key = ""]) => expiryTime(store, key, 1_000)),
  PEXPIRETIME: read(1, 1, (store, [key = ""]) => expiryTime(store, key, 1)),

  DEL: write(1, MANY, removeAll),
  UNLINK: write(1, MANY, removeAll),
  EXPIRE: write(2, 3, (store, args) => expireAt(store, args, (value) => store.now() + value * 1_000)),
  PEXPIRE: write(2, 3, (store, args) => expireAt(store, args, (value) => store.now() + value)),
  EXPIREAT: write(2, 3, (store, args) => expireAt(store, args, (value) => value * 1_000)),
  PEXPIREAT: write(2, 3, (store, args) => expireAt(store, args, (value) => value)),
  PERSIST: write(1, 1, (store, [key = ""]) => {
    const entry = store.entry(key)
    if (entry?.expiresAtMs === undefined) return 0
    entry.expiresAtMs = undefined
    return 1
  }),
  RENAME: write(2, 2, (store, [from = "", to = ""]) => {
    rename(store, from, to)
    return OK
  }),
  RENAMENX: write(2, 2, (store, [from = "", to = ""]) => {
    if (store.entry(from) && store.entry(to)) return 0
    rename(store, from, to)
    return 1
  }),
  FLUSHALL: write(0, 1, clear),
  FLUSHDB: write(0, 1, clear),
}

function removeAll(store: Store, names: readonly string[]): number {
  return names.filter((key) => store.remove(key)).length
}

function clear(store: Store): Status {
  store.clear()
  return OK
}

function rename(store: Store, from: string, to: string): void {
  const entry = store.entry(from)
  if (!entry) throw new RedisError("ERR no such key")
  store.remove(from)
  store.put(to, entry.value, entry.expiresAtMs)
}

/** -2 when there is no such key, -1 when it does not expire. */
function remaining(store: Store, key: string, unitMs: number): number {
  const entry = store.entry(key)
  if (!entry) return -2
  return entry.expiresAtMs === undefined ? -1 : Math.round((entry.expiresAtMs - store.now()) / unitMs)
}

function expiryTime(store: Store, key: string, unitMs: number): number {
  const entry = store.entry(key)
  if (!entry) return -2
  return entry.expiresAtMs === undefined ? -1 : Math.floor(entry.expiresAtMs / unitMs)
}

function expireAt(
  store: Store,
  [key = "", value, ...rest]: readonly string[],
  atMs: (value: number) => number,
): number {
  const { NX, XX, GT, LT } = options(rest, { NX: 0, XX: 0, GT: 0, LT: 0 })
  const expiresAtMs = atMs(integer(value))
  const entry = store.entry(key)
  if (!entry) return 0
  const before = entry.expiresAtMs ?? Infinity
  if ((NX && before !== Infinity) || (XX && before === Infinity)) return 0
  if ((GT && expiresAtMs <= before) || (LT && expiresAtMs >= before)) return 0
  entry.expiresAtMs = expiresAtMs
  return 1
}
