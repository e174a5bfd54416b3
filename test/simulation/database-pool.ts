/** Where runs are played: a Postgres with the schema in it, and one database for each process that plays. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pg from "pg"
import { prepareDatabase } from "../../local/database.ts"
import { startPostgres } from "../../local/postgres/server.ts"
import { PREPARE_PAUSES } from "./interleavings/instrument.ts"
import { PREPARE } from "./world/database.ts"

export interface DatabasePool {
  /** A connection string for the database of each player. */
  readonly urls: readonly string[]
  /** One more for each, for interleavings: its functions can be stopped, and what is written there stays. */
  readonly arenaUrls: readonly string[]
  stop(): Promise<void>
}

/** Starts Postgres and makes so many databases. Rejects with what Postgres says. */
export async function openDatabasePool(players: number): Promise<DatabasePool> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-simulation-"))
  const postgres = await startPostgres({ dataDir: join(dataDir, "postgres") })
  const stop = async (): Promise<void> => {
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  try {
    await prepareDatabase(postgres.adminUrl, "unused")
    await asAdmin(postgres.adminUrl, PREPARE)
    const names = Array.from({ length: players }, (_, place) => `player_${place}`)
    const arenas = names.map((name) => `${name}_arena`)
    await asAdmin(
      postgres.url("postgres", "postgres"),
      [...names, ...arenas].map((name) => `CREATE DATABASE ${name} TEMPLATE churn_saver`),
    )
    const [urls = [], arenaUrls = []] = [names, arenas].map((all) => all.map((name) => postgres.url("postgres", name)))
    for (const url of arenaUrls) await asAdmin(url, PREPARE_PAUSES)
    return { urls, arenaUrls, stop }
  } catch (cause) {
    await stop()
    throw cause
  }
}

async function asAdmin(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
