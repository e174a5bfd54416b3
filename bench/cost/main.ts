/** `npm run cost`: what a month would cost, from operations that were counted, and the limits that a growing load meets. */
import { parseArgs } from "node:util"
import { positive, withStarted } from "../support/benchmark.ts"
import { alignedRows } from "../support/report.ts"
import { readCounts, writeCounts } from "./counts.ts"
import { billOf, DEFAULT_WORKLOAD, type Line, type Workload } from "./estimate.ts"
import { type Limit, limitsOf } from "./limits.ts"
import { countOperations, startCountedWorld } from "./measure.ts"
import { PRICES_AS_OF, SOURCES } from "./prices.ts"

const HELP = `npm run cost -- --events 1e6 --customers 1e5 [--json]

What Cloudflare, Neon and Upstash would charge for a month, in US dollars. Messages' own providers are not included.

  --events N            webhooks a month
  --customers N         customers of all companies
  --months N            months of events that are stored (${DEFAULT_WORKLOAD.monthsStored})
  --failed-share X      share of the events that are failed payments (${DEFAULT_WORKLOAD.failedShare})
  --nudges-per-case N   messages sent for a failed payment (${DEFAULT_WORKLOAD.nudgesPerCase})
  --measure             count the operations of events, nudges and jobs again, and store them
  --json
`

/** Events of each kind that are counted. */
const EVENTS_COUNTED = 1_000

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "1e6" },
    customers: { type: "string", default: "1e5" },
    months: { type: "string", default: String(DEFAULT_WORKLOAD.monthsStored) },
    "failed-share": { type: "string", default: String(DEFAULT_WORKLOAD.failedShare) },
    "nudges-per-case": { type: "string", default: String(DEFAULT_WORKLOAD.nudgesPerCase) },
    measure: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else {
  if (values.measure) {
    writeCounts(await withStarted(startCountedWorld, (started) => countOperations(started, EVENTS_COUNTED, new Date())))
  }
  const counts = readCounts()
  const workload: Workload = {
    eventsPerMonth: positive("events", values.events),
    customers: positive("customers", values.customers),
    monthsStored: positive("months", values.months),
    failedShare: positive("failed-share", values["failed-share"]),
    nudgesPerCase: positive("nudges-per-case", values["nudges-per-case"]),
  }
  const [bill, limits] = [billOf(workload, counts), limitsOf(workload, counts)]
  const dollars = bill.reduce((sum, line) => sum + line.dollars, 0)
  const dates = { countedOn: counts.measuredOn, pricesAsOf: PRICES_AS_OF }
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ workload, ...dates, sources: SOURCES, dollars, bill, limits }, null, 2)}\n`
      : asText(workload, bill, limits),
  )
}

function asText(workload: Workload, bill: readonly Line[], limits: readonly Limit[]): string {
  const total = bill.reduce((sum, line) => sum + line.dollars, 0)
  const rows = bill.map(({ service, what, amount, unit, dollars }) => [
    `${service}: ${what}`,
    `${number(amount)} ${unit}`,
    dollars.toFixed(2),
  ])
  const { eventsPerMonth } = workload
  const rate = eventsPerMonth / (30 * 24 * 3_600)
  return [
    `${number(eventsPerMonth)} events a month (${number(rate)} a second), ${number(workload.customers)} customers; US dollars`,
    "",
    ...alignedRows([["", "amount", "$ a month"], ...rows, ["total", "", total.toFixed(2)]]),
    "",
    `A million events cost ${((total / eventsPerMonth) * 1e6).toFixed(2)} dollars.`,
    "",
    ...alignedRows([
      ["limit", "met at, events/s on average", "answer"],
      ...limits.map(({ what, eventsPerSecond, answer }) => [
        what,
        eventsPerSecond === null
          ? "at any rate"
          : `${number(eventsPerSecond)}${eventsPerSecond < rate ? " (met)" : ""}`,
        answer,
      ]),
    ]),
    "",
    `Operations counted on ${readCounts().machine}. Prices of ${PRICES_AS_OF}; check them before you rely on a figure:`,
    ...Object.values(SOURCES).map((source) => `  ${source}`),
    "",
  ].join("\n")
}

/** Three digits, with thousands separated. */
function number(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3))
}
