import { float, floatText, integer, options, pairs, sliceBounds } from "../arguments.ts"
import { OK, RedisError, syntaxError } from "../reply.ts"
import type { Store } from "../store.ts"
import { type Commands, MANY, read, write } from "./command.ts"

const EXPIRY = { EX: 1, PX: 1, EXAT: 1, PXAT: 1 } as const

export const strings: Commands = {
  GET: read(1, 1, (store, [key = ""]) => textAt(store, key)),
  STRLEN: read(1, 1, (store, [key = ""]) => Buffer.byteLength(textAt(store, key) ?? "")),
  GETRANGE: read(3, 3, (store, [key = "", start, stop]) => {
    const bytes = Buffer.from(textAt(store, key) ?? "")
    return bytes.subarray(...sliceBounds(integer(start), integer(stop), bytes.length)).toString()
  }),
  MGET: read(1, MANY, (store, keys) =>
    keys.map((key) => (store.entry(key)?.value.type === "string" ? textAt(store, key) : null)),
  ),

  SET: write(2, MANY, (store, [key = "", text = "", ...rest]) => {
    const found = options(rest, { NX: 0, XX: 0, GET: 0, KEEPTTL: 0, ...EXPIRY })
    if (found.NX && found.XX) throw syntaxError()
    const before = store.entry(key)
    const previous = found.GET ? textAt(store, key) : null
    const expiresAtMs = expiryFrom(found, store.now(), "set") ?? (found.KEEPTTL ? before?.expiresAtMs : undefined)
    if ((found.NX && before) || (found.XX && !before)) return previous
    store.put(key, { type: "string", text }, expiresAtMs)
    return found.GET ? previous : OK
  }),
  SETNX: write(2, 2, (store, [key = "", text = ""]) => {
    if (store.entry(key)) return 0
    store.put(key, { type: "string", text })
    return 1
  }),
  SETEX: write(3, 3, (store, [key = "", seconds, text = ""]) => {
    store.put(key, { type: "string", text }, expiryFrom({ EX: [seconds ?? ""] }, store.now(), "setex"))
    return OK
  }),
  PSETEX: write(3, 3, (store, [key = "", ms, text = ""]) => {
    store.put(key, { type: "string", text }, expiryFrom({ PX: [ms ?? ""] }, store.now(), "psetex"))
    return OK
  }),
  MSET: write(2, MANY, (store, args) => {
    for (const [key, text] of pairs(args)) store.put(key, { type: "string", text })
    return OK
  }),
  MSETNX: write(2, MANY, (store, args) => {
    if (pairs(args).some(([key]) => store.entry(key))) return 0
    for (const [key, text] of pairs(args)) store.put(key, { type: "string", text })
    return 1
  }),
  GETSET: write(2, 2, (store, [key = "", text = ""]) => {
    const previous = textAt(store, key)
    store.put(key, { type: "string", text })
    return previous
  }),
  GETDEL: write(1, 1, (store, [key = ""]) => {
    const text = textAt(store, key)
    store.remove(key)
    return text
  }),
  GETEX: write(1, 3, (store, [key = "", ...rest]) => {
    const found = options(rest, { PERSIST: 0, ...EXPIRY })
    const text = textAt(store, key)
    const expiresAtMs = expiryFrom(found, store.now(), "getex")
    const entry = store.entry(key)
    if (entry && (expiresAtMs !== undefined || found.PERSIST)) entry.expiresAtMs = expiresAtMs
    return text
  }),
  APPEND: write(2, 2, (store, [key = "", text = ""]) => {
    const value = store.open(key, "string")
    value.text += text
    return Buffer.byteLength(value.text)
  }),

  INCR: write(1, 1, (store, [key = ""]) => add(store, key, 1)),
  DECR: write(1, 1, (store, [key = ""]) => add(store, key, -1)),
  INCRBY: write(2, 2, (store, [key = "", by]) => add(store, key, integer(by))),
  DECRBY: write(2, 2, (store, [key = "", by]) => add(store, key, -integer(by))),
  INCRBYFLOAT: write(2, 2, (store, [key = "", by]) => {
    const text = floatText(float(textAt(store, key) ?? "0") + float(by))
    store.open(key, "string").text = text
    return text
  }),
}

const textAt = (store: Store, key: string): string | null => store.read(key, "string")?.text ?? null

function add(store: Store, key: string, by: number): number {
  const sum = integer(textAt(store, key) ?? "0") + by
  if (!Number.isSafeInteger(sum)) throw new RedisError("ERR increment or decrement would overflow")
  store.open(key, "string").text = String(sum) // an existing expiry is kept
  return sum
}

type ExpiryOptions = { readonly [Name in keyof typeof EXPIRY]?: readonly string[] }

function expiryFrom(found: ExpiryOptions, nowMs: number, command: string): number | undefined {
  const given = Object.keys(EXPIRY).filter((name) => Object.hasOwn(found, name))
  if (given.length > 1) throw syntaxError()
  const amount = found.EX ?? found.PX ?? found.EXAT ?? found.PXAT
  if (!amount) return undefined
  const value = integer(amount[0])
  if (value <= 0) throw new RedisError(`ERR invalid expire time in '${command}' command`)
  if (found.EX) return nowMs + value * 1_000
  if (found.PX) return nowMs + value
  return found.EXAT ? value * 1_000 : value
}
