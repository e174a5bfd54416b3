/**
 * Every minute: finishes what anything left behind. It relies on nothing but the database's word: parked deliveries,
 * events that were not folded, nudges that nobody was told of, messages that QStash gave up, objects without a customer,
 * subscriptions whose snapshots contradict each other.
 */
import * as z from "zod"
import { claimDueNudges } from "../../db/queries/nudges.ts"
import { ensurePartitions, unfinishedEvents, waitingObjects } from "../../db/queries/sweep.ts"
import { unsettledSubscriptions } from "../../db/queries/unsettled.ts"
import { healFlags } from "../flags.ts"
import {
  DEAD_PAGE_COST,
  EVENT_COST,
  NUDGE_COST,
  OBJECT_COST,
  PARKED_COST,
  SETTLE_COST,
  UNMAPPED_COST,
} from "../outbound/costs.ts"
import { companiesWhere, mayAct, PROCESSING, SCHEDULING } from "../pipeline/acting.ts"
import { indexAddresses } from "../pipeline/index-addresses.ts"
import { parkedInRedis, unparkFromRedis } from "../pipeline/park.ts"
import { announceQuarantines } from "../pipeline/quarantine.ts"
import { settleSubscription } from "../pipeline/reconcile/settle.ts"
import { reprocess } from "../pipeline/reprocess.ts"
import { resolveObject } from "../pipeline/resolve.ts"
import { forgetUnmapped, takeInMapped } from "../pipeline/unmapped.ts"
import type { Services } from "../services.ts"
import { bringBack } from "./ingest.ts"
import { defineJob, done, type Progress, RunLost } from "./job.ts"
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
const UNSETTLED_MAX = 10

/** QStash has had this long to bring a due nudge; after that the sweeper sends it itself. */
const OVERDUE_MS = 120_000
const LEASE_MS = 120_000

/** A link usually follows within seconds; the provider is asked when it has not come after this, and not again sooner. */
const ASK_AFTER_MS = 10 * 60_000

/** Room for calls that a backlog leaves to what comes after it: two pages of the dead, and claiming and sending a nudge. */
const LEFT_FOR_OTHERS = 2 * DEAD_PAGE_COST + 1 + NUDGE_COST

/** Months for which partitions are made ahead. */
const MONTHS_AHEAD = 2

export const sweep = defineJob({
  name: "sweep",
  payload: z.object({}),
  async run(_, services, progress) {
    const flags = await services.flags({ isFreshNeeded: true })
    const counts = {
      ...{ parked: 0, events: 0, nudges: 0, redriven: 0, resolved: 0, settled: 0, partitions: 0, flags: 0 },
      ...{ mapped: 0, forgotten: 0, indexed: 0, quarantines: 0, failed: 0, cutShort: 0 },
    }
    // One part that fails (Redis away, say) must not keep the others from their work.
    const part = async (name: keyof typeof counts, work: () => Promise<number>): Promise<void> => {
      await progress.beat()
      try {
        counts[name] += await work()
      } catch (error) {
        if (error instanceof RunLost) throw error
        counts.failed += 1
        services.log.warn("sweep_part_failed", { job: "sweep", reason: name, error })
      }
    }
    const mayGoOn: MayGoOn = async (cost) => {
      await progress.beat()
      if (services.budget.hasRoomFor(cost)) return true
      counts.cutShort = 1
      return false
    }
    const forOthers = services.budget.hold(LEFT_FOR_OTHERS)
    await part("parked", () => drainParked(services, mayGoOn))
    await part("events", () => finishEvents(services, mayGoOn))
    forOthers?.release()
    await part("redriven", () => redriveDead(services, mayGoOn))
    await part("nudges", async () =>
      sendOverdue(services, await companiesWhere(services, flags, SCHEDULING), { progress, mayGoOn }),
    )
    await part("resolved", () => askForCustomers(services, mayGoOn))
    await part("settled", async () =>
      settleSubscriptions(services, await companiesWhere(services, flags, PROCESSING), mayGoOn),
    )
    await part("mapped", () => takeInMapped(services, () => mayGoOn(UNMAPPED_COST)))
    await part("flags", () => healFlags(services))
    await part("indexed", () => indexAddresses(services, mayGoOn))
    await part("quarantines", () => announceQuarantines(services, mayGoOn))
    if (services.now().getUTCMinutes() === 0) {
      await part("partitions", () => ensurePartitions(services.db, services.now(), MONTHS_AHEAD))
      await part("forgotten", () => forgetUnmapped(services))
    }
    return done("swept", counts)
  },
})

/** Whether the run is still ours and the invocation has room for one more unit of this cost; noted when it has not. */
type MayGoOn = (cost: number) => Promise<boolean>

/** Deliveries that wait in Redis, in the order in which they came. Each is removed only after it is stored. */
async function drainParked(services: Services, mayGoOn: MayGoOn): Promise<number> {
  const waiting = await parkedInRedis(services, PARKED_MAX)
  let drained = 0
  let failures = 0
  for (const entry of waiting) {
    if (!(await mayGoOn(PARKED_COST))) break
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
async function finishEvents(services: Services, mayGoOn: MayGoOn): Promise<number> {
  const until = services.now().getTime() + EVENTS_BUDGET_MS
  let finished = 0
  for (;;) {
    if (!(await mayGoOn(1 + EVENT_COST))) return finished
    const companies = await companiesWhere(services, await services.flags({ isFreshNeeded: true }), PROCESSING)
    if (companies?.length === 0) return finished
    const left = await unfinishedEvents(services.db, services.now(), EVENTS_MAX, companies)
    let finishedNow = 0
    for (const { companyId, id } of left) {
      if (!(await mayGoOn(EVENT_COST))) return finished + finishedNow
      // One that asks a provider who does not answer takes long.
      if (services.now().getTime() > until) break
      // A backlog takes longer than a switch may.
      if (!mayAct(await services.flags({ isFreshNeeded: true }), PROCESSING, companyId)) continue
      if ((await reprocess(services, companyId, id)).isFinished) finishedNow += 1
    }
    finished += finishedNow
    if (left.length < EVENTS_MAX || finishedNow === 0 || services.now().getTime() > until) return finished
  }
}

/** Nudges that are due since longer than QStash should take. */
async function sendOverdue(
  services: Services,
  companies: readonly string[] | null,
  { progress, mayGoOn }: { readonly progress: Progress; readonly mayGoOn: MayGoOn },
): Promise<number> {
  if (companies?.length === 0 || !(await mayGoOn(1 + NUDGE_COST))) return 0
  const now = services.now()
  const lease = { owner: services.newId(), until: new Date(now.getTime() + LEASE_MS) }
  const dueBefore = new Date(now.getTime() - OVERDUE_MS)
  const claimed = await claimDueNudges(services.db, { now, dueBefore, lease, limit: NUDGES_MAX, companies })
  const { no_room: unsent = 0 } = await sendAll(services, claimed, lease.owner, progress)
  return claimed.length - unsent
}

/**
 * QStash gives up after its last retry; an outage that outlasts it must not be the end. Each job's messages are asked for by
 * themselves, so that none hides behind another's: first the deliveries of which there may be no other copy.
 */
async function redriveDead(services: Services, mayGoOn: MayGoOn): Promise<number> {
  return (await redriveDeadOf(services, "ingest", mayGoOn)) + (await redriveDeadOf(services, "nudges", mayGoOn))
}

async function redriveDeadOf({ config, qstash }: Services, job: string, mayGoOn: MayGoOn): Promise<number> {
  let redriven = 0
  let cursor: string | null = null
  for (let pages = 0; pages < DEAD_PAGES_MAX; pages++) {
    if (!(await mayGoOn(DEAD_PAGE_COST))) break
    const url = `${config.appUrl}/jobs/${job}`
    const page = await qstash.listDead({ url, limit: DEAD_PER_PAGE, ...(cursor !== null && { cursor }) })
    // 489 is our own "never again"; a person may still look at those.
    const worthwhile = page.messages.filter((message) => message.url === url && message.responseStatus !== 489)
    if (worthwhile.length > 0) await qstash.redriveDead(worthwhile.map((message) => message.dlqId))
    redriven += worthwhile.length
    cursor = page.cursor
    if (cursor === null) break
  }
  return redriven
}

/** Asks the provider whose object a waiting fact is about. */
async function askForCustomers(services: Services, mayGoOn: MayGoOn): Promise<number> {
  if (!(await mayGoOn(1))) return 0
  const before = new Date(services.now().getTime() - ASK_AFTER_MS)
  const waiting = await waitingObjects(services.db, before, OBJECTS_MAX)
  let resolved = 0
  for (const object of waiting) {
    if (!(await mayGoOn(OBJECT_COST))) break
    if (await resolveObject(services, object)) resolved += 1
  }
  return resolved
}

/** Asks the provider for subscriptions of which it told two things in one second. */
async function settleSubscriptions(
  services: Services,
  companies: readonly string[] | null,
  mayGoOn: MayGoOn,
): Promise<number> {
  if (companies?.length === 0 || !(await mayGoOn(1))) return 0
  const now = services.now()
  const unsettled = await unsettledSubscriptions(services.db, { now, limit: UNSETTLED_MAX, companies })
  let settled = 0
  for (const found of unsettled) {
    if (!(await mayGoOn(SETTLE_COST))) break
    if (await settleSubscription(services, found)) settled += 1
  }
  return settled
}
