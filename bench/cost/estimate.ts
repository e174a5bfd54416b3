/** A month's bill from counted operations. Pure: workload, counts and prices in, lines out. */
import { intervalMs, SCHEDULES } from "../../workers/platform/jobs/schedules.ts"
import type { Counts, EventKind, Operations } from "./counts.ts"
import { CLOUDFLARE, NEON, QSTASH, REDIS } from "./prices.ts"

/** What a month brings. */
export interface Workload {
  readonly eventsPerMonth: number
  readonly customers: number
  /** Months of events that are stored. */
  readonly monthsStored: number
  /** Share of the events that are failed payments, each of which opens a case. */
  readonly failedShare: number
  /** Messages sent for a case. */
  readonly nudgesPerCase: number
}

/** Assumptions for what was not said: 3 % of charges fail, most cases end before the third message. */
export const DEFAULT_WORKLOAD = { monthsStored: 12, failedShare: 0.03, nudgesPerCase: 2 } as const

export interface Line {
  readonly service: "Cloudflare" | "Neon" | "Upstash Redis" | "Upstash QStash"
  readonly what: string
  readonly amount: number
  readonly unit: string
  readonly dollars: number
}

const MONTH_DAYS = 30
const MONTH_MS = MONTH_DAYS * 24 * 3_600_000
const MONTH_HOURS = MONTH_DAYS * 24
const GB = 1e9

/** Load that a compute unit takes on average, so that peaks find room. */
const UTILISATION = 0.5

/** Both heartbeats, QStash's schedule and the Cron Trigger, call each job; the second finds it done. */
const HEARTBEATS = 2

const NOTHING: Operations = {
  workerRequests: 0,
  workerCpuMs: 0,
  postgresCpuMs: 0,
  postgresTrips: 0,
  redisCommands: 0,
  qstashMessages: 0,
  egressBytes: 0,
  storedBytes: 0,
  historyBytes: 0,
}

const KEYS = Object.keys(NOTHING) as readonly (keyof Operations)[]

const combine = (parts: readonly (readonly [times: number, of: Operations])[]): Operations =>
  Object.fromEntries(
    KEYS.map((key) => [key, parts.reduce((sum, [times, of]) => sum + times * of[key], 0)]),
  ) as Operations

/** How often each kind of event comes in a month; every customer is new once within the stored months. */
export function eventsByKind({
  eventsPerMonth,
  customers,
  monthsStored,
  failedShare,
}: Workload): Record<EventKind, number> {
  const failed = eventsPerMonth * failedShare
  const fresh = Math.min(eventsPerMonth - failed, customers / monthsStored)
  return { failed, new: fresh, known: eventsPerMonth - failed - fresh }
}

/** All operations of a month. */
export function operationsOfMonth(workload: Workload, counts: Counts): Operations {
  const kinds = eventsByKind(workload)
  const idle = SCHEDULES.map(({ job, cron }) => {
    const runs = (HEARTBEATS * MONTH_MS) / intervalMs(cron)
    const ofRun = counts.idleJobs[job] ?? NOTHING
    // One of the two heartbeats is a message of QStash; the other is a Cron Trigger.
    return [runs, { ...ofRun, workerRequests: 1, qstashMessages: 1 / HEARTBEATS }] as const
  })
  return combine([
    [kinds.known, counts.events.known],
    [kinds.new, counts.events.new],
    [kinds.failed, counts.events.failed],
    [kinds.failed * workload.nudgesPerCase, counts.nudge],
    ...idle,
  ])
}

/** Compute units that Postgres needs on average: it never sleeps, because `sweep` runs every minute. */
export const computeUnits = ({ postgresCpuMs }: Operations): number =>
  Math.max(NEON.unitsMin, postgresCpuMs / MONTH_MS / UTILISATION)

/** The lines of the bill. */
export function billOf(workload: Workload, counts: Counts): readonly Line[] {
  const month = operationsOfMonth(workload, counts)
  const beyond = (amount: number, included: number): number => Math.max(0, amount - included)
  const units = computeUnits(month)
  const isScale = units > NEON.unitsAutoscalingMax
  const storedGb = (month.storedBytes * workload.monthsStored) / GB
  const historyGb = (month.historyBytes * NEON.historyDays) / MONTH_DAYS / GB
  const egressGb = month.egressBytes / GB
  const line = (service: Line["service"], what: string, amount: number, unit: string, dollars: number): Line => ({
    ...{ service, what, amount, unit, dollars },
  })
  return [
    line("Cloudflare", "Workers Paid", 1, "month", CLOUDFLARE.base),
    line(
      "Cloudflare",
      "requests",
      month.workerRequests,
      "requests",
      (beyond(month.workerRequests, CLOUDFLARE.requestsIncluded) / 1e6) * CLOUDFLARE.perMillionRequests,
    ),
    line(
      "Cloudflare",
      "CPU time",
      month.workerCpuMs,
      "ms",
      (beyond(month.workerCpuMs, CLOUDFLARE.cpuMsIncluded) / 1e6) * CLOUDFLARE.perMillionCpuMs,
    ),
    line(
      "Neon",
      `compute, ${isScale ? "Scale" : "Launch"}`,
      units * MONTH_HOURS,
      "CU-hours",
      units * MONTH_HOURS * (isScale ? NEON.scalePerUnitHour : NEON.launchPerUnitHour),
    ),
    line("Neon", `storage after ${workload.monthsStored} months`, storedGb, "GB", storedGb * NEON.perGbMonth),
    line("Neon", `history of ${NEON.historyDays} days`, historyGb, "GB", historyGb * NEON.perGbMonthOfHistory),
    line("Neon", "network transfer", egressGb, "GB", beyond(egressGb, NEON.egressGbIncluded) * NEON.perGbEgress),
    line(
      "Upstash Redis",
      "commands",
      month.redisCommands,
      "commands",
      (month.redisCommands / 1e5) * REDIS.perHundredThousandCommands,
    ),
    qstashLine(month.qstashMessages),
  ]
}

function qstashLine(messages: number): Line {
  const asYouGo = { what: "messages, pay as you go", dollars: (messages / 1e5) * QSTASH.perHundredThousandMessages }
  const plans = QSTASH.fixed
    .filter(({ messagesPerDay }) => messages <= messagesPerDay * MONTH_DAYS)
    .map(({ messagesPerDay, price }) => ({
      what: `messages, fixed plan of ${messagesPerDay / 1e6}M a day`,
      dollars: price,
    }))
  const cheapest = [asYouGo, ...plans].reduce((best, plan) => (plan.dollars < best.dollars ? plan : best))
  return { service: "Upstash QStash", amount: messages, unit: "messages", ...cheapest }
}
