/**
 * `npm run openapi`: writes the description of the API (workers/reference/openapi.ts) from the schemas of its routes. They
 * are bundled first, because Node loads no JSX. It is written as text: a literal of this size would be evaluated at every start
 * of an isolate.
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
const { paths, components, ...about } = JSON.parse(JSON.stringify(describeApi(app)))

/** One line for each member, so that changes can be read. */
const lines = (members: object): string =>
  `{\n${Object.entries(members)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .join(",\n")}\n}`

const { schemas, ...others } = components
const text = `${JSON.stringify(about).slice(0, -1)},
"paths":${lines(paths)},
"components":${JSON.stringify(others).slice(0, -1)}${Object.keys(others).length > 0 ? "," : ""}"schemas":${lines(schemas)}}}`
// What ends a raw template literal, or inserts into it, is written as JSON's escapes.
const raw = text.replaceAll("`", "\\u0060").replaceAll("${", "$\\u007b")
writeFileSync(
  `${ROOT}workers/reference/openapi.ts`,
  `/** Written by \`npm run openapi\`: the description of the API (OpenAPI 3.1) as JSON. */\nexport const OPENAPI_JSON = String.raw\`${raw}\`\n`,
)
process.stdout.write("Wrote workers/reference/openapi.ts.\n")
