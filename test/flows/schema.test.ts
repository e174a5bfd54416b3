/** The tables as the code sees them are the tables as they are: the migrations are written by hand, so a test holds the two together. */
import { is } from "drizzle-orm"
import { getTableConfig, PgTable } from "drizzle-orm/pg-core"
import { expect, test } from "vitest"
import * as schema from "../../db/schema.ts"
import { sql } from "../support/world.ts"

const tables = Object.values(schema)
  .filter((value) => is(value, PgTable))
  .map(getTableConfig)

/** How Postgres writes the types that drizzle names in other words. */
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

test("columns with a default in one place have it in the other", async () => {
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
