/**
 * `npm run mutation`: whether the tests of the pure core notice when its code is wrong. Stryker changes one operator, condition
 * or value at a time and runs the unit tests that reach it; a change that no test notices is a survivor. See HELP.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join, relative } from "node:path"
import { parseArgs } from "node:util"
import { ROOT } from "../steps.ts"

const KILLED_PERCENT_MIN = 90
const CONFIG = "test/mutation/stryker.config.json"
const REPORT = ".local/mutation/report.json"
const CORE = "shared/domain"
/** They hold texts; what is said in them is checked by people, and their form by `texts.test.ts`. */
const TEXTS = /\/messages\/(de|en|es|fr)\.ts$/

const HELP = `npm run mutation -- [options] [folder or file …]
  Changes the code below ${CORE} in one place at a time, and reports the changes that no unit test notices.
  Without a name everything is changed; shared/domain/recovery/fold, say, is one folder.
  --force   without the results of the last run
  The exit code is 1 when fewer than ${KILLED_PERCENT_MIN} % of the selected changes are noticed.
`

interface Mutant {
  readonly status: "Killed" | "Timeout" | "Survived" | "NoCoverage" | "Ignored" | "CompileError" | "RuntimeError"
  readonly mutatorName: string
  readonly replacement?: string
  readonly location: { readonly start: { readonly line: number; readonly column: number } }
}

interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly Mutant[] }>>
}

const { values, positionals } = parseArgs({
  options: { force: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
  allowPositionals: true,
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
const selected = positionals.length === 0 ? [CORE] : positionals.map((path) => relative(ROOT, join(ROOT, path)))
const missing = selected.filter((path) => !existsSync(join(ROOT, path)))
if (missing.length > 0 || selected.some((path) => !path.startsWith(CORE))) {
  console.error(`Name files or folders below ${CORE}; got ${positionals.join(", ")}`)
  process.exit(2)
}

mkdirSync(join(ROOT, ".local/mutation"), { recursive: true })
const patterns = selected.map((path) => (statSync(join(ROOT, path)).isDirectory() ? `${path}/**/*.ts` : path))
// Stryker divides the list at every comma, also within braces.
const texts = ["de", "en", "es", "fr"].map((language) => `!${CORE}/messaging/messages/${language}.ts`)
const excluded = [`!${CORE}/**/*.test.ts`, ...texts]
const ended = spawnSync(
  "stryker",
  [
    ...["run", CONFIG, "--mutate", [...patterns, ...excluded].join(",")],
    ...["--concurrency", String(availableParallelism())],
    ...(values.force ? ["--force"] : []),
  ],
  { cwd: ROOT, stdio: "inherit" },
)
if (ended.status !== 0) process.exit(ended.status ?? 1)

const report: Report = JSON.parse(readFileSync(join(ROOT, REPORT), "utf8"))
const files = Object.entries(report.files)
  .filter(([file]) => selected.some((path) => file === path || file.startsWith(`${path}/`)) && !TEXTS.test(file))
  .sort(([a], [b]) => (a < b ? -1 : 1))
const isNoticed = ({ status }: Mutant) => status === "Killed" || status === "Timeout"
const isAlive = ({ status }: Mutant) => status === "Survived" || status === "NoCoverage"

for (const [file, { mutants }] of files) {
  for (const { mutatorName, replacement = "", location } of mutants.filter(isAlive)) {
    const { line, column } = location.start
    console.log(`${file}:${line}:${column}  ${mutatorName} → ${replacement.replaceAll(/\s+/g, " ").slice(0, 100)}`)
  }
}

console.log()
const folders = Map.groupBy(files, ([file]) => file.slice(0, file.lastIndexOf("/")))
for (const [folder, entries] of folders)
  console.log(
    lineOf(
      folder,
      entries.flatMap(([, { mutants }]) => mutants),
    ),
  )
const all = files.flatMap(([, { mutants }]) => mutants)
console.log(lineOf("all", all))
process.exitCode = percentOf(all) < KILLED_PERCENT_MIN ? 1 : 0

function lineOf(name: string, mutants: readonly Mutant[]): string {
  const noticed = mutants.filter(isNoticed).length
  const alive = mutants.filter(isAlive).length
  return `${name.padEnd(44)} ${percentOf(mutants).toFixed(1).padStart(5)} %  ${noticed} killed, ${alive} alive`
}

function percentOf(mutants: readonly Mutant[]): number {
  const noticed = mutants.filter(isNoticed).length
  const counted = noticed + mutants.filter(isAlive).length
  return counted === 0 ? 100 : (100 * noticed) / counted
}
