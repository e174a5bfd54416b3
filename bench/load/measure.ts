/** One measurement: a load, the work after its answers, and the cost of both. */
import { type CpuClock, ownCpu } from "../support/cpu.ts"
import { percentile } from "../support/statistics.ts"
import { type BenchmarkWorld, untilIdle } from "../support/world.ts"
import type { EventSource } from "./events.ts"
import { type Pattern, sendLoad } from "./load.ts"

/** Per event unless said otherwise. CPU is null where the system does not report it. */
export interface Measurement {
  /** Accepted, or, where a refusal is expected, refused. */
  readonly events: number
  /** Answered 503 with Retry-After, where that is allowed. */
  readonly deferred: number
  /** Counts until the last answer. */
  readonly acknowledgedPerSecond: number
  /** Counts until the last work after the answers is done. */
  readonly foldedPerSecond: number
  readonly acknowledgedMs: number
  readonly foldedMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** Of workerd, or of the Node process. */
  readonly serverCpuMs: number | null
  readonly postgresCpuMs: number | null
  /** Of the local proxy of Postgres, with the replacements of Redis and QStash. */
  readonly proxyCpuMs: number
  readonly senderCpuMs: number
  readonly postgresTrips: number
  readonly redisTrips: number
  readonly qstashTrips: number
}

/** A server that takes webhooks, and its CPU time where the system reports it. */
export interface Server {
  readonly url: string
  readonly cpu: CpuClock | null
}

/** What is sent, how, and the status that every answer must have. */
export interface Sending {
  readonly source: EventSource
  readonly pattern: Pattern
  readonly expectedStatus: number
  /** The server may answer 503: it is sent more than it can take. */
  readonly isOverload?: boolean
  /** Part of the ids of its events; default: different for every load. */
  readonly tag?: string
}

/** Sends a load and measures it. Throws on a single unexpected answer, because the measurement would be meaningless. */
export async function measureLoad(
  { world, postgresCpu, secret }: BenchmarkWorld,
  server: Server,
  { source, pattern, expectedStatus, isOverload = false, tag = nextTag() }: Sending,
): Promise<Measurement> {
  world.stats.clear()
  const clocks = [server.cpu ?? noCpu, postgresCpu ?? noCpu, ownCpu]
  const before = clocks.map((clock) => clock())
  const load = await sendLoad({ url: server.url, pattern, source, secret, tag })
  const followedMs = await untilIdle(world)
  const [serverMs = 0, postgresMs = 0, proxyMs = 0] = clocks.map((clock, index) => clock() - (before[index] ?? 0))
  const { postgres = 0, redis = 0, qstash = 0 } = world.stats.all()
  world.qstash.clear()

  const events = load.statuses[expectedStatus] ?? 0
  const deferred = isOverload ? (load.statuses[503] ?? 0) : 0
  if (events === 0 || events + deferred !== load.latenciesMs.length) {
    throw new Error(`expected ${expectedStatus} only, answered ${JSON.stringify(load.statuses)}`)
  }
  const foldedMs = load.elapsedMs + followedMs
  return {
    events,
    deferred,
    acknowledgedPerSecond: (events * 1000) / load.elapsedMs,
    foldedPerSecond: (events * 1000) / foldedMs,
    acknowledgedMs: load.elapsedMs,
    foldedMs,
    p50Ms: percentile(load.latenciesMs, 50),
    p95Ms: percentile(load.latenciesMs, 95),
    p99Ms: percentile(load.latenciesMs, 99),
    serverCpuMs: server.cpu && serverMs / events,
    postgresCpuMs: postgresCpu && postgresMs / events,
    proxyCpuMs: proxyMs / events,
    senderCpuMs: load.cpuMs / events,
    postgresTrips: postgres / events,
    redisTrips: redis / events,
    qstashTrips: qstash / events,
  }
}

const noCpu = (): number => 0

let loads = 0
/** Different for every load of this process, also when another number follows it. */
const nextTag = (): string => `${(loads++).toString(36).padStart(4, "0")}x`
