/** One measurement: a load, the work after its answers, and the cost of both. */
import { setTimeout as sleep } from "node:timers/promises"
import type { World } from "../../local/world.ts"
import type { CpuClock } from "../support/cpu.ts"
import { percentile } from "../support/statistics.ts"
import { type LoadResult, sendLoad } from "./load.ts"
import type { Scenario, TargetName } from "./scenarios.ts"

/** A Worker that is measured. */
export interface BenchmarkTarget {
  readonly name: TargetName
  readonly url: string
  readonly cpu: CpuClock | null
}

/** Per event unless said otherwise. CPU is null where the system does not report it. */
export interface IngestMeasurement {
  readonly events: number
  /** Counts until the last work after the answers is done. */
  readonly eventsPerSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly workerCpuMs: number | null
  readonly postgresCpuMs: number | null
  readonly postgresTrips: number
  readonly redisTrips: number
  readonly qstashTrips: number
}

export interface MeasureOptions {
  readonly world: World
  readonly postgresCpu: CpuClock | null
  readonly connections: number
  readonly seconds: number
  readonly secret: string
}

/** Work after the answers counts as finished after this long without a request to Postgres. */
const IDLE_MS = 300
const POLL_MS = 10

/** Measures one Worker. Throws on a single unexpected answer, because the measurement would be meaningless. */
export async function measure(
  target: BenchmarkTarget,
  scenario: Scenario,
  tag: string,
  on: MeasureOptions,
): Promise<IngestMeasurement> {
  const { world, postgresCpu, connections, seconds, secret } = on
  world.stats.clear()
  const cpuBefore = { worker: target.cpu?.() ?? 0, postgres: postgresCpu?.() ?? 0 }

  const load = await sendLoad({ url: target.url, connections, seconds, scenario, secret, tag })
  const followedMs = await untilIdle(world)

  const workerCpuMs = (target.cpu?.() ?? 0) - cpuBefore.worker
  const postgresCpuMs = (postgresCpu?.() ?? 0) - cpuBefore.postgres
  const { postgres = 0, redis = 0, qstash = 0 } = world.stats.all()
  world.qstash.clear()

  expectStatus(target, scenario, load)
  if (target.name === "churn-saver" && !scenario.isSigned && postgres + redis + qstash > 0) {
    throw new Error("a delivery with a wrong signature made a round trip")
  }
  const events = load.latenciesMs.length
  return {
    events,
    eventsPerSecond: (events * 1000) / (load.elapsedMs + followedMs),
    p50Ms: percentile(load.latenciesMs, 50),
    p95Ms: percentile(load.latenciesMs, 95),
    p99Ms: percentile(load.latenciesMs, 99),
    workerCpuMs: target.cpu && workerCpuMs / events,
    postgresCpuMs: postgresCpu && postgresCpuMs / events,
    postgresTrips: postgres / events,
    redisTrips: redis / events,
    qstashTrips: qstash / events,
  }
}

/** Waits until there are no more requests to Postgres; returns the time until the last one. */
async function untilIdle({ stats }: World): Promise<number> {
  const startedAt = performance.now()
  let lastAt = startedAt
  let requests = stats.all().postgres
  while (performance.now() - lastAt < IDLE_MS) {
    await sleep(POLL_MS)
    const { postgres } = stats.all()
    if (postgres === requests) continue
    requests = postgres
    lastAt = performance.now()
  }
  return lastAt - startedAt
}

function expectStatus({ name }: BenchmarkTarget, scenario: Scenario, { latenciesMs, statuses }: LoadResult): void {
  const expected = scenario.expectedStatus[name]
  if (statuses[expected] === latenciesMs.length) return
  throw new Error(`${name}, ${scenario.name}: expected ${expected} only, answered ${JSON.stringify(statuses)}`)
}
