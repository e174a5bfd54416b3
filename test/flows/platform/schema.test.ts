/** The tables in the code match those in the database, because migrations are written manually. */
import { is } from "drizzle-orm"
import { getTableConfig, PgTable } from "drizzle-orm/pg-core"
import pg from "pg"
import { expect, test } from "vitest"
import { currentFunctions } from "../../../db/functions.ts"
import * as schema from "../../../db/schema.ts"
import { sql, world } from "../../support/world/world.ts"

const tables = Object.values(schema)
  .filter((value) => is(value, PgTable))
  .map(getTableConfig)

/** Postgres' names of types that drizzle names differently. */
const SPELT: Readonly<Record<string, string>> = { "timestamp (3) with time zone": "timestamp with time zone" }

test.each(tables.map((table) => [table.name, table] as const))(
  "%s has the same columns, types and nulls",
  async (name, table) => {
    const actual = await sql<{ name: string; type: string; required: boolean }>(
      `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required
     from pg_attribute a where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by 1`,
      [`public.${name}`],
    )
    const expected = table.columns
      .map((column) => ({
        name: column.name,
        type: SPELT[column.getSQLType()] ?? column.getSQLType(),
        required: column.notNull,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    expect(expected).toEqual([...actual].sort((a, b) => (a.name < b.name ? -1 : 1)))
  },
)

test.each(tables.map((table) => [table.name, table] as const))("%s has the same primary key", async (name, table) => {
  const actual = await sql<{ name: string }>(
    `select a.attname as name from pg_index i
     join unnest(i.indkey) with ordinality as k (attnum, place) on true
     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
     where i.indrelid = $1::regclass and i.indisprimary order by k.place`,
    [`public.${name}`],
  )
  const composite = table.primaryKeys.flatMap((key) => key.columns.map((column) => column.name))
  const single = table.columns.filter((column) => column.primary).map((column) => column.name)
  expect([...composite, ...single]).toEqual(actual.map((column) => column.name))
})

test("columns have a default in both or in neither", async () => {
  for (const table of tables) {
    const actual = await sql<{ name: string }>(
      `select a.attname as name from pg_attribute a
       where a.attrelid = $1::regclass and a.attnum > 0 and a.atthasdef and not a.attisdropped order by 1`,
      [`public.${table.name}`],
    )
    const expected = table.columns.filter((column) => column.hasDefault).map((column) => column.name)
    expect([table.name, expected.sort()]).toEqual([table.name, actual.map(({ name }) => name).sort()])
  }
})

test("the functions match db/functions, with owner and callers", async () => {
  const client = new pg.Client({ connectionString: world().postgresUrl })
  await client.connect()
  try {
    await client.query("begin")
    for (const { signature, statement, owner, callers } of currentFunctions().values()) {
      const look = async () =>
        (
          await client.query(
            `select pg_get_functiondef(p.oid) as body, r.rolname as owner,
               (select coalesce(string_agg(g.rolname, ', ' order by g.rolname desc), '')
                 from aclexplode(p.proacl) a join pg_roles g on g.oid = a.grantee
                 where a.privilege_type = 'EXECUTE' and g.rolname like 'churn\\_%' and g.oid <> p.proowner) as callers
             from pg_proc p join pg_roles r on r.oid = p.proowner where p.oid = $1::regprocedure`,
            [signature],
          )
        ).rows[0]
      const present = await look()
      await client.query(statement)
      expect([signature, present.body]).toEqual([signature, (await look()).body])
      if (owner !== null) expect([signature, present.owner]).toEqual([signature, owner])
      const others = callers.split(", ").filter((role) => role !== owner)
      expect([signature, present.callers]).toEqual([signature, others.join(", ")])
    }
  } finally {
    await client.end()
  }
})
