/** The Postgres of the simulator, with one database for each schedule worker. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pg from "pg"
import { prepareDatabase } from "../../../local/database.ts"
import { startPostgres } from "../../../local/postgres/server.ts"
import { PREPARE_PAUSES } from "../interleavings/instrument.ts"
import { PREPARE } from "../world/database.ts"

export interface DatabasePool {
  /** A connection string for the database of each schedule worker. */
  readonly urls: readonly string[]
  /** A second database for each, for interleavings: its functions can be paused, and its writes are committed. */
  readonly interleavingUrls: readonly string[]
  stop(): Promise<void>
}

/** Starts Postgres and creates the databases. Rejects with Postgres' error. */
export async function openDatabasePool(workers: number): Promise<DatabasePool> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-simulation-"))
  const postgres = await startPostgres({ dataDir: join(dataDir, "postgres") })
  const stop = async (): Promise<void> => {
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
  try {
    await prepareDatabase(postgres.adminUrl, "unused")
    await asAdmin(postgres.adminUrl, PREPARE)
    const names = Array.from({ length: workers }, (_, place) => `worker_${place}`)
    const interleavingNames = names.map((name) => `${name}_arena`)
    await asAdmin(
      postgres.url("postgres", "postgres"),
      [...names, ...interleavingNames].map((name) => `CREATE DATABASE ${name} TEMPLATE churn_saver`),
    )
    const [urls = [], interleavingUrls = []] = [names, interleavingNames].map((all) =>
      all.map((name) => postgres.url("postgres", name)),
    )
    for (const url of interleavingUrls) await asAdmin(url, PREPARE_PAUSES)
    return { urls, interleavingUrls, stop }
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
