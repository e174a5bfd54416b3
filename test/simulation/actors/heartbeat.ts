/**
 * The two triggers of the deployment: QStash's schedules and Cron Triggers. Minutes without pending work are skipped: a slot
 * runs when there is work for one of its jobs, and the other job then runs now and then.
 */

import { readSpec } from "../../../local/qstash/message.ts"
import { SCHEDULES } from "../../../workers/platform/jobs/schedules.ts"
import type { Random } from "../random.ts"
import { unresolvedDeadLetters } from "../world/qstash.ts"
import { APP_URL } from "../world/targets.ts"
import type { World } from "../world/world.ts"

const MINUTE_MS = 60_000
/** `sweep` leaves a due nudge to QStash for so long. */
const OVERDUE_MS = 2 * MINUTE_MS
/** `reminders` publishes what is due within so long. */
const PUBLISH_AHEAD_MS = 6 * MINUTE_MS
/** An object without a known customer is looked up after so long, and again after twice the time. */
const LOOKUP_AFTER_MS = 10 * MINUTE_MS
/** While nothing changes, slots run at growing intervals. */
const INTERVAL_MS_MAX = 60 * MINUTE_MS

export interface HeartbeatOptions {
  /** How often a slot is missed or doubled by one of the two triggers. */
  readonly missRate: number
  readonly doubleRate: number
  /** How often a job without work runs in a slot that runs for the other one. */
  readonly idleRate: number
}

interface PendingWork {
  readonly event: string | null
  readonly held: number
  readonly nudge: string | null
  readonly object: string | null
  readonly unclear: string | null
}

const PENDING_WORK = `SELECT
  (SELECT min(next_attempt_at) FROM webhook_events WHERE status IN ('received', 'failed')) AS event,
  (SELECT count(*)::integer FROM webhook_events WHERE status = 'held') AS held,
  (SELECT min(greatest(due_at, lease_until)) FROM nudges WHERE status IN ('planned', 'sending')) AS nudge,
  (SELECT min(coalesce(asked_at + (asked_at - created_at), created_at)) FROM object_links WHERE NOT is_customer) AS object,
  (SELECT min(coalesce(asked_at + greatest(asked_at - unsettled_at, interval '5 minutes'), unsettled_at + interval '2 minutes'))
    FROM subscriptions WHERE unsettled_at IS NOT NULL) AS unclear`

export class Heartbeat {
  readonly #world: World
  readonly #random: Random
  readonly #options: () => HeartbeatOptions
  missed = 0
  doubled = 0
  slots = 0
  #plannedFor: number | null = null
  #seen = ""
  /** When each job has work. */
  #dueMs: Readonly<Record<string, number>> = {}
  #plannedAt = ""
  /** What was read last, and after how many requests to Postgres. */
  #pending: { readonly requests: number; readonly work: PendingWork } | null = null
  #intervalMs = MINUTE_MS

  constructor(world: World, random: Random, options: () => HeartbeatOptions) {
    this.#world = world
    this.#random = random
    this.#options = options
  }

  /** Puts the next slot with work on the agenda. Called whenever no task is running. */
  async plan(): Promise<void> {
    const { applied, runtime } = this.#world
    const dead = unresolvedDeadLetters(this.#world.qstash.state)
    const version = `${applied} ${dead}`
    if (version === this.#plannedAt) return
    this.#plannedAt = version
    const work = await this.#pendingWork()
    const fallback = this.#world.redis.store.read("parked:deliveries", "stream")?.entries.length ?? 0
    const now = runtime.worldMs
    const ahead = slot(after(work.nudge, -PUBLISH_AHEAD_MS), 5)
    const forSweep = [
      fallback + dead + work.held > 0 ? 0 : null,
      after(work.event, 0),
      after(work.nudge, OVERDUE_MS),
      after(work.object, LOOKUP_AFTER_MS),
      after(work.unclear, 0),
    ].filter((at) => at !== null)
    this.#dueMs = {
      sweep: Math.min(...forSweep),
      reminders: after(work.nudge, -PUBLISH_AHEAD_MS) ?? Number.POSITIVE_INFINITY,
    }
    const forReminders = [ahead !== null && ahead > now ? ahead : null, slot(after(work.nudge, 0), 5)]
    const candidates = [...forSweep, ...forReminders.filter((at) => at !== null)]
    if (candidates.length === 0) return
    const wanted = slot(Math.min(...candidates), 1) ?? now
    const next = slot(now + 1, 1) ?? now
    // Dead letters that appear and disappear are not progress.
    const seen = JSON.stringify([work, fallback])
    if (wanted > now) this.#intervalMs = MINUTE_MS
    else this.#intervalMs = seen === this.#seen ? Math.min(INTERVAL_MS_MAX, this.#intervalMs * 2) : MINUTE_MS
    this.#seen = seen
    this.at(wanted > now ? wanted : next + this.#intervalMs - MINUTE_MS)
  }

  /** Read again only after a request to Postgres: other effects change no rows. */
  async #pendingWork(): Promise<PendingWork> {
    const { queries, database } = this.#world
    if (this.#pending?.requests !== queries.length) {
      this.#pending = { requests: queries.length, work: await database.readOne<PendingWork>(PENDING_WORK) }
    }
    return this.#pending.work
  }

  /** Plans again although nothing has changed. */
  planAgain(): void {
    this.#plannedAt = ""
    this.#intervalMs = MINUTE_MS
  }

  /** Runs the slot of that minute. */
  at(atMs: number): void {
    if (this.#plannedFor !== null && this.#plannedFor <= atMs) return
    this.#plannedFor = atMs
    this.#world.runtime.agenda.put(atMs, "slot", () => {
      if (this.#plannedFor !== atMs) return
      this.#plannedFor = null
      return this.#runSlot(atMs)
    })
  }

  async #runSlot(atMs: number): Promise<void> {
    this.slots += 1
    this.#plannedAt = ""
    const due = SCHEDULES.filter(
      ({ job, cron }) => isIncluded(job) && (cron === "* * * * *" || atMs % (5 * MINUTE_MS) === 0),
    )
    const { missRate, doubleRate, idleRate } = this.#options()
    // The outcome of a slot depends only on the slot.
    const random = this.#random.fork(String(atMs))
    const isRun = (job: string): boolean =>
      (this.#dueMs[job] ?? 0) <= atMs || idleRate === 1 || random.fork(job).chance(idleRate)
    const counts = [this.#times(random, missRate, doubleRate), this.#times(random, missRate, doubleRate)]
    // Usually one of the two triggers, at times both at once.
    const [byCron = 0, byQstash = 0] = random.chance(0.25) ? counts : random.shuffled([counts[0] ?? 1, 0])
    for (const { job, cron } of due.filter(({ job }) => isRun(job))) {
      for (let time = 0; time < byQstash; time++) this.#publish(job)
      for (let time = 0; time < byCron; time++) await this.#world.trigger(cron)
    }
  }

  #times(random: Random, missRate: number, doubleRate: number): number {
    const [isMissed, isDoubled] = [random.chance(missRate), random.chance(doubleRate)]
    if (isMissed) {
      this.missed += 1
      return 0
    }
    if (!isDoubled) return 1
    this.doubled += 1
    return 2
  }

  #publish(job: string): void {
    const headers = new Headers({ "upstash-retries": "0", "content-type": "application/json" })
    this.#world.qstash.accept(readSpec({ destination: `${APP_URL}/jobs/${job}`, headers, body: Buffer.from("{}") }))
  }
}

/**
 * The provider's lists are empty here, so reconciliation would only import history. Milestones and scores of scheduled runs
 * have no effect on other invariants, and cost time.
 */
const EXCLUDED_JOBS: ReadonlySet<string> = new Set([
  "reconcile",
  "milestones",
  "rescore",
  "interventions",
  "drift",
  "retrain",
])
const isIncluded = (job: string): boolean => !EXCLUDED_JOBS.has(job)

const after = (at: string | Date | null, ms: number): number | null =>
  at === null ? null : new Date(at).getTime() + ms

/** The first slot of so many minutes at or after that moment. */
const slot = (atMs: number | null, minutes: number): number | null =>
  atMs === null ? null : Math.ceil(atMs / (minutes * MINUTE_MS)) * minutes * MINUTE_MS
