/** Runs migrations over TCP, as the owner of the tables (never as the Worker's role). Node only. */
import { fileURLToPath } from "node:url"
import { drizzle } from "drizzle-orm/node-postgres"
import { migrate as runMigrations } from "drizzle-orm/node-postgres/migrator"
import pg from "pg"

const FOLDER = fileURLToPath(new URL("./migrations", import.meta.url))

/** Runs the pending migrations in order, in one transaction. Throws Postgres' errors. */
export async function migrate(ownerUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    await runMigrations(drizzle(client), { migrationsFolder: FOLDER })
  } finally {
    await client.end()
  }
}
