import { expect, test } from "vitest"
import { TtlCache } from "./ttl-cache.ts"

const cacheOf = (entriesMax = 3) => new TtlCache<string | null>({ ttlMs: 100, entriesMax })

/** A read that the test ends. */
function slowRead() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let reads = 0
  const read = () => {
    reads += 1
    return promise
  }
  return { read, resolve, reject, reads: () => reads }
}

test("a value is cached until it expires, and null is a value", () => {
  const cache = cacheOf()
  cache.set("a", null, 1_000)
  expect(cache.get("a", 1_000)).toBeNull()
  expect(cache.get("a", 1_099)).toBeNull()
  expect(cache.get("a", 1_100)).toBeUndefined()
  expect(cache.has("a")).toBe(true)
  expect(cache.get("b", 1_000)).toBeUndefined()
})

test("a caller can require a fresher value, but not get an older one", () => {
  const cache = cacheOf()
  cache.set("a", "x", 1_000)
  expect(cache.get("a", 1_009, 10)).toBe("x")
  expect(cache.get("a", 1_010, 10)).toBeUndefined()
  expect(cache.get("a", 1_000, 0)).toBeUndefined()
  expect(cache.get("a", 1_100, 10_000)).toBeUndefined()
})

test("a value is expired when the clock went back", () => {
  const cache = cacheOf()
  cache.set("a", "x", 1_000)
  expect(cache.get("a", 999)).toBeUndefined()
})

test("a full cache evicts the entry that was set longest ago", () => {
  const cache = cacheOf()
  for (const name of ["a", "b", "c"]) cache.set(name, name, 0)
  cache.set("a", "again", 1)
  cache.set("d", "d", 2)
  expect(cache.size).toBe(3)
  expect(["a", "b", "c", "d"].map((name) => cache.get(name, 2))).toEqual(["again", undefined, "c", "d"])
})

test("a value is read once while it is cached", async () => {
  const cache = cacheOf()
  let reads = 0
  const read = async () => `read ${++reads}`
  expect(await cache.load("a", 0, read)).toBe("read 1")
  expect(await cache.load("a", 99, read)).toBe("read 1")
  expect(await cache.load("a", 100, read)).toBe("read 2")
})

test("a failed read is not cached", async () => {
  const cache = cacheOf()
  await expect(cache.load("a", 0, () => Promise.reject(new Error("away")))).rejects.toThrow("away")
  expect(cache.has("a")).toBe(false)
  expect(await cache.load("a", 0, async () => "there")).toBe("there")
})

test("with isStaleAllowed a failed read returns the expired value", async () => {
  const cache = cacheOf()
  const away = () => Promise.reject(new Error("away"))
  cache.set("a", "old", 0)
  await expect(cache.load("a", 100, away)).rejects.toThrow("away")
  expect(await cache.load("a", 100, away, { isStaleAllowed: true })).toBe("old")
  expect(cache.get("a", 199)).toBe("old")
  await expect(cache.load("b", 100, away, { isStaleAllowed: true })).rejects.toThrow("away")
})

test("concurrent requests each read: none awaits a promise of another", async () => {
  const cache = cacheOf()
  const [first, second] = [slowRead(), slowRead()]
  const loads = [cache.load("a", 0, first.read), cache.load("a", 0, second.read)]
  second.resolve("second")
  expect(await loads[1]).toBe("second")
  expect([first.reads(), second.reads()]).toEqual([1, 1])
  first.resolve("first")
  expect(await loads[0]).toBe("first")
  // The read that began last has the newer value.
  expect(cache.get("a", 0)).toBe("second")
})

test("a value deleted during its read is not stored", async () => {
  const cache = cacheOf()
  const slow = slowRead()
  const load = cache.load("a", 0, slow.read)
  cache.delete("a")
  slow.resolve("before the change")
  expect(await load).toBe("before the change")
  expect(cache.has("a")).toBe(false)
})

test("a read that never ends blocks nothing", async () => {
  const cache = cacheOf()
  void cache.load("a", 0, () => new Promise(() => {}))
  expect(await cache.load("a", 0, async () => "there")).toBe("there")
  expect(cache.get("a", 0)).toBe("there")
})
