/** `npm run db:migrate`: runs the pending migrations on `DATABASE_OWNER_URL`, as the owner of the tables. */
import { migrate } from "./migrate.ts"

const url = process.env.DATABASE_OWNER_URL ?? ""
if (url === "") {
  process.stderr.write("DATABASE_OWNER_URL is missing: expected the connection string of the database's owner.\n")
  process.exit(1)
}
await migrate(url)
process.stdout.write("The database is up to date.\n")
