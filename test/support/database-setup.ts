/** One Postgres with the schema for all tests of queries and functions; each test's writes are rolled back. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { prepareDatabase } from "../../local/database.ts"
import { startPostgres } from "../../local/postgres/server.ts"
import { TEST_COMPANY } from "./database.ts"

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = mkdtempSync(join(tmpdir(), "churn-saver-db-"))
  const postgres = await startPostgres({ dataDir: join(dataDir, "postgres") })
  await prepareDatabase(postgres.adminUrl, TEST_COMPANY)
  project.provide("databaseUrl", postgres.adminUrl)
  return async () => {
    await postgres.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}
