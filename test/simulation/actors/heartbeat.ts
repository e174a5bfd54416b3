/**
 * The clocks of the deployment: QStash's schedules and the platform's cron triggers. Minutes in which there is nothing to
 * find are skipped: a slot is played when something would be found at it, and now and then for nothing.
 */

import { readSpec } from "../../../local/qstash/message.ts"
import { SCHEDULES } from "../../../workers/platform/jobs/schedules.ts"
import type { Random } from "../random.ts"
import { unresolvedDeadLetters } from "../world/qstash.ts"
import { APP_URL } from "../world/targets.ts"
import type { World } from "../world/world.ts"

const MINUTE_MS = 60_000
/** The sweeper leaves a due nudge to QStash for so long. */
const OVERDUE_MS = 2 * MINUTE_MS
/** `reminders` hands over what falls due within so long. */
const PUBLISH_AHEAD_MS = 6 * MINUTE_MS
/** A provider is asked about an object when nobody has named its customer for so long, and again after twice the time. */
const LOOKUP_AFTER_MS = 10 * MINUTE_MS
/** While nothing changes, slots are played at growing distances. */
const DISTANCE_MS_MAX = 60 * MINUTE_MS

export interface HeartbeatOptions {
  /** Whether a slot is lost, or comes twice, on one of the two clocks. */
  readonly missRate: number
  readonly doubleRate: number
}

interface Work {
  readonly event: string | null
  readonly held: number
  readonly nudge: string | null
  readonly object: string | null
  readonly unclear: string | null
}

const WORK = `SELECT
  (SELECT min(next_attempt_at) FROM webhook_events WHERE status IN ('received', 'failed')) AS event,
  (SELECT count(*)::integer FROM webhook_events WHERE status = 'held') AS held,
  (SELECT min(greatest(due_at, lease_until)) FROM nudges WHERE status IN ('planned', 'sending')) AS nudge,
  (SELECT min(coalesce(asked_at + (asked_at - created_at), created_at)) FROM object_links WHERE NOT is_customer) AS object,
  (SELECT min(coalesce(asked_at + greatest(asked_at - unsettled_at, interval '5 minutes'), unsettled_at + interval '2 minutes'))
    FROM subscriptions WHERE unsettled_at IS NOT NULL) AS unclear`

export class Heartbeat {
  readonly #world: World
  readonly #random: Random
  readonly #habits: () => HeartbeatOptions
  missed = 0
  doubled = 0
  played = 0
  #plannedFor: number | null = null
  #seen = ""
  #looked = ""
  #distanceMs = MINUTE_MS

  constructor(world: World, random: Random, habits: () => HeartbeatOptions) {
    this.#world = world
    this.#random = random
    this.#habits = habits
  }

  /** Puts the next slot that would find something on the agenda. Asked whenever the world has come to rest. */
  async plan(): Promise<void> {
    const { applied, database, runtime } = this.#world
    const dead = unresolvedDeadLetters(this.#world.qstash.state)
    const looked = `${applied} ${dead}`
    if (looked === this.#looked) return
    this.#looked = looked
    const work = await database.glance<Work>(WORK)
    const parked = this.#world.redis.store.read("parked:deliveries", "stream")?.entries.length ?? 0
    const now = runtime.worldMs
    const ahead = slot(after(work.nudge, -PUBLISH_AHEAD_MS), 5)
    const candidates = [
      ahead !== null && ahead > now ? ahead : null,
      parked + dead + work.held > 0 ? 0 : null,
      after(work.event, 0),
      slot(after(work.nudge, 0), 5),
      after(work.nudge, OVERDUE_MS),
      after(work.object, LOOKUP_AFTER_MS),
      after(work.unclear, 0),
    ].filter((at) => at !== null)
    if (candidates.length === 0) return
    const wanted = slot(Math.min(...candidates), 1) ?? now
    const next = slot(now + 1, 1) ?? now
    // Dead letters that come and go are no progress.
    const seen = JSON.stringify([work, parked])
    if (wanted > now) this.#distanceMs = MINUTE_MS
    else this.#distanceMs = seen === this.#seen ? Math.min(DISTANCE_MS_MAX, this.#distanceMs * 2) : MINUTE_MS
    this.#seen = seen
    this.at(wanted > now ? wanted : next + this.#distanceMs - MINUTE_MS)
  }

  /** Looks again, although nothing has happened that anybody could see. */
  lookAgain(): void {
    this.#looked = ""
    this.#distanceMs = MINUTE_MS
  }

  /** Plays the slot of that minute. */
  at(atMs: number): void {
    if (this.#plannedFor !== null && this.#plannedFor <= atMs) return
    this.#plannedFor = atMs
    this.#world.runtime.agenda.put(atMs, "slot", () => {
      if (this.#plannedFor !== atMs) return
      this.#plannedFor = null
      return this.#play(atMs)
    })
  }

  async #play(atMs: number): Promise<void> {
    this.played += 1
    this.#looked = ""
    const due = SCHEDULES.filter(
      ({ job, cron }) => isPlayed(job) && (cron === "* * * * *" || atMs % (5 * MINUTE_MS) === 0),
    )
    const { missRate, doubleRate } = this.#habits()
    // What becomes of a slot hangs on which one it is.
    const random = this.#random.fork(String(atMs))
    const draws = [this.#times(random, missRate, doubleRate), this.#times(random, missRate, doubleRate)]
    // One clock is enough to see that the work gets done; both strike at once often enough to meet.
    const [byCron = 0, byQstash = 0] = random.chance(0.25) ? draws : random.shuffled([draws[0] ?? 1, 0])
    for (const { job, cron } of due) {
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
 * The provider's lists of this world know nothing, so comparing with them would only tell of the past anew. Milestones and
 * scores are said to nobody by the clock, so an hour's run of them only costs time.
 */
const NOT_PLAYED: ReadonlySet<string> = new Set([
  "reconcile",
  "milestones",
  "rescore",
  "interventions",
  "drift",
  "retrain",
])
const isPlayed = (job: string): boolean => !NOT_PLAYED.has(job)

const after = (at: string | Date | null, ms: number): number | null =>
  at === null ? null : new Date(at).getTime() + ms

/** The first slot of so many minutes at or after that moment. */
const slot = (atMs: number | null, minutes: number): number | null =>
  atMs === null ? null : Math.ceil(atMs / (minutes * MINUTE_MS)) * minutes * MINUTE_MS
