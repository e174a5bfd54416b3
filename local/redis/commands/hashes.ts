import { float, floatText, glob, integer, options, pairs } from "../arguments.ts"
import { OK, RedisError } from "../reply.ts"
import type { Store } from "../store.ts"
import { type Commands, MANY, read, write } from "./command.ts"

export const hashes: Commands = {
  HGET: read(2, 2, (store, [key = "", field = ""]) => fieldsAt(store, key).get(field) ?? null),
  HMGET: read(2, MANY, (store, [key = "", ...names]) => names.map((name) => fieldsAt(store, key).get(name) ?? null)),
  HGETALL: read(1, 1, (store, [key = ""]) => [...fieldsAt(store, key)].flat()),
  HKEYS: read(1, 1, (store, [key = ""]) => [...fieldsAt(store, key).keys()]),
  HVALS: read(1, 1, (store, [key = ""]) => [...fieldsAt(store, key).values()]),
  HLEN: read(1, 1, (store, [key = ""]) => fieldsAt(store, key).size),
  HEXISTS: read(2, 2, (store, [key = "", field = ""]) => Number(fieldsAt(store, key).has(field))),
  HSTRLEN: read(2, 2, (store, [key = "", field = ""]) => Buffer.byteLength(fieldsAt(store, key).get(field) ?? "")),
  HSCAN: read(2, MANY, (store, [key = "", , ...rest]) => {
    const { MATCH } = options(rest, { MATCH: 1, COUNT: 1 })
    const matches = glob(MATCH?.[0] ?? "*")
    return ["0", [...fieldsAt(store, key)].filter(([field]) => matches.test(field)).flat()]
  }),

  HSET: write(3, MANY, (store, [key = "", ...rest]) => setAll(store, key, rest, "hset")),
  HMSET: write(3, MANY, (store, [key = "", ...rest]) => {
    setAll(store, key, rest, "hmset")
    return OK
  }),
  HSETNX: write(3, 3, (store, [key = "", field = "", text = ""]) => {
    if (fieldsAt(store, key).has(field)) return 0
    store.open(key, "hash").fields.set(field, text)
    return 1
  }),
  HDEL: write(2, MANY, (store, [key = "", ...names]) => {
    const fields = fieldsAt(store, key)
    const removed = names.filter((name) => fields.delete(name)).length
    if (fields.size === 0) store.remove(key)
    return removed
  }),
  HINCRBY: write(3, 3, (store, [key = "", field = "", by]) => {
    const before = fieldsAt(store, key).get(field) ?? "0"
    if (!/^-?\d+$/.test(before)) throw new RedisError("ERR hash value is not an integer")
    const sum = integer(before) + integer(by)
    if (!Number.isSafeInteger(sum)) throw new RedisError("ERR increment or decrement would overflow")
    store.open(key, "hash").fields.set(field, String(sum))
    return sum
  }),
  HINCRBYFLOAT: write(3, 3, (store, [key = "", field = "", by]) => {
    const text = floatText(float(fieldsAt(store, key).get(field) ?? "0") + float(by))
    store.open(key, "hash").fields.set(field, text)
    return text
  }),
}

function fieldsAt(store: Store, key: string): Map<string, string> {
  return store.read(key, "hash")?.fields ?? new Map()
}

function setAll(store: Store, key: string, rest: readonly string[], command: string): number {
  if (rest.length % 2 !== 0) throw new RedisError(`ERR wrong number of arguments for '${command}' command`)
  const { fields } = store.open(key, "hash")
  const before = fields.size
  for (const [field, text] of pairs(rest)) fields.set(field, text)
  return fields.size - before
}
