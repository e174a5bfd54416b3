/** Counts operations on the local world: one event after another, so that nothing is done in groups. */
import { SCHEDULES } from "../../workers/platform/jobs/schedules.ts"
import type { EventSource } from "../load/events.ts"
import { sendLoad } from "../load/load.ts"
import { progress, type Stoppable } from "../support/benchmark.ts"
import { type DelayedRoute, startDelayedRoute } from "../support/delay.ts"
import { runJobNow } from "../support/jobs.ts"
import { whenAndWhere } from "../support/machine.ts"
import { runSql } from "../support/sql.ts"
import { type BenchmarkWorld, COMPANY_ID, startBenchmarkWorld, untilIdle } from "../support/world.ts"
import type { Counts, EventKind, Operations } from "./counts.ts"

export interface CountedWorld extends BenchmarkWorld, Stoppable {
  readonly route: DelayedRoute
}

/** A world in which the bytes between Postgres' proxy and the Worker are counted. */
export async function startCountedWorld(dataDir: string): Promise<CountedWorld> {
  let route: DelayedRoute | null = null
  const routeTo = async (endpoint: string): Promise<string> => {
    const url = new URL(endpoint)
    route = await startDelayedRoute(Number(url.port), 0)
    url.port = String(route.port)
    return url.href
  }
  const started = await startBenchmarkWorld({ dataDir, routeTo })
  if (route === null) throw new Error("the Worker was started without a route")
  const opened: DelayedRoute = route
  const stop = async (): Promise<void> => {
    await started.stop()
    await opened.stop()
  }
  return { ...started, route: opened, stop }
}

const KNOWN = { prefixes: ["known"], count: 200 }

const SOURCES: Readonly<Record<EventKind, EventSource>> = {
  known: { type: "invoice.paid", isSigned: true, customers: KNOWN },
  new: { type: "invoice.paid", isSigned: true, customers: "fresh", hasAddress: true },
  failed: { type: "invoice.payment_failed", isSigned: true, customers: "fresh", hasAddress: true },
}

/** Counts everything, with so many events of each kind. */
export async function countOperations(started: CountedWorld, events: number, now: Date): Promise<Counts> {
  // A measurement at night would postpone all nudges.
  await runSql(
    started.adminUrl,
    `INSERT INTO company_settings (company_id, settings, updated_at) VALUES ('${COMPANY_ID}', '{"quietHours":null}', now())`,
  )
  const ofEvents = async (kind: EventKind): Promise<Operations> => {
    progress(`${events} events: ${kind}`)
    const counted = await counting(started, events, () => send(started, SOURCES[kind], events, kind))
    // A message counts when it is delivered, with the nudge.
    return { ...counted, workerRequests: 1, qstashMessages: 0 }
  }
  await send(started, SOURCES.known, KNOWN.count * 2, "warm") // each customer is known, and the code is compiled
  const known = await ofEvents("known")
  const fresh = await ofEvents("new")
  const failed = await ofEvents("failed")
  progress("nudges")
  const nudge = await sendNudges(started)
  return {
    measuredOn: now.toISOString().slice(0, 10),
    machine: whenAndWhere(now),
    events: { known, new: fresh, failed },
    nudge,
    idleJobs: await idleJobs(started),
  }
}

async function send(
  { worker, secret, world }: CountedWorld,
  source: EventSource,
  count: number,
  tag: string,
): Promise<void> {
  const pattern = { kind: "burst", count, connections: 1 } as const
  const { statuses } = await sendLoad({ url: worker.url, source, pattern, secret, tag })
  if (statuses[200] !== count) throw new Error(`expected 200 only, answered ${JSON.stringify(statuses)}`)
  await untilIdle(world)
}

/** Nudges that are due at once were published when they were planned, each as a message of its own. */
async function sendNudges(started: CountedWorld): Promise<Operations> {
  const { adminUrl, world } = started
  const sentSoFar = async (): Promise<number> => {
    const [row] = await runSql<{ sent: number }>(
      adminUrl,
      "SELECT count(*)::integer AS sent FROM nudges WHERE status = 'sent'",
    )
    return row?.sent ?? 0
  }
  const before = await sentSoFar()
  const counted = await counting(started, 1, async () => {
    world.qstash.release()
    await world.qstash.idle()
    await untilIdle(world)
    world.qstash.hold()
  })
  const sent = (await sentSoFar()) - before
  if (sent === 0) throw new Error("no nudge was sent")
  return perUnit(counted, sent)
}

async function idleJobs(started: CountedWorld): Promise<Counts["idleJobs"]> {
  const counted: Record<string, Operations> = {}
  for (const { job } of SCHEDULES) {
    progress(`job ${job}`)
    await runJobNow(started, job) // what it finds once it need not find again
    counted[job] = await counting(started, 1, async () => {
      await runJobNow(started, job)
      await untilIdle(started.world)
    })
  }
  return counted
}

/** What `work` needed for each of `units`. */
async function counting(
  { world, adminUrl, route, workerCpu, postgresCpu }: CountedWorld,
  units: number,
  work: () => Promise<void>,
): Promise<Operations> {
  const readAll = async () => {
    const [stored] = await runSql<{ bytes: string; log: string }>(
      adminUrl,
      `SELECT sum(pg_total_relation_size(oid))::text AS bytes, (pg_current_wal_lsn() - '0/0')::text AS log
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
    )
    const trips = world.stats.all()
    return {
      workerRequests: trips["qstash-deliveries"] ?? 0,
      workerCpuMs: workerCpu?.() ?? 0,
      postgresCpuMs: postgresCpu?.() ?? 0,
      postgresTrips: trips.postgres ?? 0,
      redisCommands: trips["redis-commands"] ?? 0,
      qstashMessages: trips["qstash-deliveries"] ?? 0,
      egressBytes: route.bytesReceived(),
      storedBytes: Number(stored?.bytes ?? 0),
      historyBytes: Number(stored?.log ?? 0),
    } satisfies Operations
  }
  const before = await readAll()
  await work()
  const after = await readAll()
  const keys = Object.keys(after) as (keyof Operations)[]
  return perUnit(Object.fromEntries(keys.map((key) => [key, after[key] - before[key]])) as Operations, units)
}

/** Rounded to five digits: the rest is noise. */
const perUnit = (total: Operations, units: number): Operations =>
  Object.fromEntries(Object.entries(total).map(([key, value]) => [key, +(value / units).toPrecision(5)])) as Operations
