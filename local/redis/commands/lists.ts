import { integer, sliceBounds } from "../arguments.ts"
import { OK, RedisError, type RedisReply, syntaxError } from "../reply.ts"
import type { Store } from "../store.ts"
import { type Commands, MANY, read, write } from "./command.ts"

export const lists: Commands = {
  LLEN: read(1, 1, (store, [key = ""]) => itemsAt(store, key).length),
  LRANGE: read(3, 3, (store, [key = "", start, stop]) => slice(itemsAt(store, key), start, stop)),
  LINDEX: read(2, 2, (store, [key = "", index]) => itemsAt(store, key).at(integer(index)) ?? null),

  LPUSH: write(2, MANY, (store, [key = "", ...items]) => store.open(key, "list").items.unshift(...items.reverse())),
  RPUSH: write(2, MANY, (store, [key = "", ...items]) => store.open(key, "list").items.push(...items)),
  LPUSHX: write(2, MANY, (store, [key = "", ...items]) => itemsIn(store, key)?.unshift(...items.reverse()) ?? 0),
  RPUSHX: write(2, MANY, (store, [key = "", ...items]) => itemsIn(store, key)?.push(...items) ?? 0),
  LPOP: write(1, 2, (store, [key = "", count]) => pop(store, key, count, "left")),
  RPOP: write(1, 2, (store, [key = "", count]) => pop(store, key, count, "right")),
  LMOVE: write(4, 4, (store, [from = "", to = "", fromSide, toSide]) => {
    const [source, target] = [side(fromSide), side(toSide)]
    store.read(to, "list") // refuses the wrong type before anything is removed
    const item = pop(store, from, undefined, source)
    if (typeof item !== "string") return null
    const { items } = store.open(to, "list")
    target === "left" ? items.unshift(item) : items.push(item)
    return item
  }),
  LSET: write(3, 3, (store, [key = "", index, item = ""]) => {
    const items = itemsIn(store, key)
    if (!items) throw new RedisError("ERR no such key")
    const at = integer(index) < 0 ? items.length + integer(index) : integer(index)
    if (at < 0 || at >= items.length) throw new RedisError("ERR index out of range")
    items[at] = item
    return OK
  }),
  LREM: write(3, 3, (store, [key = "", count, item = ""]) => {
    const items = itemsAt(store, key)
    const limit = Math.abs(integer(count)) || items.length
    const at = items.flatMap((other, index) => (other === item ? [index] : []))
    const removed = new Set(integer(count) < 0 ? at.slice(-limit) : at.slice(0, limit))
    keep(
      store,
      key,
      items.filter((_, index) => !removed.has(index)),
    )
    return removed.size
  }),
  LTRIM: write(3, 3, (store, [key = "", start, stop]) => {
    keep(store, key, slice(itemsAt(store, key), start, stop))
    return OK
  }),
}

const itemsIn = (store: Store, key: string): string[] | undefined => store.read(key, "list")?.items
const itemsAt = (store: Store, key: string): string[] => itemsIn(store, key) ?? []

function slice(items: string[], start: string | undefined, stop: string | undefined): string[] {
  return items.slice(...sliceBounds(integer(start), integer(stop), items.length))
}

/** A list without items is deleted. */
function keep(store: Store, key: string, items: string[]): void {
  const list = store.read(key, "list")
  if (!list) return
  list.items = items
  if (items.length === 0) store.remove(key)
}

function side(word: string | undefined): "left" | "right" {
  const name = word?.toLowerCase()
  if (name !== "left" && name !== "right") throw syntaxError()
  return name
}

function pop(store: Store, key: string, count: string | undefined, from: "left" | "right"): RedisReply {
  if (count !== undefined && integer(count) < 0) throw new RedisError("ERR value is out of range, must be positive")
  const items = itemsIn(store, key)
  if (!items) return null
  const limit = count === undefined ? 1 : integer(count)
  const taken = from === "left" ? items.slice(0, limit) : items.slice(Math.max(0, items.length - limit)).reverse()
  keep(store, key, from === "left" ? items.slice(limit) : items.slice(0, Math.max(0, items.length - limit)))
  return count === undefined ? (taken[0] ?? null) : taken
}
