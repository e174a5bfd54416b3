/** One Postgres with the schema for all tests of queries and functions; each test's writes are rolled back. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pg from "pg"
import type { TestProject } from "vitest/node"
import { prepareDatabase } from "../../local/database.ts"
import { startPostgres } from "../../local/postgres/server.ts"
import { TEST_COMPANY } from "./database.ts"

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-db-"))
  const postgres = await startPostgres({ dataDir: join(dataDir, "postgres") })
  await prepareDatabase(postgres.adminUrl, TEST_COMPANY)
  await removeCompany(postgres.adminUrl)
  project.provide("databaseUrl", postgres.adminUrl)
  return async () => {
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** Each test adds the companies that it needs. */
async function removeCompany(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  await client.query("TRUNCATE companies CASCADE")
  await client.end()
}
