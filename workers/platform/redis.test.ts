import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, expect, test } from "vitest"
import { readFlagsInRedis, restoreRedisFlags } from "../../shared/flags/flag-store.ts"
import { NotSent } from "../../shared/network/outbound-fetch.ts"
import { makeRedis } from "./redis.ts"

const servers: ReturnType<typeof createServer>[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A client of a server that answers everything with `answer`. */
async function redisThat(answer: RequestListener) {
  const server = createServer(answer)
  servers.push(server)
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo // a TCP server that listens has no other kind
  return makeRedis({ url: `http://127.0.0.1:${port}`, token: "redis-token" })
}

const base64 = (text: string): string => Buffer.from(text).toString("base64")

test("values are returned as text", async () => {
  const values = ["false", "1", "null", "12345678901234567890", '{"a":1}', null]
  const redis = await redisThat((_, res) =>
    res.end(JSON.stringify([{ result: values.map((value) => value && base64(value)) }])),
  )
  expect(await redis.mget("a", "b", "c", "d", "e", "f")).toEqual(values)
})

const FLAG = {
  value: { enabled: false, percentage: 12.5, allow: ["a"], deny: [] },
  revision: 1_800_000_000_000,
  changeId: "00000000-0000-4000-8000-000000000001",
  updatedAt: "2026-11-21T12:00:00.000Z",
  updatedBy: "admin",
  reason: null,
}

test("flags are read with the real client", async () => {
  const redis = await redisThat((_, res) =>
    res.end(JSON.stringify([{ result: [base64("1"), null, base64(JSON.stringify(FLAG)), ...Array(8).fill(null)] }])),
  )
  expect(await readFlagsInRedis(redis)).toEqual({ set: { SCHEDULER_ENABLED: FLAG }, isComplete: true })
})

test("flags are written with the real client, as the JSON that is read later", async () => {
  const sent: unknown[] = []
  const redis = await redisThat(async (req, res) => {
    sent.push(JSON.parse(Buffer.concat(await req.toArray()).toString()))
    res.end(JSON.stringify([{ result: 1 }]))
  })
  await restoreRedisFlags(redis, { SCHEDULER_ENABLED: FLAG })
  const keys = ["flags:filled", "flag:SCHEDULER_ENABLED"]
  expect(sent).toEqual([[["eval", expect.stringContaining("cjson"), 2, ...keys, "1", JSON.stringify(FLAG)]]])
})

test("a Redis that hangs is an error within a quarter of a second, and never a value", async () => {
  const redis = await redisThat(() => {})
  const startedAt = performance.now()
  await expect(redis.get("flag:ROLLBACK_MODE")).rejects.toThrow()
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})

test("a Redis that is down is an error soon", async () => {
  const redis = makeRedis({ url: "http://127.0.0.1:1", token: "redis-token" })
  const startedAt = performance.now()
  await expect(redis.get("x")).rejects.toThrow()
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})

test("every request and retry is counted before it is made, and none is made when counting throws", async () => {
  let spent = 0
  const away = makeRedis({ url: "http://127.0.0.1:1", token: "redis-token" }, () => {
    spent += 1
  })
  await expect(away.get("x")).rejects.toThrow()
  expect(spent).toBe(2)

  const spentOut = makeRedis({ url: "http://127.0.0.1:1", token: "redis-token" }, () => {
    throw new NotSent("budget_spent", null)
  })
  await expect(spentOut.get("x")).rejects.toMatchObject({ reason: "budget_spent" })
})
