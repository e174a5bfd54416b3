/**
 * Rows as the previous version wrote them (migrations up to 0016; recorded from a scenario), brought to today's tables by
 * the later migrations.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { drizzle } from "drizzle-orm/node-postgres"
import { migrate as runMigrations } from "drizzle-orm/node-postgres/migrator"
import pg from "pg"
import { migrate } from "../../../db/migrate.ts"
import { ROOT } from "../../steps.ts"
import { advanceClock, sql, world, worldNow } from "../world/world.ts"

const LAST_MIGRATION = 16

type Row = Readonly<Record<string, unknown>>
type Query = (text: string, values?: readonly unknown[]) => Promise<{ readonly rows: readonly Row[] }>

const recorded = (): { readonly now: string; readonly tables: Readonly<Record<string, readonly Row[]>> } =>
  JSON.parse(gunzipSync(readFileSync(join(ROOT, "test/fixtures/previous-version/rows.json.gz"))).toString())

/** The recorded rows by table; parents before children. */
export const previousRows = () => recorded().tables

/** Migrates the rows in a separate database, and copies them into the world's. */
export async function migratePreviousRows(): Promise<void> {
  const aheadMs = Date.parse(recorded().now) - (await worldNow()).getTime()
  if (aheadMs > 0) await advanceClock(`PT${Math.ceil(aheadMs / 1000) + 60}S`)
  const name = `previous_${Date.now()}`
  const url = new URL(world().postgresUrl)
  url.pathname = `/${name}`
  await sql(`create database ${name}`)
  const folder = mkdtempSync(join(tmpdir(), "churn-saver-migrations-"))
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  try {
    cpSync(join(ROOT, "db/migrations"), folder, { recursive: true })
    const journal = join(folder, "meta/_journal.json")
    const { entries, ...rest } = JSON.parse(readFileSync(journal, "utf8"))
    const before = entries.filter(({ idx }: { idx: number }) => idx <= LAST_MIGRATION)
    writeFileSync(journal, JSON.stringify({ ...rest, entries: before }))
    await runMigrations(drizzle(client), { migrationsFolder: folder })

    const tables = previousRows()
    const query: Query = (text, values = []) => client.query(text, [...values])
    for (const [table, rows] of Object.entries(tables)) await insert(query, table, rows)
    await migrate(url.href)
    for (const table of Object.keys(tables)) {
      const { rows } = await query(`select to_jsonb(t) as row from ${table} t`)
      await insert(
        async (text, values) => ({ rows: await sql(text, values) }),
        table,
        rows.map(({ row }) => row as Row),
      )
    }
  } finally {
    await client.end()
    rmSync(folder, { recursive: true, force: true })
    await sql(`drop database ${name}`)
  }
}

async function insert(query: Query, table: string, rows: readonly Row[]): Promise<void> {
  const [first] = rows
  if (first === undefined) return
  const columns = Object.keys(first).join(", ")
  await query(
    `insert into ${table} (${columns}) select ${columns} from jsonb_populate_recordset(null::${table}, $1::jsonb)
     on conflict do nothing`,
    [JSON.stringify(rows)],
  )
}
