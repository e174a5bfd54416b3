/** `npm run bench -- <name> [options]`: one benchmark, on this machine, from start to clean-up. */
import { benchIngest } from "./ingest/run.ts"
import { benchScoring } from "./scoring/run.ts"

const BENCHMARKS: Readonly<Record<string, (args: string[]) => Promise<void>>> = {
  ingest: benchIngest,
  scoring: benchScoring,
}

const HELP = `npm run bench -- <name> [options]
  ingest   webhooks: this Worker compared with a bare Hono Worker with one insert
    --seconds N      length of one measurement (5)
    --rounds N       measurements of each Worker in each scenario, alternating (3)
    --connections N  concurrent requests (10)
    --scenario NAME  known, new, failed, duplicate or forged; default: all
    --json           every round as JSON
  scoring  scores and explanations, rows per second, in Node and in workerd
    --rounds N       measurements (5)
    --json           every round as JSON
`

const [name = "", ...args] = process.argv.slice(2)
const benchmark = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined
if (benchmark === undefined || args.includes("--help")) {
  process.stdout.write(HELP)
  process.exit(benchmark === undefined && name !== "--help" ? 1 : 0)
}
await benchmark(args)
