/**
 * `npm run openapi`: writes the description of the API (workers/reference/openapi.json) from the schemas of its routes. They
 * are bundled first, because Node loads no JSX.
 */
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
const BUNDLE = `${ROOT}.local/openapi.mjs`

await build({
  stdin: {
    contents: 'export { app } from "./workers/app.ts"; export { describeApi } from "./workers/reference/describe.ts"',
    resolveDir: ROOT,
  },
  bundle: true,
  format: "esm",
  platform: "node",
  packages: "external",
  outfile: BUNDLE,
  logLevel: "error",
})
const { app, describeApi } = await import(BUNDLE)
writeFileSync(`${ROOT}workers/reference/openapi.json`, `${JSON.stringify(describeApi(app), null, 1)}\n`)
process.stdout.write("Wrote workers/reference/openapi.json.\n")
