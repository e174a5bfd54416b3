/**
 * `npm run openapi`: writes the description of the API from the schemas of its routes. They are bundled first, because Node loads
 * no JSX. It is written twice: as JSON for people, and deflated for the Worker, because every byte of the Worker is read at every
 * start of an isolate.
 */
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { deflateRawSync } from "node:zlib"
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
const { paths, components, ...about } = JSON.parse(JSON.stringify(describeApi(app)))

/** One line for each member, so that changes can be read. */
const lines = (members: object): string =>
  `{\n${Object.entries(members)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join(",\n")}\n}`

const { schemas, ...others } = components
const text = `${JSON.stringify(about).slice(0, -1)},
"paths":${lines(paths)},
"components":${JSON.stringify(others).slice(0, -1)}${Object.keys(others).length > 0 ? "," : ""}"schemas":${lines(schemas)}}}
`
const deflated = deflateRawSync(text, { level: 9 }).toString("base64url")
const DIR = `${ROOT}workers/reference`
writeFileSync(`${DIR}/openapi.json`, text)
writeFileSync(
  `${DIR}/openapi.ts`,
  `/** Written by \`npm run openapi\`: openapi.json, deflated and in base64url. */\nexport const OPENAPI_DEFLATED =\n  "${deflated}"\n`,
)
process.stdout.write("Wrote workers/reference/openapi.json and openapi.ts.\n")
