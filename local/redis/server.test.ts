import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Redis as Client } from "@upstash/redis"
import { afterEach, beforeEach, expect, test } from "vitest"
import { createFaults } from "../faults.ts"
import { type Redis, startRedis } from "./server.ts"

const START_MS = Date.parse("2026-01-02T03:04:05.678Z")
const SLOW_MS = 200
const faults = createFaults({ slowMs: SLOW_MS })
const requests: number[] = []
let nowMs = START_MS
let dir: string
let server: Redis
let redis: Client

async function start(): Promise<void> {
  server = await startRedis({
    token: "secret",
    faults,
    now: () => nowMs,
    snapshotFile: join(dir, "redis.json"),
    onRequest: ({ commands }) => requests.push(commands),
  })
  redis = new Client({ url: server.url, token: server.token, retry: { retries: 0 } })
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "churn-saver-redis-"))
  nowMs = START_MS
  await start()
  requests.length = 0
})

afterEach(async () => {
  faults.clear()
  await server.stop()
  await rm(dir, { recursive: true })
})

test("strings keep the client's text, numbers and JSON", async () => {
  expect(await redis.set("text", "zwölf € 🎉")).toBe("OK")
  expect(await redis.get("text")).toBe("zwölf € 🎉")
  expect(await redis.strlen("text")).toBe(15)
  await redis.set("json", { a: [1, null, "OK"] })
  expect(await redis.get("json")).toEqual({ a: [1, null, "OK"] })
  expect(await redis.get("absent")).toBeNull()
  expect(await redis.mset({ a: 1, b: 2 })).toBe("OK")
  expect(await redis.mget("a", "absent", "b")).toEqual([1, null, 2])
  expect(await redis.incrby("a", 41)).toBe(42)
  expect(await redis.decr("new")).toBe(-1)
  expect(await redis.incrbyfloat("a", 0.5)).toBe(42.5)
  expect(await redis.append("text", "!")).toBe(16)
  expect(await redis.getdel("a")).toBe(42.5)
  expect(await redis.getrange("text", -1, -1)).toBe("!")
  await expect(redis.incr("text")).rejects.toThrow("ERR value is not an integer or out of range")
})

test("SET NX takes a lock once, until it expires", async () => {
  expect(await redis.set("lock", "a", { nx: true, px: 1_500 })).toBe("OK")
  expect(await redis.set("lock", "b", { nx: true, px: 1_500 })).toBeNull()
  expect(await redis.get("lock")).toBe("a")
  nowMs += 1_499
  expect(await redis.set("lock", "b", { nx: true })).toBeNull()
  nowMs += 1
  expect(await redis.set("lock", "b", { nx: true })).toBe("OK")
  expect(await redis.set("none", "b", { xx: true })).toBeNull()
  expect(await redis.set("lock", "c", { get: true })).toBe("b")
  expect(await redis.setnx("lock", "d")).toBe(0)
})

test("expiry uses the given clock", async () => {
  await redis.set("key", "v", { ex: 10 })
  expect(await redis.ttl("key")).toBe(10)
  await redis.set("key", "w", { keepTtl: true })
  nowMs += 4_000
  expect(await redis.pttl("key")).toBe(6_000)
  expect(await redis.getex("key", { ex: 60 })).toBe("w")
  expect(await redis.ttl("key")).toBe(60)
  expect(await redis.persist("key")).toBe(1)
  expect(await redis.ttl("key")).toBe(-1)
  expect(await redis.ttl("absent")).toBe(-2)
  expect(await redis.pexpire("key", 5)).toBe(1)
  expect(await redis.expire("key", 1, "GT")).toBe(1)
  await redis.set("other", "v", { px: 1_000 })
  nowMs += 1_000
  expect([await redis.get("key"), await redis.exists("key", "other"), await redis.dbsize()]).toEqual([null, 0, 0])
  expect(await redis.time()).toEqual([Math.floor(nowMs / 1_000), (nowMs % 1_000) * 1_000])
})

test("SCAN finds every remaining key once, while others are deleted", async () => {
  await redis.mset(Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`k:${i}`, i])))
  await redis.set("other", 1)
  const found: string[] = []
  let cursor = "0"
  do {
    const [next, page] = await redis.scan(cursor, { match: "k:*", count: 7 })
    found.push(...page)
    cursor = next
    await redis.del(...page.slice(0, 3)) // a cursor that counts keys would now skip three
  } while (cursor !== "0" && found.length < 50)
  expect(found.sort()).toEqual(Array.from({ length: 25 }, (_, i) => `k:${i}`).sort())
  expect(await redis.keys("o[t]h?r*")).toEqual(["other"])
  expect(await redis.rename("other", "renamed")).toBe("OK")
  expect(await redis.type("renamed")).toBe("string")
  expect(await redis.flushall()).toBe("OK")
  expect(await redis.dbsize()).toBe(0)
})

test("hashes", async () => {
  expect(await redis.hset("h", { a: 1, b: "two" })).toBe(2)
  expect(await redis.hset("h", { a: 2 })).toBe(0)
  expect(await redis.hgetall("h")).toEqual({ a: 2, b: "two" })
  expect(await redis.hmget("h", "a", "absent")).toEqual({ a: 2, absent: null })
  expect(await redis.hincrby("h", "a", 5)).toBe(7)
  expect(await redis.hsetnx("h", "a", 0)).toBe(0)
  expect([await redis.hlen("h"), await redis.hexists("h", "b")]).toEqual([2, 1])
  expect(await redis.hdel("h", "a", "b", "absent")).toBe(2)
  expect(await redis.exists("h")).toBe(0)
  expect(await redis.hgetall("h")).toBeNull()
})

test("lists", async () => {
  expect(await redis.rpush("l", "b", "c", "d")).toBe(3)
  expect(await redis.lpush("l", "a", "z")).toBe(5)
  expect(await redis.lrange("l", 0, -1)).toEqual(["z", "a", "b", "c", "d"])
  expect(await redis.lrange("l", -2, 100)).toEqual(["c", "d"])
  expect(await redis.ltrim("l", 1, -1)).toBe("OK")
  expect([await redis.lpop("l"), await redis.rpop("l"), await redis.llen("l")]).toEqual(["a", "d", 2])
  await redis.rpush("l", "b", "b")
  expect(await redis.lrem("l", -2, "b")).toBe(2)
  expect(await redis.lrange("l", 0, -1)).toEqual(["b", "c"])
  expect(await redis.lpop("l", 5)).toEqual(["b", "c"])
  expect([await redis.lpop("l"), await redis.exists("l")]).toEqual([null, 0])
})

test("sets", async () => {
  expect(await redis.sadd("s", "a", "b", "a")).toBe(2)
  expect(await redis.sadd("t", "b", "c")).toBe(2)
  expect([await redis.sismember("s", "a"), await redis.scard("s")]).toEqual([1, 2])
  expect(await redis.sinter("s", "t")).toEqual(["b"])
  expect((await redis.sunion("s", "t")).sort()).toEqual(["a", "b", "c"])
  expect(await redis.sdiff("s", "t")).toEqual(["a"])
  expect(await redis.srem("s", "a", "b")).toBe(2)
  expect(await redis.exists("s")).toBe(0)
})

test("sorted sets are ordered by score, then by name", async () => {
  expect(await redis.zadd("z", { score: 2, member: "b" }, { score: 1, member: "c" }, { score: 1, member: "a" })).toBe(3)
  expect(await redis.zrange("z", 0, -1, { withScores: true })).toEqual(["a", 1, "c", 1, "b", 2])
  expect(await redis.zrange("z", "(1", "+inf", { byScore: true })).toEqual(["b"])
  expect(await redis.zrange("z", 9, 0, { byScore: true, rev: true, offset: 1, count: 1 })).toEqual(["c"])
  expect(await redis.zadd("z", { gt: true, ch: true }, { score: 0, member: "a" }, { score: 5, member: "c" })).toBe(1)
  expect(await redis.zadd("z", { nx: true }, { score: 9, member: "a" })).toBe(0)
  expect(await redis.zincrby("z", 1.5, "a")).toBe(2.5)
  expect([await redis.zscore("z", "a"), await redis.zscore("z", "absent")]).toEqual([2.5, null])
  expect(await redis.zcount("z", 2, "(5")).toBe(2)
  expect(await redis.zremrangebyscore("z", "-inf", 2)).toBe(1)
  expect(await redis.zpopmin("z")).toEqual(["a", 2.5])
  expect([await redis.zrem("z", "c"), await redis.zcard("z")]).toEqual([1, 0])
})

test("stream ids follow the clock, and streams are read in both directions and trimmed", async () => {
  const first = await redis.xadd("x", "*", { n: 1 })
  expect(first).toBe(`${START_MS}-0`)
  expect(await redis.xadd("x", "*", { n: 2 })).toBe(`${START_MS}-1`)
  nowMs += 5
  await redis.xadd("x", "*", { n: 3 })
  expect(await redis.xlen("x")).toBe(3)
  expect(await redis.xrange("x", "-", "+", 1)).toEqual({ [first]: { n: 1 } })
  expect(await redis.xrange("x", `(${first}`, `${START_MS}`)).toEqual({ [`${START_MS}-1`]: { n: 2 } })
  expect(Object.values(await redis.xrevrange("x", "+", "-"))).toEqual([{ n: 3 }, { n: 2 }, { n: 1 }])
  await expect(redis.xadd("x", "1-1", { n: 0 })).rejects.toThrow("equal or smaller")
  expect(await redis.xdel("x", first)).toBe(1)
  await redis.xadd("x", "*", { n: 4 }, { trim: { type: "MAXLEN", threshold: 2, comparison: "=" } })
  expect(Object.values(await redis.xrange("x", "-", "+"))).toEqual([{ n: 3 }, { n: 4 }])
  expect(await redis.xtrim("x", { strategy: "MAXLEN", threshold: 0 })).toBe(2)
})

test("commands of one tick are one request, and one refusal does not affect the others", async () => {
  await redis.set("text", "abc")
  requests.length = 0
  const answers = await Promise.allSettled([redis.incr("n"), redis.lpush("text", "x"), redis.incr("n")])
  expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"])
  expect(String((answers[1] as PromiseRejectedResult).reason)).toContain("WRONGTYPE")
  expect(requests).toEqual([3])
  expect(await redis.pipeline().incr("n").get("absent").set("k", "OK").exec()).toEqual([3, null, "OK"])
})

test("a transaction with an unknown command does nothing", async () => {
  expect(await redis.multi().incr("n").incr("n").exec()).toEqual([1, 2])
  const response = await fetch(`${server.url}/multi-exec`, {
    method: "POST",
    headers: { authorization: "Bearer secret" },
    body: JSON.stringify([["INCR", "n"], ["NONSENSE"]]),
  })
  expect([response.status, await response.json()]).toEqual([
    400,
    { error: "EXECABORT Transaction discarded because of: ERR unknown command 'NONSENSE'" },
  ])
  expect(await redis.get("n")).toBe(2)
})

test("a wrong token is refused, and answers have a sync token", async () => {
  const stranger = new Client({ url: server.url, token: "other", retry: { retries: 0 } })
  await expect(stranger.get("k")).rejects.toThrow("WRONGPASS")
  const response = await fetch(server.url, {
    method: "POST",
    headers: { authorization: "Bearer secret", "upstash-encoding": "base64" },
    body: '["ECHO","é"]',
  })
  expect(await response.json()).toEqual({ result: "w6k=" })
  expect(response.headers.get("upstash-sync-token")).toMatch(/^\d+$/)
})

test("data survives a restart, each kind with its expiry", async () => {
  await redis.set("text", "é", { ex: 10 })
  await redis.hset("h", { a: 1 })
  await redis.rpush("l", "x", "y")
  await redis.sadd("s", "m")
  await redis.eval("return redis.call('zadd', KEYS[1], '+inf', 'm')", ["z"], [])
  await redis.xadd("x", "*", { n: 1 })
  await server.stop()
  await start()
  nowMs += 4_000
  expect([await redis.get("text"), await redis.ttl("text")]).toEqual(["é", 6])
  expect([await redis.hgetall("h"), await redis.lrange("l", 0, -1)]).toEqual([{ a: 1 }, ["x", "y"]])
  expect([await redis.smembers("s"), await redis.zcount("z", "(5", "+inf")]).toEqual([["m"], 1])
  expect(await redis.xrange("x", "-", "+")).toEqual({ [`${START_MS}-0`]: { n: 1 } })
})

test("writes are on disk a second later, without a stop", async () => {
  await redis.set("k", "v")
  const onDisk = () => readFile(join(dir, "redis.json"), "utf8").catch(() => "")
  await expect.poll(onDisk, { timeout: 3_000 }).toContain('"key":"k"')
})

test("down, error and hang have no effect; the client gets a reset, a server error, no answer", async () => {
  faults.set("redis", "down")
  await expect(redis.incr("n")).rejects.toThrow("fetch failed")
  faults.set("redis", "error")
  await expect(redis.incr("n")).rejects.toThrow()
  faults.set("redis", "hang")
  const hanging = redis.incr("n").then(
    () => "answer",
    () => "cut off",
  )
  expect(await Promise.race([hanging, new Promise((done) => setTimeout(done, 150, "silence"))])).toBe("silence")
  faults.set("redis", "off")
  expect(await hanging).toBe("cut off")
  expect(await redis.get("n")).toBeNull()
})

test("drop has the effect and drops the answer; slow answers late", async () => {
  faults.set("redis", "drop")
  await expect(redis.incr("n")).rejects.toThrow("fetch failed")
  faults.set("redis", "slow")
  const startedAt = performance.now()
  expect(await redis.get("n")).toBe(1)
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(SLOW_MS - 5)
})
