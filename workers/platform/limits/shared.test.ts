import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { createFaults } from "../../../local/faults.ts"
import { startRedis } from "../../../local/redis/server.ts"
import { parseKeyRing } from "../../../shared/crypto/key-ring.ts"
import type { Limit } from "../../../shared/network/rate-limit.ts"
import { makeRedis } from "../redis.ts"
import { sharedLimiter } from "./shared.ts"

const TOKEN = "redis-token"
const LIMIT: Limit = { name: "test", max: 5, windowMs: 3_600_000 }
const ring = parseKeyRing(`v1:${Buffer.alloc(32, 3).toString("base64")}`)
if (!ring.ok) throw new Error("the ring is well-formed")
const keys = ring.value

/** The clock of each test is later, so that a failure in one does not stop the next from calling Redis. */
let platformMs = Date.now()
beforeEach(() => {
  platformMs += 3_600_000
})

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

const limiterAt = (url: string) =>
  sharedLimiter({ redis: () => makeRedis({ url, token: TOKEN }), keys, platformNow: () => platformMs })

async function realRedis() {
  let requests = 0
  const count = () => {
    requests += 1
  }
  const redis = await startRedis({ token: TOKEN, faults: createFaults(), onRequest: count })
  stops.push(redis.stop)
  const client = makeRedis({ url: redis.url, token: TOKEN })
  return { url: redis.url, client, requests: () => requests }
}

/** A Redis that answers everything with `answer`, and the number of requests that reached it. */
async function redisThat(answer: RequestListener) {
  let requests = 0
  const server = createServer((req, res) => {
    requests += 1
    answer(req, res)
  })
  stops.push(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo // a TCP server that listens has no other kind
  return { url: `http://127.0.0.1:${port}`, requests: () => requests }
}

describe("with Redis", () => {
  test("isolates count together, and a key over its limit costs no further round trip", async () => {
    const { url, requests } = await realRedis()
    const [one, other] = [limiterAt(url), limiterAt(url)]
    expect(await one(LIMIT, "together", 3)).toMatchObject({ isOver: false, remaining: 2 })
    expect(await other(LIMIT, "together", 2)).toMatchObject({ isOver: false, remaining: 0 })
    expect(await one(LIMIT, "together", 1)).toMatchObject({ isOver: true, remaining: 0 })
    const before = requests()
    for (let index = 0; index < 100; index++) expect((await one(LIMIT, "together", 1))?.isOver).toBe(true)
    expect(requests()).toBe(before)
    expect(await one(LIMIT, "another", 1)).toMatchObject({ isOver: false, remaining: 4 })
  })

  test("a count that exceeds the limit is added and reported as over", async () => {
    const { url } = await realRedis()
    expect(await limiterAt(url)(LIMIT, "share", 60)).toMatchObject({ isOver: true, remaining: 0 })
  })

  test("keys in Redis identify nobody, and all of them expire", async () => {
    const { url, client } = await realRedis()
    await limiterAt(url)(LIMIT, "203.0.113.7", 1)
    const names = await client.keys("*")
    expect(names).toHaveLength(1)
    expect(names[0]).toMatch(/^rate:test:[A-Za-z0-9_-]{16}:\d+$/)
    expect(names[0]).not.toContain("203")
    expect(await client.pttl(names[0] ?? "")).toBeGreaterThan(0)
  })
})

describe("a Redis that does not answer with a count", () => {
  test.each<[string, RequestListener]>([
    ["hangs", () => {}],
    ["answers 500", (_, res) => res.writeHead(500).end("oops")],
    ["answers 429", (_, res) => res.writeHead(429).end('{"error":"ERR max requests limit exceeded"}')],
    ["answers with a page", (_, res) => res.setHeader("content-type", "text/html").end("<html>Sign in</html>")],
    ["answers with something else", (_, res) => res.end('[{"result":"T0s="}]')],
    ["answers with nothing", (_, res) => res.end('[{"result":null}]')],
    ["answers with half of it", (_, res) => res.end('[{"resu')],
    ["hangs up", (req) => req.socket.destroy()],
  ])("that %s is null within 300 ms, and is not called for two seconds", async (_, answer) => {
    const redis = await redisThat(answer)
    const limiter = limiterAt(redis.url)
    const startedAt = performance.now()
    expect(await limiter(LIMIT, "key", 1)).toBeNull()
    expect(performance.now() - startedAt).toBeLessThan(5_000) // without a time limit of its own it would hang
    const requestsBefore = redis.requests()
    for (let index = 0; index < 50; index++) expect(await limiter(LIMIT, "key", 1)).toBeNull()
    expect(redis.requests()).toBe(requestsBefore)
    platformMs += 2_000
    await limiter(LIMIT, "key", 1)
    await expect.poll(() => redis.requests()).toBeGreaterThan(requestsBefore) // a call may time out before it is sent
  })

  test("that is down is null, and counts once it is back", async () => {
    expect(await limiterAt("http://127.0.0.1:1")(LIMIT, "back", 1)).toBeNull()
    const { url } = await realRedis()
    platformMs += 2_000
    expect(await limiterAt(url)(LIMIT, "back", 1)).toMatchObject({ isOver: false, remaining: 4 })
  })
})
