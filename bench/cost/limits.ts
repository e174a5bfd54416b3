/** The limits that a growing load meets, the rate at which each is met, and what the design does there. Pure. */
import type { Counts, Operations } from "./counts.ts"
import { eventsByKind, operationsOfMonth, type Workload } from "./estimate.ts"
import { CLOUDFLARE, NEON, QSTASH } from "./prices.ts"

export interface Limit {
  readonly what: string
  /** Events a second on average; null: it does not depend on the rate. */
  readonly eventsPerSecond: number | null
  readonly answer: string
}

/** The load of the busiest hour ÷ the average. */
const PEAK = 3

/** Load that a compute takes at its peak. */
const PEAK_UTILISATION = 0.8

/** How long Postgres takes for a round trip ÷ its CPU time for it: the rest is waiting for the disk of the log. */
const WAITING = 4

/** Nudges of one QStash message, and how long the Worker takes for them when a channel answers in 300 ms: four at a time. */
const NUDGES_PER_MESSAGE = 20
const SECONDS_PER_MESSAGE = 2.5

/** Nudges that `reminders` dispatches in a run, and the time between runs. */
const NUDGES_PER_RUN = 5_000
const RUN_SECONDS = 300

const SECONDS_PER_MONTH = 30 * 24 * 3_600
const GB = 1e9

/** The limits, the first to be met first. */
export function limitsOf(workload: Workload, counts: Counts): readonly Limit[] {
  const month = operationsOfMonth(workload, counts)
  const perEvent = (of: keyof Operations): number => month[of] / workload.eventsPerMonth
  const casesPerEvent = eventsByKind(workload).failed / workload.eventsPerMonth
  const nudgesPerEvent = Math.max(1e-9, casesPerEvent * workload.nudgesPerCase)
  const cpuSeconds = perEvent("postgresCpuMs") / 1_000
  const unitsAt = (units: number): number => (units * PEAK_UTILISATION) / cpuSeconds / PEAK

  const limits: readonly Limit[] = [
    {
      what: `one processor of Postgres at the peak`,
      eventsPerSecond: unitsAt(1),
      answer: "autoscaling: set a larger maximum for the compute; nothing is deployed",
    },
    {
      what: `Neon's autoscaling, ${NEON.unitsAutoscalingMax} CU`,
      eventsPerSecond: unitsAt(NEON.unitsAutoscalingMax),
      answer: `a fixed size up to ${NEON.unitsFixedMax} CU (Scale); reports and scoring read from a replica, which takes their load off the writer`,
    },
    {
      what: `one Postgres writer, ${NEON.unitsFixedMax} CU`,
      eventsPerSecond: unitsAt(NEON.unitsFixedMax),
      answer:
        "companies are spread over several projects by a directory: every row has its company, and no statement joins two; not built",
    },
    {
      what: `Neon's connections, ${NEON.connectionsMax}`,
      eventsPerSecond: NEON.connectionsMax / (cpuSeconds * WAITING) / PEAK,
      answer:
        "none are kept: the HTTP protocol holds one for the time of a call, and deliveries that wait are recorded together",
    },
    {
      what: `size of a Neon branch, ${NEON.gbPerBranchMax / 1_000} TB, after ${workload.monthsStored} months`,
      eventsPerSecond: (NEON.gbPerBranchMax * GB) / workload.monthsStored / perEvent("storedBytes") / SECONDS_PER_MONTH,
      answer:
        "events and facts are partitioned by month: old payloads go by dropping a partition; then companies are spread over projects",
    },
    {
      what: `QStash's parallelism, ${QSTASH.parallelism} (pay as you go)`,
      eventsPerSecond: (QSTASH.parallelism * NUDGES_PER_MESSAGE) / SECONDS_PER_MESSAGE / nudgesPerEvent / PEAK,
      answer: `${NUDGES_PER_MESSAGE} nudges a message; beyond that a fixed plan (200, then 1 000)`,
    },
    {
      what: `${NUDGES_PER_RUN} nudges a run of \`reminders\``,
      eventsPerSecond: NUDGES_PER_RUN / RUN_SECONDS / nudgesPerEvent / PEAK,
      answer:
        "nudges are published ahead when they are planned, so the job sees only those of later days; the rest goes with the next run",
    },
    {
      what: `${CLOUDFLARE.subrequestsPerRequest} subrequests of a request`,
      eventsPerSecond: null,
      answer: "every job works within a budget and leaves the rest to its next run; a webhook makes two to four",
    },
    {
      what: `${QSTASH.bytesPerMessage / 1e6} MB of a QStash message (1 MB in the free plan)`,
      eventsPerSecond: null,
      answer: "a webhook has 1 MiB at most, sealed and encoded 1.9 MB in the fallback queue: needs pay as you go",
    },
  ]
  return [...limits].sort((a, b) => (a.eventsPerSecond ?? Infinity) - (b.eventsPerSecond ?? Infinity))
}
