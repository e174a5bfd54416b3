import { mkdirSync, mkdtempSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "@upstash/qstash"
import { Redis } from "@upstash/redis"
import pg from "pg"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startWorker } from "./processes/worker.ts"
import { startWorld, type World } from "./world.ts"

/** A Worker that records each delivery with the control server's time. */
const WORKER = `
const deliveries = []
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url)
    if (pathname === "/vars") return Response.json({ environment: env.ENVIRONMENT, clock: env.CLOCK_URL })
    if (pathname === "/deliveries") return Response.json(deliveries)
    if (pathname.startsWith("/api/")) return Response.json({ pending: 0, nextDueAt: null })
    const { now } = await (await fetch(env.CLOCK_URL)).json()
    deliveries.push({ pathname, now })
    return new Response("ok")
  },
}`

const dir = mkdtempSync(join(tmpdir(), "world-"))
const dataDir = join(dir, "data")
let world: World

beforeAll(async () => {
  mkdirSync(join(dir, "worker"))
  writeFileSync(join(dir, "worker", "index.js"), WORKER)
  writeFileSync(
    join(dir, "worker", "wrangler.toml"),
    'name = "world-test"\nmain = "index.js"\ncompatibility_date = "2026-08-04"\n[vars]\nENVIRONMENT = "production"\n',
  )
  writeFileSync(join(dir, "worker", ".dev.vars"), "ENVIRONMENT=staging\n")
  world = await start()
}, 60_000)

afterAll(() => world.stop())

async function start(options: { readonly fresh?: boolean } = {}): Promise<World> {
  return startWorld({
    ...options,
    dataDir,
    controlPort: 0,
    migrate: (url) =>
      query(
        url,
        "create table if not exists notes (id int); do $$ begin create role churn_worker login; exception when duplicate_object then null; end $$",
      ),
    emptyDatabase: (url) => query(url, "truncate notes"),
    startWorker: (vars, { port }) =>
      startWorker(vars, { port, stateDir: join(dataDir, "worker"), config: join(dir, "worker", "wrangler.toml") }),
  })
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

test.each([
  ["its file is missing", "none.js", null],
  ["it imports what is not there", "lost.js", 'import "./nowhere.js"\nexport default { fetch: () => new Response() }'],
])("a Worker does not start, and says so, when %s", async (_case, main, code) => {
  if (code !== null) writeFileSync(join(dir, "worker", main), code)
  const config = join(dir, "worker", "broken.toml")
  writeFileSync(config, `name = "broken"\nmain = "${main}"\ncompatibility_date = "2026-08-04"\n`)
  const starting = startWorker({}, { port: 0, stateDir: join(dataDir, "worker"), config, logLevel: "none" })
  await expect(starting).rejects.toThrow(/none\.js|nowhere\.js/)
})

test.each([true, false])(
  "a second world on the same data directory is refused (fresh: %s), and the first goes on",
  async (fresh) => {
    await expect(start({ fresh })).rejects.toThrow(`process ${process.pid}`)
    await query(world.postgres().adminUrl, "select count(*) from notes")
    expect(statSync(join(dataDir, "secrets.json")).isFile()).toBe(true)
  },
)

const json = async (url: string, init?: RequestInit) => (await fetch(url, init)).json()
const qstash = () =>
  new Client({
    baseUrl: world.vars.QSTASH_URL ?? "",
    token: world.vars.QSTASH_TOKEN ?? "",
    devMode: false,
    enableTelemetry: false,
  })
const redis = () =>
  new Redis({
    url: world.vars.UPSTASH_REDIS_REST_URL ?? "",
    token: world.vars.UPSTASH_REDIS_REST_TOKEN ?? "",
    enableTelemetry: false,
  })
const control = (path: string, body: object) =>
  json(world.controlUrl + path, { method: "POST", body: JSON.stringify(body) })

test("the Worker gets the world's variables, which override those of its files", async () => {
  expect(await json(`${world.workerUrl}/vars`)).toEqual({ environment: "local", clock: `${world.controlUrl}/clock` })
})

test("secrets can be read only by their owner", () => {
  expect(statSync(join(dataDir, "secrets.json")).mode & 0o777).toBe(0o600)
})

test("the Worker and QStash have the same time", async () => {
  await qstash().publish({ url: `${world.workerUrl}/late`, delay: 3_600 })
  const { now } = await control("/clock", { advance: "PT2H" })
  const deliveries: { pathname: string; now: string }[] = await json(`${world.workerUrl}/deliveries`)
  const late = deliveries.find(({ pathname }) => pathname === "/late")
  const earlierMs = new Date(now).getTime() - new Date(late?.now ?? 0).getTime()
  expect(Math.round(earlierMs / 60_000)).toBe(60)
})

test("a restart keeps time, keys and messages; a reset clears them", async () => {
  const { offset, vars } = { offset: world.clock.offsetMs(), vars: world.vars }
  await redis().set("kept", "yes")
  await qstash().publish({ url: `${world.workerUrl}/never`, delay: 3_600 })
  await world.stop()
  world = await start()
  expect(world.clock.offsetMs()).toBe(offset)
  expect(world.vars.QSTASH_TOKEN).toBe(vars.QSTASH_TOKEN)
  expect(await redis().get("kept")).toBe("yes")
  expect(world.qstash.nextDueAt()).not.toBeNull()

  await control("/faults", { target: "redis", mode: "down" })
  await control("/reset", {})
  expect(await redis().get("kept")).toBeNull()
  expect(world.qstash.nextDueAt()).toBeNull()
  expect(world.clock.offsetMs()).toBe(0)
}, 60_000)
