/** `npm run bench -- scheduler`: due nudges, found, claimed, decided and sent, among many that are stored and not due. */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import type { EventSource } from "../load/events.ts"
import { measureLoad } from "../load/measure.ts"
import { type Benchmark, positive, progress, withStarted } from "../support/benchmark.ts"
import { ownCpu } from "../support/cpu.ts"
import { runJobNow } from "../support/jobs.ts"
import { copyCustomers, SEED } from "../support/population.ts"
import { type BenchmarkReport, digitsOf } from "../support/report.ts"
import { runSql } from "../support/sql.ts"
import { type BenchmarkWorld, COMPANY_ID, startBenchmarkWorld, untilIdle } from "../support/world.ts"

const SEED_CUSTOMERS = 100
const CONNECTIONS = 10

/** Nudges that are claimed by one call, as the job does. */
const CLAIM = 500

export const scheduler: Benchmark = {
  name: "scheduler",
  help: `  scheduler  due nudges found, claimed, decided and sent, among those stored
    --due N            nudges that are due (10000)
    --stored N         nudges in the table (1000000)
`,
  run: benchScheduler,
}

async function benchScheduler(args: string[], isQuick: boolean): Promise<BenchmarkReport> {
  const { values } = parseArgs({
    args,
    options: {
      due: { type: "string", default: isQuick ? "100" : "10000" },
      stored: { type: "string", default: isQuick ? "10000" : "1000000" },
    },
  })
  const [due, stored] = [positive("due", values.due), positive("stored", values.stored)]
  return withStarted(
    (dataDir) => startBenchmarkWorld({ dataDir }),
    async (started) => {
      await prepareNudges(started, due, stored)
      const claim = await timeClaim(started.adminUrl)
      const sent = await sendAll(started, due)
      return reportOf({ due, ...(await countNudges(started.adminUrl)), claim, sent })
    },
  )
}

const failedPayment: EventSource = {
  type: "invoice.payment_failed",
  customers: "fresh",
  isSigned: true,
  hasAddress: true,
}

/** Members with an address and a due nudge each, and copies of members whose nudges are sent or due later. */
async function prepareNudges(started: BenchmarkWorld, due: number, stored: number): Promise<void> {
  const { adminUrl, worker, workerCpu, world } = started
  // A run at night would postpone all of them.
  await runSql(
    adminUrl,
    `INSERT INTO company_settings (company_id, settings, updated_at) VALUES ('${COMPANY_ID}', '{"quietHours":null}', now())`,
  )
  const send = (source: EventSource, count: number, tag?: string) =>
    measureLoad(
      started,
      { url: worker.url, cpu: workerCpu },
      {
        source,
        pattern: { kind: "burst", count, connections: CONNECTIONS },
        expectedStatus: 200,
        ...(tag !== undefined && { tag }),
      },
    )
  progress(`${due} members with a due nudge`)
  await send(failedPayment, due)
  await send({ ...failedPayment, customers: { prefixes: [SEED], count: SEED_CUSTOMERS } }, SEED_CUSTOMERS, SEED)
  await runSql(
    adminUrl,
    `UPDATE nudges SET due_at = now() + interval '30 days' * random(),
       status = CASE WHEN random() < 0.5 THEN 'sent' ELSE status END WHERE customer_id LIKE '%${SEED}%';
     UPDATE nudges SET due_at = now() - interval '1 second' WHERE customer_id NOT LIKE '%${SEED}%' AND step = 0`,
  )
  const [row] = await runSql<{ seeds: number }>(
    adminUrl,
    `SELECT count(*)::integer AS seeds FROM nudges WHERE customer_id LIKE '%${SEED}%'`,
  )
  const copies = Math.round(stored / (row?.seeds ?? 1))
  progress(`${stored} nudges of others`)
  await copyCustomers(adminUrl, 1, copies)
  await runSql(adminUrl, "ANALYZE")
  world.qstash.clear() // messages that were published ahead when the nudges were planned
}

/** The time that Postgres takes to find and claim one batch; nothing stays claimed. */
async function timeClaim(adminUrl: string): Promise<{ readonly firstMs: number; readonly nextMs: number }> {
  const rows = await runSql<{ "QUERY PLAN": readonly [{ readonly "Execution Time": number }] }>(
    adminUrl,
    `BEGIN;
     EXPLAIN (ANALYZE, FORMAT json) SELECT count(*) FROM claim_due_nudges(now(), now(), 'bench', now() + interval '1 minute', ${CLAIM}, NULL)`,
  )
  const again = await runSql<{ "QUERY PLAN": readonly [{ readonly "Execution Time": number }] }>(
    adminUrl,
    `BEGIN;
     SELECT count(*) FROM claim_due_nudges(now(), now(), 'bench', now() + interval '1 minute', ${CLAIM}, NULL);
     EXPLAIN (ANALYZE, FORMAT json) SELECT count(*) FROM claim_due_nudges(now(), now(), 'bench', now() + interval '1 minute', ${CLAIM}, NULL)`,
  )
  const msOf = (found: typeof rows): number => found[0]?.["QUERY PLAN"][0]["Execution Time"] ?? 0
  return { firstMs: msOf(rows), nextMs: msOf(again) }
}

interface Sent {
  readonly seconds: number
  readonly runs: number
  readonly emails: number
  /** For each nudge. */
  readonly workerCpuMs: number | null
  readonly postgresCpuMs: number | null
  readonly proxyCpuMs: number
  readonly postgresTrips: number
  readonly redisTrips: number
  readonly qstashTrips: number
  readonly qstashDeliveries: number
}

const POLL_MS = 50

/** Runs the job until nothing is due. Throws when a run no longer helps. */
async function sendAll(started: BenchmarkWorld, due: number): Promise<Sent> {
  const { adminUrl, world, workerCpu, postgresCpu } = started
  const dueLeft = async (): Promise<number> => {
    const [row] = await runSql<{ left: number }>(
      adminUrl,
      "SELECT count(*)::integer AS left FROM nudges WHERE status IN ('planned', 'sending') AND due_at <= now()",
    )
    return row?.left ?? 0
  }
  world.stats.clear()
  world.qstash.release()
  const before = [workerCpu?.() ?? 0, postgresCpu?.() ?? 0, ownCpu()]
  const startedAt = performance.now()
  let runs = 0
  let left = due
  while (left > 0) {
    runs += 1
    const { counts } = await runJobNow(started, "reminders")
    progress(`run ${runs}: ${JSON.stringify(counts)}`)
    await world.qstash.idle()
    await untilIdle(world)
    const stillLeft = await dueLeft()
    if (stillLeft === left) throw new Error(`${left} nudges stay due`)
    left = stillLeft
    await sleep(POLL_MS)
  }
  const seconds = (performance.now() - startedAt) / 1_000
  const [worker = 0, postgres = 0, proxy = 0] = [workerCpu?.() ?? 0, postgresCpu?.() ?? 0, ownCpu()].map(
    (value, index) => (value - (before[index] ?? 0)) / due,
  )
  world.qstash.hold()
  const trips = world.stats.all()
  const perNudge = (name: string): number => (trips[name] ?? 0) / due
  return {
    seconds,
    runs,
    emails: trips.email ?? 0,
    workerCpuMs: workerCpu && worker,
    postgresCpuMs: postgresCpu && postgres,
    proxyCpuMs: proxy,
    postgresTrips: perNudge("postgres"),
    redisTrips: perNudge("redis"),
    qstashTrips: perNudge("qstash"),
    qstashDeliveries: perNudge("qstash-deliveries"),
  }
}

async function countNudges(adminUrl: string): Promise<{ readonly stored: number; readonly sent: number }> {
  const [row] = await runSql<{ stored: number; sent: number }>(
    adminUrl,
    `SELECT count(*)::integer AS stored, count(*) FILTER (WHERE status = 'sent' AND sent_at IS NOT NULL)::integer AS sent
     FROM nudges`,
  )
  return { stored: row?.stored ?? 0, sent: row?.sent ?? 0 }
}

interface SchedulerResult {
  readonly due: number
  readonly stored: number
  readonly claim: Awaited<ReturnType<typeof timeClaim>>
  readonly sent: Sent
}

function reportOf(result: SchedulerResult): BenchmarkReport {
  const { due, stored, claim, sent } = result
  const rows = [
    ["", "value"],
    ["nudges stored", stored.toLocaleString("en")],
    ["nudges due", due.toLocaleString("en")],
    ["e-mails accepted by the provider", sent.emails.toLocaleString("en")],
    [`find and claim the first ${CLAIM}, ms in Postgres`, claim.firstMs.toFixed(1)],
    [`find and claim the next ${CLAIM}, ms in Postgres`, claim.nextMs.toFixed(1)],
    ["until all are sent, s", sent.seconds.toFixed(1)],
    ["nudges a second", (due / sent.seconds).toFixed(0)],
    ["workerd CPU ms a nudge", digitsOf(sent.workerCpuMs, 2)],
    ["Postgres CPU ms a nudge", digitsOf(sent.postgresCpuMs, 2)],
    ["replacements (proxy, Redis, QStash, e-mail) CPU ms a nudge", sent.proxyCpuMs.toFixed(2)],
    ["round trips to Postgres a nudge", sent.postgresTrips.toFixed(3)],
    ["Redis requests a nudge", sent.redisTrips.toFixed(3)],
    ["QStash messages a nudge", sent.qstashDeliveries.toFixed(3)],
  ]
  const summary = "Every due nudge is claimed, decided again, sent by e-mail and recorded."
  return { name: "scheduler", at: new Date(), summary, tables: [{ title: "Sending.", rows }], charts: [], data: result }
}
