import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NeonDbError, neon, neonConfig } from "@neondatabase/serverless"
import { eq, sql as raw } from "drizzle-orm"
import { drizzle } from "drizzle-orm/neon-http"
import { bigint, integer, jsonb, pgTable, text, timestamp } from "drizzle-orm/pg-core"
import pg from "pg"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { createFaults } from "../faults.ts"
import { type NeonProxy, startNeonProxy } from "./neon-proxy.ts"
import { type Postgres, startPostgres } from "./server.ts"

const jobs = pgTable("jobs", {
  id: integer().primaryKey(),
  name: text().notNull().unique("jobs_name_key"),
  state: text().notNull().default("due"),
  amount: bigint({ mode: "bigint" }),
  payload: jsonb(),
  at: timestamp({ withTimezone: true }),
})

const SCHEMA = `
  create table jobs (id int primary key, name text not null constraint jobs_name_key unique,
    state text not null default 'due', amount bigint, payload jsonb, at timestamptz);
  create table notes (company text not null, body text not null);
  alter table notes enable row level security;
  create policy own on notes using (company = current_setting('app.company', true));
  insert into notes values ('a', 'of a'), ('b', 'of b');
  create role app login;
  grant select, insert, update, delete on jobs, notes to app;
`

const SLOW_MS = 200
const faults = createFaults({ slowMs: SLOW_MS })
const requests: number[] = []
let dir: string
let postgres: Postgres
let proxy: NeonProxy
let admin: pg.Client

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "churn-saver-neon-"))
  postgres = await startPostgres({ dataDir: join(dir, "data") })
  proxy = await startNeonProxy({ postgres, faults, onRequest: ({ queries }) => requests.push(queries) })
  neonConfig.fetchEndpoint = () => proxy.url
  admin = new pg.Client(postgres.adminUrl)
  admin.on("error", () => {})
  await admin.connect()
  await admin.query(SCHEMA)
}, 60_000)

afterAll(async () => {
  await admin.end()
  await proxy.stop()
  await postgres.stop()
  await rm(dir, { recursive: true })
})

beforeEach(async () => {
  faults.clear()
  await admin.query("truncate jobs")
  requests.length = 0
})

/** A URL like that of deployed code: only the proxy makes the host reachable, and the password is not checked. */
const urlAs = (user: string) => `postgres://${user}:secret@db.example.test/churn_saver?sslmode=require`
const sql = neon(urlAs("postgres"))
const db = drizzle(sql)

async function countJobs(): Promise<number> {
  const { rows } = await admin.query<{ count: number }>("select count(*)::int from jobs")
  return rows[0]?.count ?? -1
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail("should have been refused"),
    (error: unknown) => error,
  )
}

test("drizzle writes and reads Postgres types, in one round trip each", async () => {
  const job = {
    id: 1,
    name: "first",
    amount: 9_007_199_254_740_993n,
    payload: { text: "ü", list: [1, null] },
    at: new Date("2026-01-02T03:04:05.678Z"),
  }
  const inserted = await db.insert(jobs).values(job).returning()
  expect(inserted).toEqual([{ ...job, state: "due" }])
  expect(await db.insert(jobs).values(job).onConflictDoNothing().returning()).toEqual([])
  expect(await db.select().from(jobs).where(eq(jobs.id, 1))).toEqual([{ ...job, state: "due" }])
  expect(requests).toEqual([1, 1, 1])
})

test("raw queries return objects or arrays, types and affected rows", async () => {
  expect(await sql`select ${1}::int as n, null as nothing, ${true}::bool as yes, array[1,2] as list`).toEqual([
    { n: 1, nothing: null, yes: true, list: [1, 2] },
  ])
  expect(await sql.query("select $1::bytea as bytes", [Buffer.from([0, 255])])).toEqual([
    { bytes: Buffer.from([0, 255]) },
  ])
  const full = neon(urlAs("postgres"), { arrayMode: true, fullResults: true })
  expect(await full`select 1 as a, 2 as a`).toMatchObject({ command: "SELECT", rowCount: 1, rows: [[1, 2]] })
})

test("a batch is one round trip and one atomic transaction", async () => {
  await db.batch([db.insert(jobs).values({ id: 1, name: "a" }), db.insert(jobs).values({ id: 2, name: "b" })])
  expect(await countJobs()).toBe(2)
  expect(requests).toEqual([2])

  const error = await rejection(
    db.batch([db.insert(jobs).values({ id: 3, name: "c" }), db.insert(jobs).values({ id: 4, name: "a" })]),
  )
  expect(error).toMatchObject({ code: "23505", constraint: "jobs_name_key" })
  expect(await countJobs()).toBe(2)
})

test("a batch supports isolation level and read-only mode", async () => {
  const [rows] = await sql.transaction(
    [sql`select current_setting('transaction_isolation') as level, current_setting('transaction_read_only') as ro`],
    { isolationLevel: "Serializable", readOnly: true },
  )
  expect(rows).toEqual([{ level: "serializable", ro: "on" }])
  const error = await rejection(sql.transaction([sql`insert into jobs (id, name) values (1, 'x')`], { readOnly: true }))
  expect(error).toMatchObject({ code: "25006" })
})

test("an SQL error has all fields of Postgres", async () => {
  await sql`insert into jobs (id, name) values (1, 'taken')`
  const error = await rejection(sql`insert into jobs (id, name) values (2, 'taken')`)
  expect(error).toBeInstanceOf(NeonDbError)
  expect(error).toMatchObject({
    message: 'duplicate key value violates unique constraint "jobs_name_key"',
    severity: "ERROR",
    code: "23505",
    detail: "Key (name)=(taken) already exists.",
    schema: "public",
    table: "jobs",
    constraint: "jobs_name_key",
    routine: "_bt_check_unique",
  })
  expect(await rejection(sql`select nonsense`)).toMatchObject({ code: "42703", position: "8" })
})

test("several statements in one query are refused", async () => {
  expect(await rejection(sql.query("select 1; select 2"))).toMatchObject({ code: "42601" })
})

test("the connection uses the given role, so row-level security applies", async () => {
  const app = neon(urlAs("app"))
  const [, rows, user] = await app.transaction([
    app`select set_config('app.company', 'a', true)`,
    app`select body from notes`,
    app`select current_user::text as name`,
  ])
  expect(rows).toEqual([{ body: "of a" }])
  expect(user).toEqual([{ name: "app" }])
  expect(await sql`select count(*)::int as n from notes`).toEqual([{ n: 2 }])
  expect(await rejection(app`create table mine ()`)).toMatchObject({ code: "42501" })
})

test("a session setting does not affect the next request", async () => {
  const app = neon(urlAs("app"))
  await app`select set_config('app.company', 'a', false)`
  expect(await app`select body from notes`).toEqual([])
})

test("a transaction left open by one request does not block the next", async () => {
  await sql`begin`
  await sql`insert into jobs (id, name) values (1, 'a')`
  expect(await countJobs()).toBe(1)
})

test("an unknown role is a connection error, not an SQL error", async () => {
  const error = await rejection(neon(urlAs("nobody_here"))`select 1`)
  expect(error).toBeInstanceOf(NeonDbError)
  expect((error as NeonDbError).message).toContain("HTTP status 500")
  expect((error as NeonDbError).code).toBeUndefined()
})

test("two concurrent claims get different rows, without waiting", async () => {
  await sql`insert into jobs (id, name) select n, 'job ' || n from generate_series(1, 4) n`
  const claim = (pause: number) =>
    db.execute(raw`
    with taken as (select id from jobs where state = 'due' order by id limit 2 for update skip locked),
      held as (select pg_sleep(${pause}))
    update jobs set state = 'claimed' from taken, held where jobs.id = taken.id returning jobs.id`)
  const startedAt = performance.now()
  const [first, second] = await Promise.all([claim(0.4), claim(0.4)])
  expect(performance.now() - startedAt).toBeLessThan(750)
  const ids = [...first.rows, ...second.rows].map((row) => row.id)
  expect(ids.sort()).toEqual([1, 2, 3, 4])
  expect(first.rows).toHaveLength(2)
})

test("a client that disconnects does not abort its transaction", async () => {
  const signal = AbortSignal.timeout(100)
  const insert = sql.transaction([sql`select pg_sleep(0.3)`, sql`insert into jobs (id, name) values (1, 'a')`], {
    fetchOptions: { signal },
  })
  await rejection(insert)
  expect(await countJobs()).toBe(0)
  await expect.poll(countJobs, { timeout: 2_000 }).toBe(1)
})

const insertOne = () => sql`insert into jobs (id, name) values (1, 'a')`

test("down, error and hang have no effect; the client gets a reset, a server error, no answer", async () => {
  faults.set("postgres", "down")
  expect(String(await rejection(insertOne()))).toContain("Error connecting to database")
  faults.set("postgres", "error")
  expect(String(await rejection(insertOne()))).toContain("HTTP status 500")
  faults.set("postgres", "hang")
  const hanging = rejection(insertOne())
  expect(await Promise.race([hanging, new Promise((done) => setTimeout(done, 150, "silence"))])).toBe("silence")
  faults.set("postgres", "off")
  expect(String(await hanging)).toContain("Error connecting to database")
  expect(await countJobs()).toBe(0)
})

test("drop commits and drops the answer; slow commits and answers late", async () => {
  faults.set("postgres", "drop")
  expect(String(await rejection(insertOne()))).toContain("Error connecting to database")
  expect(await countJobs()).toBe(1)
  faults.set("postgres", "slow")
  const startedAt = performance.now()
  expect(await sql`delete from jobs returning id`).toEqual([{ id: 1 }])
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(SLOW_MS - 5)
})
