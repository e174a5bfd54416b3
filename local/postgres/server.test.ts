import { execFileSync, spawn } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { neon, neonConfig } from "@neondatabase/serverless"
import { drizzle } from "drizzle-orm/neon-http"
import pg from "pg"
import { afterEach, beforeEach, expect, test } from "vitest"
import { createFaults } from "../faults.ts"
import { startNeonProxy } from "./neon-proxy.ts"
import { type Postgres, startPostgres } from "./server.ts"

let dir: string
const started: Postgres[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "churn-saver-postgres-"))
})

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()))
  await rm(dir, { recursive: true, force: true })
})

async function start(options: { port?: number; durable?: boolean } = {}): Promise<Postgres> {
  const server = await startPostgres({ dataDir: join(dir, "data"), ...options })
  started.push(server)
  return server
}

async function query(server: Postgres, text: string): Promise<unknown[]> {
  const client = new pg.Client(server.adminUrl)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test("a first start creates Postgres 18 with an empty churn_saver, on loopback only", async () => {
  const server = await start()
  expect(
    await query(
      server,
      `select current_database() as db, current_setting('server_version_num')::int / 10000 as major,
         current_setting('listen_addresses') as listens, current_setting('max_connections')::int as max`,
    ),
  ).toEqual([{ db: "churn_saver", major: 18, listens: "127.0.0.1", max: 100 }])
})

test.each([true, false])("data survives a stop and a kill, on the same port (durable: %s)", async (durable) => {
  let server = await start({ durable })
  const { port } = server
  await query(server, "create table kept as select 1 as n")
  await server.stop()
  await server.stop() // a second stop is harmless

  server = await start({ port, durable })
  await query(server, "insert into kept values (2)")
  process.kill(server.pid, "SIGKILL")
  await server.exited

  server = await start({ port, durable })
  expect(server.port).toBe(port)
  expect(await query(server, "select n from kept order by n")).toEqual([{ n: 1 }, { n: 2 }])
})

test("a lock file whose process id now belongs to another program does not stop a start", async () => {
  const server = await start()
  const lockFile = join(dir, "data", "postmaster.pid")
  const lock = await readFile(lockFile, "utf8")
  await server.stop()
  await writeFile(lockFile, lock.replace(/^\d+/, String(process.pid)))
  expect(await query(await start(), "select 1 as n")).toEqual([{ n: 1 }])
})

test("a taken port is an error that names it", async () => {
  const first = await start()
  const second = startPostgres({ dataDir: join(dir, "other"), port: first.port })
  await expect(second).rejects.toThrow(/Address already in use/)
})

test("a killed owner leaves no server running", async () => {
  const module = fileURLToPath(new URL("./server.ts", import.meta.url))
  const script = `const { startPostgres } = await import(${JSON.stringify(module)})
    const server = await startPostgres({ dataDir: ${JSON.stringify(join(dir, "data"))} })
    console.log(server.pid)
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] })
  const pid = await new Promise<number>((done) => owner.stdout.once("data", (line) => done(Number(String(line)))))
  expect(isRunning(pid)).toBe(true)
  owner.kill("SIGKILL")
  await expect.poll(() => isRunning(pid), { timeout: 5_000 }).toBe(false)
})

function isRunning(pid: number): boolean {
  try {
    return !execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).startsWith("Z")
  } catch {
    return false
  }
}

test("the proxy reconnects after Postgres was killed and restarted", async () => {
  let server = await start()
  const proxy = await startNeonProxy({ postgres: server, faults: createFaults() })
  neonConfig.fetchEndpoint = () => proxy.url
  const db = drizzle(neon("postgres://postgres@db.example.test/churn_saver"))
  try {
    await db.execute("select 1")
    process.kill(server.pid, "SIGKILL")
    await server.exited
    await expect(db.execute("select 1")).rejects.toMatchObject({
      cause: { message: expect.stringContaining("HTTP status 500") },
    })
    server = await start({ port: server.port })
    expect((await db.execute("select 1 as n")).rows).toEqual([{ n: 1 }])
  } finally {
    await proxy.stop()
  }
})
