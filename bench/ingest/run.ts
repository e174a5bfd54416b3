/** `npm run bench -- ingest`: the cost of a webhook here, in minimal Workers, and in servers with TCP connections. */
import { parseArgs } from "node:util"
import { type Benchmark, positive, withStarted } from "../support/benchmark.ts"
import type { BenchmarkReport } from "../support/report.ts"
import { expectAllProcessed } from "../support/world.ts"
import { type IngestResults, ingestReport } from "./report.ts"
import { SCENARIOS } from "./scenarios.ts"
import { burst, closedLoop, delayedDatabase, type Effort, openLoop, tableStatistics } from "./sections.ts"
import { startIngestWorld } from "./targets.ts"

const SECTIONS = ["statistics", "closed", "open", "burst", "network"] as const
type Section = (typeof SECTIONS)[number]

export const ingest: Benchmark = {
  name: "ingest",
  help: `  ingest     webhooks: this Worker beside minimal Workers, a plain Node handler and Stripe Sync Engine
    --section NAME     ${SECTIONS.join(", ")}; default: all
    --scenario NAME    of the closed loop: known, new, failed, duplicate or forged; default: all
    --seconds N        length of one measurement (4)
    --rounds N         measurements of each target, alternating (3)
    --connections N,M  concurrent requests (10,40)
`,
  run: benchIngest,
}

async function benchIngest(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({
    args,
    options: {
      section: { type: "string" },
      scenario: { type: "string" },
      seconds: { type: "string", default: isQuick ? "1" : "4" },
      rounds: { type: "string", default: isQuick ? "1" : "3" },
      connections: { type: "string", default: "10,40" },
    },
  })
  const { section, scenario } = values
  const scenarios = SCENARIOS.filter(({ name }) => scenario === undefined || name === scenario)
  if (scenarios.length === 0) throw new Error("--scenario takes the name of one")
  if (section !== undefined && !SECTIONS.some((name) => name === section))
    throw new Error("--section takes the name of one")
  const has = (name: Section): boolean => section === undefined || section === name
  const effort: Effort = {
    seconds: positive("seconds", values.seconds),
    rounds: positive("rounds", values.rounds),
    connections: values.connections.split(",").map((text) => positive("connections", text)),
    scenarios,
    stepSeconds: isQuick ? 1 : 3,
    burst: isQuick ? 200 : 2_000,
    isWarmUpShort: isQuick,
  }

  return withStarted(startIngestWorld, async (started) => {
    const measured = {
      statistics: has("statistics") ? await tableStatistics(started, effort) : [],
      closed: has("closed") ? await closedLoop(started, effort) : [],
      delayed: has("network") ? await delayedDatabase(started, effort) : [],
    }
    await expectAllProcessed(started.adminUrl)
    // More than a server can take: what it could not record is repeated by the sender, or by the fallback queue.
    const results: IngestResults = {
      ...measured,
      open: has("open") ? await openLoop(started, effort) : null,
      burst: has("burst") ? await burst(started, effort) : [],
    }
    const { rounds, seconds } = effort
    return ingestReport(results, `Medians of ${rounds} rounds of ${seconds} s, lowest and highest in brackets.`)
  })
}
