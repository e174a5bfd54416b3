/**
 * `npm run openapi`: writes the description of the API (workers/reference/openapi.json) from the schemas of its routes.
 */
import { writeFileSync } from "node:fs"
import { app } from "../workers/app.ts"
import { describeApi } from "../workers/reference/describe.ts"

writeFileSync(
  new URL("../workers/reference/openapi.json", import.meta.url),
  `${JSON.stringify(describeApi(app), null, 1)}\n`,
)
process.stdout.write("Wrote workers/reference/openapi.json.\n")
