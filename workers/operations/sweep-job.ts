/**
 * Every minute: finishes unfinished work that it finds in the stores: deliveries in the fallback queue, events that
 * were not folded, dead letters, due nudges that QStash did not deliver, objects without a customer, subscriptions
 * whose snapshots contradict each other, events whose account was registered since, flags that one store lacks, addresses
 * and names without an index, notifications of quarantines. Every hour it creates partitions and deletes old unmapped
 * events.
 */
import * as z from "zod"
import { unsettledSubscriptions } from "../../db/queries/reconcile/unsettled.ts"
import { claimDueNudges } from "../../db/queries/recovery/nudges.ts"
import { ensurePartitions, unfinishedEvents, waitingObjects } from "../../db/queries/recovery/sweep.ts"
import { syncFlagStores } from "../platform/flags.ts"
import { defineJob, done, LeaseLost, type RunHeartbeat } from "../platform/jobs/job.ts"
import {
  DEAD_LETTER_PAGE_SUBREQUESTS,
  EVENT_SUBREQUESTS,
  FALLBACK_SUBREQUESTS,
  NUDGE_SUBREQUESTS,
  OBJECT_SUBREQUESTS,
  SETTLE_SUBREQUESTS,
  UNMAPPED_SUBREQUESTS,
} from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, isEnabledFor, PROCESSING_SWITCH, SCHEDULER_SWITCH } from "../platform/switches.ts"
import { settleSubscription } from "../reconcile/settle-subscription.ts"
import { indexAddresses } from "../recovery/customers/index-addresses.ts"
import { sendNudges } from "../recovery/nudges/nudges-job.ts"
import { announceQuarantines } from "../recovery/quarantine.ts"
import { fallbackInRedis, removeFromRedisFallback } from "../webhooks/fallback-queue.ts"
import { restoreDelivery } from "../webhooks/ingest-job.ts"
import { ingestMapped, purgeUnmapped } from "../webhooks/process-unmapped.ts"
import { reprocess } from "../webhooks/replay/reprocess.ts"
import { resolveCustomerOfObject } from "../webhooks/resolve-customers.ts"

/** Bounds of one run: it must end well before the next one, a minute later. */
const FALLBACK_MAX = 200
const FALLBACK_FAILURES_MAX = 3
const EVENTS_MAX = 50
const NUDGES_MAX = 20
/** The time that one run spends on a backlog of events. */
const EVENTS_BUDGET_MS = 25_000
const DEAD_LETTERS_PER_PAGE = 50
const DEAD_LETTER_PAGES_MAX = 20
const OBJECTS_MAX = 10
const UNSETTLED_MAX = 10

/** QStash has this long to deliver a due nudge; after that the sweep sends it. */
const OVERDUE_MS = 120_000
const LEASE_MS = 120_000

/**
 * An object link usually arrives within seconds. After this time the provider is called, and not more often than this.
 */
const LOOKUP_AFTER_MS = 10 * 60_000

/** Calls that a backlog leaves for the later parts: two pages of dead letters, and claiming and sending one nudge. */
const RESERVED_SUBREQUESTS = 2 * DEAD_LETTER_PAGE_SUBREQUESTS + 1 + NUDGE_SUBREQUESTS

/** Months for which partitions are created in advance. */
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
    // One part that fails (Redis is unavailable, say) must not stop the others.
    const part = async (name: keyof typeof counts, work: () => Promise<number>): Promise<void> => {
      await progress.extendLease()
      try {
        counts[name] += await work()
      } catch (error) {
        if (error instanceof LeaseLost) throw error
        counts.failed += 1
        services.log.warn("sweep_part_failed", { job: "sweep", reason: name, error })
      }
    }
    const hasBudget: HasBudget = async (cost) => {
      await progress.extendLease()
      if (services.budget.hasRoomFor(cost)) return true
      counts.cutShort = 1
      return false
    }
    const reservation = services.budget.reserve(RESERVED_SUBREQUESTS)
    await part("parked", () => drainFallback(services, hasBudget))
    await part("events", () => finishEvents(services, hasBudget))
    reservation?.release()
    await part("redriven", () => redriveDeadLetters(services, hasBudget))
    await part("nudges", async () =>
      sendOverdue(services, await enabledCompanies(services, flags, SCHEDULER_SWITCH), {
        progress,
        hasBudget,
      }),
    )
    await part("resolved", () => lookUpCustomers(services, hasBudget))
    await part("settled", async () =>
      settleSubscriptions(services, await enabledCompanies(services, flags, PROCESSING_SWITCH), hasBudget),
    )
    await part("mapped", () => ingestMapped(services, () => hasBudget(UNMAPPED_SUBREQUESTS)))
    await part("flags", () => syncFlagStores(services))
    await part("indexed", () => indexAddresses(services, hasBudget))
    await part("quarantines", () => announceQuarantines(services, hasBudget))
    if (services.now().getUTCMinutes() === 0) {
      await part("partitions", () => ensurePartitions(services.db, services.now(), MONTHS_AHEAD))
      await part("forgotten", () => purgeUnmapped(services))
    }
    // The later parts rarely need all that a backlog leaves for them.
    if (counts.cutShort > 0) await part("events", () => finishEvents(services, hasBudget))
    return done("swept", counts)
  },
})

/** Extends the lease, and returns whether the budget has room for this many subrequests; if not, `cutShort` is set. */
type HasBudget = (cost: number) => Promise<boolean>

/** Deliveries in the Redis fallback queue, in order of arrival. Each is removed only after it is stored. */
async function drainFallback(services: Services, hasBudget: HasBudget): Promise<number> {
  const waiting = await fallbackInRedis(services, FALLBACK_MAX)
  let drained = 0
  let failures = 0
  for (const entry of waiting) {
    if (!(await hasBudget(FALLBACK_SUBREQUESTS))) break
    try {
      const result = await restoreDelivery(services, entry.sealed)
      const refused = result.kind === "give_up" ? result.reason : null
      if (refused !== null) services.log.error("fallback_delivery_rejected", { reason: refused })
      await removeFromRedisFallback(services, entry, refused)
      drained += 1
    } catch (error) {
      // One that cannot be stored must not hold up the others; after several failures the rest waits for the next run.
      failures += 1
      if (failures === FALLBACK_FAILURES_MAX) throw error
    }
  }
  return drained
}

/** Events that were recorded and not processed: their Worker was ended, or lost too many conflicts. */
async function finishEvents(services: Services, hasBudget: HasBudget): Promise<number> {
  const until = services.now().getTime() + EVENTS_BUDGET_MS
  let finished = 0
  for (;;) {
    if (!(await hasBudget(1 + EVENT_SUBREQUESTS))) return finished
    const companies = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH)
    if (companies?.length === 0) return finished
    const left = await unfinishedEvents(services.db, services.now(), EVENTS_MAX, companies)
    let finishedNow = 0
    for (const { companyId, id } of left) {
      // An event whose provider does not answer takes long.
      if (services.now().getTime() > until) break
      // Before the flags, which may be read again, and after them.
      if (!(await hasBudget(EVENT_SUBREQUESTS))) return finished + finishedNow
      // A switch must take effect sooner than a backlog ends.
      if (!isEnabledFor(await services.flags({ isFreshNeeded: true }), PROCESSING_SWITCH, companyId)) continue
      if (!(await hasBudget(EVENT_SUBREQUESTS))) return finished + finishedNow
      if ((await reprocess(services, companyId, id)).isFinished) finishedNow += 1
    }
    finished += finishedNow
    if (left.length < EVENTS_MAX || finishedNow === 0 || services.now().getTime() > until) return finished
  }
}

/** Sends nudges that have been due for longer than QStash should take. */
async function sendOverdue(
  services: Services,
  companies: readonly string[] | null,
  { progress, hasBudget }: { readonly progress: RunHeartbeat; readonly hasBudget: HasBudget },
): Promise<number> {
  if (companies?.length === 0 || !(await hasBudget(1 + NUDGE_SUBREQUESTS))) return 0
  const now = services.now()
  const lease = { owner: services.newId(), until: new Date(now.getTime() + LEASE_MS) }
  const dueBefore = new Date(now.getTime() - OVERDUE_MS)
  const claimed = await claimDueNudges(services.db, { now, dueBefore, lease, limit: NUDGES_MAX, companies })
  const { no_room: unsent = 0 } = await sendNudges(services, claimed, lease.owner, progress)
  return claimed.length - unsent
}

/**
 * Redrives dead letters: an outage may last longer than QStash's last retry. Each job's are listed separately, so that
 * a backlog of one does not hide the other; deliveries come first, since there may be no other copy of them.
 */
async function redriveDeadLetters(services: Services, hasBudget: HasBudget): Promise<number> {
  return (
    (await redriveDeadLettersOf(services, "ingest", hasBudget)) +
    (await redriveDeadLettersOf(services, "nudges", hasBudget))
  )
}

async function redriveDeadLettersOf({ config, qstash }: Services, job: string, hasBudget: HasBudget): Promise<number> {
  let redriven = 0
  let cursor: string | null = null
  for (let pages = 0; pages < DEAD_LETTER_PAGES_MAX; pages++) {
    if (!(await hasBudget(DEAD_LETTER_PAGE_SUBREQUESTS))) break
    const url = `${config.appUrl}/jobs/${job}`
    const page = await qstash.listDeadLetters({ url, limit: DEAD_LETTERS_PER_PAGE, ...(cursor !== null && { cursor }) })
    // 489 is our own status for "do not retry"; these stay for an operator.
    const retryable = page.messages.filter((message) => message.url === url && message.responseStatus !== 489)
    if (retryable.length > 0) await qstash.redriveDeadLetters(retryable.map((message) => message.dlqId))
    redriven += retryable.length
    cursor = page.cursor
    if (cursor === null) break
  }
  return redriven
}

/** Asks the provider for the customers of objects that facts wait for. */
async function lookUpCustomers(services: Services, hasBudget: HasBudget): Promise<number> {
  if (!(await hasBudget(1))) return 0
  const before = new Date(services.now().getTime() - LOOKUP_AFTER_MS)
  const waiting = await waitingObjects(services.db, before, OBJECTS_MAX)
  let resolved = 0
  for (const object of waiting) {
    if (!(await hasBudget(OBJECT_SUBREQUESTS))) break
    if (await resolveCustomerOfObject(services, object)) resolved += 1
  }
  return resolved
}

/** Reads from the provider the subscriptions for which it sent two different states with the same second. */
async function settleSubscriptions(
  services: Services,
  companies: readonly string[] | null,
  hasBudget: HasBudget,
): Promise<number> {
  if (companies?.length === 0 || !(await hasBudget(1))) return 0
  const now = services.now()
  const unsettled = await unsettledSubscriptions(services.db, { now, limit: UNSETTLED_MAX, companies })
  let settled = 0
  for (const found of unsettled) {
    if (!(await hasBudget(SETTLE_SUBREQUESTS))) break
    if (await settleSubscription(services, found)) settled += 1
  }
  return settled
}
