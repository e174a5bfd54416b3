/** What the Worker's role may do in Postgres: checks of the catalogue, and attacks that once worked. */
import pg from "pg"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { reset, sql, world } from "../../support/world/world.ts"

const WORKER = "churn_worker"

beforeAll(reset)

test("SECURITY DEFINER functions do not search a schema of their caller first", async () => {
  const functions = await sql<{ name: string; config: string[] | null }>(
    "select p.proname as name, p.proconfig as config from pg_proc p where p.prosecdef and p.pronamespace = 'public'::regnamespace",
  )
  expect(functions.length).toBeGreaterThan(10)
  for (const { name, config } of functions) {
    expect([name, config?.find((entry) => entry.startsWith("search_path="))]).toEqual([
      name,
      "search_path=pg_catalog, public, pg_temp",
    ])
  }
})

test("only the owner may create temporary objects in the database", async () => {
  const [row] = await sql<{ worker: boolean }>(
    "select has_database_privilege($1, current_database(), 'TEMPORARY') as worker",
    [WORKER],
  )
  expect(row?.worker).toBe(false)
})

test("the Worker's sessions have time limits", async () => {
  const url = new URL(world().postgresUrl)
  url.username = WORKER
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  try {
    const { rows } = await client.query(
      `select name, setting::int as ms, source from pg_settings where name in
       ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') order by name`,
    )
    expect(rows).toEqual([
      { name: "idle_in_transaction_session_timeout", ms: 10_000, source: "user" },
      { name: "lock_timeout", ms: 5_000, source: "user" },
      { name: "statement_timeout", ms: 30_000, source: "user" },
    ])
  } finally {
    await client.end()
  }
})

test("every table has row-level security that binds its owner as well", async () => {
  const open = await sql<{ name: string }>(
    `select c.relname as name from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
       and not (c.relrowsecurity and c.relforcerowsecurity)`,
  )
  expect(open).toEqual([])
})

test("the Worker's role owns nothing, creates nothing, and may execute no function by default", async () => {
  const owned = await sql("select 1 from pg_class c join pg_roles r on r.oid = c.relowner where r.rolname = $1", [
    WORKER,
  ])
  expect(owned).toEqual([])
  const [may] = await sql<{ create: boolean }>("select has_schema_privilege($1, 'public', 'CREATE') as create", [
    WORKER,
  ])
  expect(may?.create).toBe(false)
  const toAll = await sql<{ name: string }>(
    `select p.proname as name from pg_proc p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     where p.pronamespace = 'public'::regnamespace and a.grantee = 0 and a.privilege_type = 'EXECUTE'`,
  )
  expect(toAll).toEqual([])
})

test.each(["flags", "flag_changes", "job_runs", "job_states", "rescore_passes"])(
  "%s is reached outside of every company only",
  async (table) => {
    const policies = await sql<{ using: string; check: string }>(
      "select qual as using, with_check as check from pg_policies where tablename = $1 and 'churn_worker' = any (roles)",
      [table],
    )
    const outside = "(COALESCE(app_company(), ''::text) = ''::text)"
    expect(policies).toEqual([{ using: outside, check: outside }])
  },
)

test.each(["api_keys", "company_accounts", "companies"])("the Worker's role only reads %s", async (table) => {
  const rights = await sql<{ privilege: string }>(
    `select a.privilege_type as privilege from pg_class c cross join lateral aclexplode(c.relacl) a
     join pg_roles g on g.oid = a.grantee where c.oid = $1::regclass and g.rolname = $2`,
    [`public.${table}`, WORKER],
  )
  expect(rights.map(({ privilege }) => privilege)).toEqual(["SELECT"])
})

describe("as the Worker's role", () => {
  const client = new pg.Client({ connectionString: world().postgresUrl })
  beforeAll(async () => {
    await client.connect()
    // Rights as if granted by mistake: the functions must be safe by themselves.
    await client.query("begin")
    await client.query(
      "do $$ begin execute format('grant temporary on database %I to churn_worker', current_database()); end $$",
    )
    await client.query(
      `insert into flags (name, value, revision, change_id, updated_at, updated_by)
       values ('ROLLBACK_MODE', '{}', 1, gen_random_uuid(), now(), 'x')`,
    )
    await client.query("set role churn_worker")
  })
  beforeEach(() => client.query("savepoint attack"))
  afterEach(() => client.query("rollback to savepoint attack"))
  afterAll(() => client.end())

  test("a temporary domain in place of a type runs nothing as the owner of the tables", async () => {
    await client.query(`create function pg_temp.note(date) returns boolean language plpgsql as
      $$ begin raise exception 'ran as %', current_user using errcode = 'XX999'; end $$`)
    await client.query("create domain pg_temp.date as pg_catalog.date check (pg_temp.note(value::pg_catalog.date))")
    await client.query("select public.ensure_partitions(now(), 1)")
  })

  test("a temporary view in place of a table is not read for keys", async () => {
    await client.query(
      "create temporary view api_keys as select 'stolen'::text as company_id, 'k'::text as id, 'admin'::text as role, ''::bytea as hash, null::timestamptz as revoked_at",
    )
    expect((await client.query("select * from public.find_api_key(''::bytea)")).rows).toEqual([])
  })

  test("a switch is not visible within a company", async () => {
    const count = async () => (await client.query("select count(*)::int as seen from public.flags")).rows
    expect(await count()).toEqual([{ seen: 1 }])
    await client.query("select set_config('app.company_id', 'flows_company', true)")
    expect(await count()).toEqual([{ seen: 0 }])
  })

  test("a switch cannot be changed within a company", async () => {
    await client.query("select set_config('app.company_id', 'flows_company', true)")
    const write = client.query(
      "insert into flags (name, value, revision, change_id, updated_at, updated_by) values ('SCHEDULER_ENABLED', '{}', 1, gen_random_uuid(), now(), 'x')",
    )
    await expect(write).rejects.toThrow(/row-level security/)
  })

  test.each([
    ["model_offsets", "sha256, log_odds, made_at, stored_at, stored_by", "repeat('a', 64), 1, now(), now(), 'x'"],
    ["brand_decisions", "id, name, is_approved, who, why, at", "gen_random_uuid(), 'Megabank', true, 'x', 'x', now()"],
  ])("%s of one company are not seen or written from inside another", async (table, columns, values) => {
    const enter = (company: string) => client.query("select set_config('app.company_id', $1, true)", [company])
    const write = (company: string) =>
      client.query(`insert into public.${table} (company_id, ${columns}) values ('${company}', ${values})`)
    const seen = async () => (await client.query(`select count(*)::int as seen from public.${table}`)).rows
    await enter("flows_company")
    await write("flows_company")
    expect(await seen()).toEqual([{ seen: 1 }])
    await enter("other")
    expect(await seen()).toEqual([{ seen: 0 }])
    await expect(write("flows_company")).rejects.toThrow(/row-level security/)
  })
})
