/**
 * Every minute: finishes what anything left behind. It relies on nothing but the database's word: parked deliveries,
 * events that were not folded, nudges that nobody was told of, messages that QStash gave up, objects without a customer.
 */
import { z } from "zod"
import { claimDueNudges } from "../../db/queries/nudges.ts"
import { ensurePartitions, unfinishedEvents, waitingObjects } from "../../db/queries/sweep.ts"
import { parkedInRedis, unparkFromRedis } from "../pipeline/park.ts"
import { reprocess } from "../pipeline/reprocess.ts"
import { resolveObject } from "../pipeline/resolve.ts"
import type { Services } from "../services.ts"
import { bringBack } from "./ingest.ts"
import { defineJob, done } from "./job.ts"
import { sendAll } from "./nudges.ts"

/** Bounds of one run; the next one is a minute away, and a run must end well before it. */
const PARKED_MAX = 200
const PARKED_FAILURES_MAX = 3
const EVENTS_MAX = 50
const NUDGES_MAX = 20
/** A backlog is worked off for this long in a run. */
const EVENTS_BUDGET_MS = 25_000
const DEAD_PER_PAGE = 50
const DEAD_PAGES_MAX = 20
const OBJECTS_MAX = 10

/** QStash has had this long to bring a due nudge; after that the sweeper sends it itself. */
const OVERDUE_MS = 120_000
const LEASE_MS = 120_000

/** A link usually follows within seconds; the provider is asked when it has not come after this, and not again sooner. */
const ASK_AFTER_MS = 10 * 60_000

/** Months for which partitions are made ahead. */
const MONTHS_AHEAD = 2

export const sweep = defineJob({
  name: "sweep",
  payload: z.object({}),
  async run(_, services) {
    const switches = await services.switches({ isFreshNeeded: true })
    const counts = { parked: 0, events: 0, nudges: 0, redriven: 0, resolved: 0, partitions: 0, failed: 0 }
    // One part that fails (Redis away, say) must not keep the others from their work.
    const part = async (name: keyof typeof counts, work: () => Promise<number>): Promise<void> => {
      try {
        counts[name] += await work()
      } catch (error) {
        counts.failed += 1
        services.log.warn("sweep_part_failed", { job: "sweep", reason: name, error })
      }
    }
    await part("parked", () => drainParked(services))
    if (switches.WEBHOOK_PROCESSING_ENABLED) await part("events", () => finishEvents(services))
    await part("redriven", () => redriveDead(services))
    if (switches.SCHEDULER_ENABLED && switches.NOTIFICATIONS_ENABLED && !switches.ROLLBACK_MODE) {
      await part("nudges", () => sendOverdue(services))
    }
    await part("resolved", () => askForCustomers(services))
    if (services.now().getUTCMinutes() === 0) {
      await part("partitions", () => ensurePartitions(services.db, services.now(), MONTHS_AHEAD))
    }
    return done("swept", counts)
  },
})

/** Deliveries that wait in Redis, in the order in which they came. Each is removed only after it is stored. */
async function drainParked(services: Services): Promise<number> {
  const waiting = await parkedInRedis(services, PARKED_MAX)
  let drained = 0
  let failures = 0
  for (const entry of waiting) {
    try {
      const result = await bringBack(services, entry.sealed)
      const refused = result.kind === "give_up" ? result.reason : null
      if (refused !== null) services.log.error("parked_delivery_refused", { reason: refused })
      await unparkFromRedis(services, entry, refused)
      drained += 1
    } catch (error) {
      // One that cannot be stored must not keep the others back; when nothing can, the next run is soon enough.
      failures += 1
      if (failures === PARKED_FAILURES_MAX) throw error
    }
  }
  return drained
}

/** Events that were recorded and then left: their worker was lost, or beaten too often. */
async function finishEvents(services: Services): Promise<number> {
  const until = services.now().getTime() + EVENTS_BUDGET_MS
  let finished = 0
  for (;;) {
    const left = await unfinishedEvents(services.db, services.now(), EVENTS_MAX)
    let progress = 0
    for (const { companyId, id } of left) {
      // One that asks a provider who does not answer takes long.
      if (services.now().getTime() > until) break
      if ((await reprocess(services, companyId, id)).isFinished) progress += 1
    }
    finished += progress
    if (left.length < EVENTS_MAX || progress === 0 || services.now().getTime() > until) return finished
  }
}

/** Nudges that are due since longer than QStash should take. */
async function sendOverdue(services: Services): Promise<number> {
  const now = services.now()
  const lease = { owner: services.newId(), until: new Date(now.getTime() + LEASE_MS) }
  const dueBefore = new Date(now.getTime() - OVERDUE_MS)
  const claimed = await claimDueNudges(services.db, { now, dueBefore, lease, limit: NUDGES_MAX })
  await sendAll(services, claimed, lease.owner)
  return claimed.length
}

/** QStash gives up after its last retry; an outage that outlasts it must not be the end. */
async function redriveDead({ config, qstash }: Services): Promise<number> {
  const ours = new Set([`${config.appUrl}/jobs/ingest`, `${config.appUrl}/jobs/nudges`])
  let redriven = 0
  let cursor: string | null = null
  for (let pages = 0; pages < DEAD_PAGES_MAX; pages++) {
    const page = await qstash.listDead({ limit: DEAD_PER_PAGE, ...(cursor !== null && { cursor }) })
    // 489 is our own "never again"; a person may still look at those.
    const worthwhile = page.messages.filter((message) => ours.has(message.url) && message.responseStatus !== 489)
    if (worthwhile.length > 0) await qstash.redriveDead(worthwhile.map((message) => message.dlqId))
    redriven += worthwhile.length
    cursor = page.cursor
    if (cursor === null) break
  }
  return redriven
}

/** Asks the provider whose object a waiting fact is about. */
async function askForCustomers(services: Services): Promise<number> {
  const before = new Date(services.now().getTime() - ASK_AFTER_MS)
  const waiting = await waitingObjects(services.db, before, OBJECTS_MAX)
  let resolved = 0
  for (const object of waiting) {
    if (await resolveObject(services, object)) resolved += 1
  }
  return resolved
}
