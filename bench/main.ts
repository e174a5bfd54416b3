/** `npm run bench -- <name> [options]`: one benchmark, on this machine, from start to clean-up. */
import { fold } from "./fold/run.ts"
import { growth } from "./growth/run.ts"
import { ingest } from "./ingest/run.ts"
import { pages } from "./pages/run.ts"
import { scheduler } from "./scheduler/run.ts"
import { scoring } from "./scoring/run.ts"
import { size } from "./size/run.ts"
import { soak } from "./soak/run.ts"
import type { Benchmark } from "./support/benchmark.ts"
import { asJson, asText, type BenchmarkReport, writeReport } from "./support/report.ts"

const BENCHMARKS: readonly Benchmark[] = [ingest, growth, scheduler, pages, fold, size, soak, scoring]

const HELP = `npm run bench -- <name> [options]      or: all
  --json    every number, for machines
  --write   tables and charts into docs/BENCHMARKS.md
  --quick   for seconds only: to see that it works, not for figures

${BENCHMARKS.map(({ help }) => help).join("\n")}`

const [name = "", ...given] = process.argv.slice(2)
const flags = ["--json", "--write", "--quick"].map((flag) => given.includes(flag))
const [isJson = false, isWritten = false, isQuick = false] = flags
const args = given.filter((arg) => !["--json", "--write", "--quick"].includes(arg))
const chosen = BENCHMARKS.filter((benchmark) => name === "all" || benchmark.name === name)
if (chosen.length === 0 || args.includes("--help")) {
  process.stdout.write(HELP)
  process.exit(chosen.length === 0 && name !== "--help" ? 1 : 0)
}
if (name === "all" && args.length > 0) throw new Error("all takes no options of a single benchmark")

const reports: BenchmarkReport[] = []
for (const benchmark of chosen) {
  const report = await benchmark.run(args, isQuick)
  reports.push(report)
  if (isWritten) writeReport(report)
  if (!isJson) process.stdout.write(asText(report))
}
if (isJson) process.stdout.write(`${JSON.stringify(reports.map(asJson), null, 2)}\n`)
