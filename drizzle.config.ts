/** For drizzle-kit (`npm run db:generate`): where the schema is and where its migrations go. It never connects to a database. */
import { defineConfig } from "drizzle-kit"

export default defineConfig({
  dialect: "postgresql",
  schema: "./db/schema.ts",
  out: "./db/migrations",
})
