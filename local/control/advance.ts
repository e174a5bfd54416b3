import { setTimeout as sleep } from "node:timers/promises"
import type { Faults } from "../faults.ts"
import type { CronTicker } from "../processes/cron-ticker.ts"
import type { Qstash } from "../qstash/server.ts"
import { parseDurationMs, type VirtualClock } from "../time/clock.ts"
import type { Heartbeats } from "../time/heartbeats.ts"

/** The parts of the local world that act while time passes. */
export type AdvanceParts = {
  readonly clock: VirtualClock
  readonly qstash: Pick<Qstash, "nextDueAt" | "slotOf" | "fireSchedules" | "fireDue" | "idle">
  readonly cron: Pick<CronTicker, "fireDue" | "idle" | "slotAtOrAfter">
  readonly faults: Pick<Faults, "activity">
  readonly heartbeats: Pick<Heartbeats, "areLive">
  readonly workerUrl: () => string | null
  /** The operator's key: without it health shows no counts. */
  readonly apiKey: () => string | null
}

/** How an advance ended. */
export type AdvanceResult = {
  readonly now: Date
  /** Webhook events that the Worker had not finished when waiting ended; null when unknown. */
  readonly pending: number | null
}

/** Time could not be moved within the bounds below. */
export class AdvanceTimeout extends Error {}

/** Long enough for a year of half-day steps with work in between. */
const STEPS_MAX = 5_000
/** Below the five minutes after which common HTTP clients give up waiting for an answer. */
const ADVANCE_MS_MAX = 280_000
/** A frequent schedule must not skip days in one step. */
const STEP_MS_MAX = 12 * 60 * 60 * 1_000
/** Without live heartbeats, the jobs that run find what is due however much time has passed; some of it is in no report. */
const QUIET_STEP_MS_MAX = 24 * 60 * 60 * 1_000
/** A delivery may take 30 seconds; one that hangs longer is not awaited. */
const IDLE_MS_MAX = 35_000
const PENDING_MS_MAX = 20_000
const SETTLE_POLL_MS = 100
/** Waiting ends when the number of pending events stays the same for this many polls without any request. */
const STABLE_POLLS = 10
/** Work of the Worker after its answers is awaited for at most this long. */
const IDLE_TIMEOUT_MS = 20_000
const IDLE_CHECK_MS = 20
const WORKER_ANSWER_MS_MAX = 5_000
/** Work that is still due after this many slots is stuck; time moves on without it. */
const TRIES_PER_DUE_MAX = 3
/** The reminders job runs every five minutes; its last run before a nudge is due publishes it, if no earlier one has. */
const REMINDERS_MS = 5 * 60_000
/** Two jobs at one slot may conflict, so the minutes after the slot are run too, at most this many. */
const MINUTES_AFTER_MAX = 2

/**
 * Finishes what is due now, then moves time forward by `duration`, from one due time to the next, and runs what is due:
 * QStash's messages and schedules, cron triggers, and the work that the Worker reports as due. Resolves when everything
 * is finished and the Worker makes no more requests. Throws `DurationError` for an invalid duration and
 * `AdvanceTimeout` when the bounds above are exceeded.
 */
export async function advance(parts: AdvanceParts, duration: string): Promise<AdvanceResult> {
  const { clock } = parts
  const target = new Date(clock.now().getTime() + parseDurationMs(duration))
  const deadlineMs = Date.now() + ADVANCE_MS_MAX
  const work = createWorkWatch(parts)

  // Running work ends before time moves: a send during which hours pass would look lost.
  await waitUntilDone(parts)
  for (let steps = 1; ; steps += 1) {
    const next = await nextStop(parts, work, target)
    clock.advanceTo(next)
    parts.qstash.fireSchedules()
    parts.cron.fireDue()
    await settle(parts, deadlineMs)
    if (next.getTime() >= target.getTime()) break
    if (steps >= STEPS_MAX) throw new AdvanceTimeout(`stopped at ${clock.now().toISOString()} after ${STEPS_MAX} steps`)
    if (Date.now() > deadlineMs) {
      throw new AdvanceTimeout(`stopped at ${clock.now().toISOString()} after ${ADVANCE_MS_MAX / 1_000} seconds`)
    }
  }
  const pending = await waitUntilIdle(parts)
  await waitUntilDone(parts)
  return { now: clock.now(), pending }
}

/** The next time at which something is due, never beyond `target`. */
async function nextStop({ clock, qstash, heartbeats }: AdvanceParts, work: WorkWatch, target: Date): Promise<Date> {
  const now = clock.now()
  const stepMs = heartbeats.areLive() ? STEP_MS_MAX : QUIET_STEP_MS_MAX
  const stops = [target, new Date(now.getTime() + stepMs), qstash.nextDueAt(), await work.nextSlot(now)]
  return new Date(Math.min(...stops.filter((stop) => stop !== null).map((stop) => stop.getTime())))
}

async function settle({ qstash, cron }: Pick<AdvanceParts, "qstash" | "cron">, deadlineMs: number): Promise<void> {
  await qstash.fireDue()
  const limit = new AbortController()
  const waitMs = Math.max(0, Math.min(IDLE_MS_MAX, deadlineMs - Date.now()))
  const timeout = sleep(waitMs, undefined, { signal: limit.signal }).catch(() => {})
  await Promise.race([Promise.all([cron.idle(), qstash.idle()]), timeout])
  limit.abort()
}

type WorkWatch = { nextSlot(now: Date): Promise<Date | null> }

/** Watches what the Worker reports as due next, and when the reminders job would process it. */
function createWorkWatch({ qstash, cron, workerUrl }: AdvanceParts): WorkWatch {
  const tries = new Map<string, number>()
  let slotMs: number | null = null
  let minutesAfter = 0
  return {
    async nextSlot(now) {
      const report = await getJson(workerUrl(), "/api/scheduler/reminders")
      const dueText = report?.nextDueAt
      if (typeof dueText !== "string") return null
      const dueMs = Date.parse(dueText)
      if (Number.isNaN(dueMs)) return null
      if (dueMs <= now.getTime()) {
        const tried = (tries.get(dueText) ?? 0) + 1
        tries.set(dueText, tried)
        if (tried > TRIES_PER_DUE_MAX) return null
      }
      const earliest = new Date(Math.max(dueMs, now.getTime() + 1))
      const minute = cron.slotAtOrAfter(earliest)
      const isLeftAfterSlot = slotMs !== null && now.getTime() >= slotMs && Number(report?.due) > 0
      slotMs = null
      if (isLeftAfterSlot && minute !== null && minutesAfter < MINUTES_AFTER_MAX) {
        minutesAfter += 1
        return minute
      }
      const ahead = qstash.slotOf("reminders", new Date(Math.max(dueMs - REMINDERS_MS + 1, now.getTime() + 1)))
      if (ahead !== null && ahead.getTime() <= dueMs) return ahead
      const slot = qstash.slotOf("reminders", earliest) ?? minute ?? earliest
      slotMs = slot.getTime()
      return slot
    },
  }
}

/**
 * Waits until no events are pending. Events that wait for a later attempt are pending too; their number does not
 * change.
 */
async function waitUntilIdle({ faults, workerUrl, apiKey }: AdvanceParts): Promise<number | null> {
  const deadlineMs = Date.now() + PENDING_MS_MAX
  let last: number | null = null
  let stablePolls = 0
  for (;;) {
    const health = await getJson(workerUrl(), "/api/health/webhooks", apiKey())
    const pending = health?.pending
    if (typeof pending !== "number") return null
    stablePolls = pending === last && faults.activity().underWay === 0 ? stablePolls + 1 : 0
    last = pending
    if (pending === 0 || stablePolls >= STABLE_POLLS || Date.now() >= deadlineMs) return pending
    await sleep(SETTLE_POLL_MS)
  }
}

/** Resolves when no delivery is in progress or due, and the Worker makes no more requests. */
export async function waitUntilDone(
  parts: Pick<AdvanceParts, "qstash" | "cron" | "faults" | "workerUrl">,
): Promise<void> {
  // The Worker's last work may have published a message that is due at once, so this repeats until nothing new begins.
  const deadlineMs = Date.now() + IDLE_TIMEOUT_MS
  let before: number
  do {
    before = parts.faults.activity().begun
    await settle(parts, deadlineMs)
    await waitUntilRequestsDone(parts)
  } while (parts.faults.activity().begun !== before && Date.now() < deadlineMs)
}

/**
 * Waits until the Worker is idle: it works on after its answers, and does not report the end. All its work makes
 * requests, and a health request through it takes longer than the pause between two of them.
 */
export async function waitUntilRequestsDone({
  faults,
  workerUrl,
}: Pick<AdvanceParts, "faults" | "workerUrl">): Promise<void> {
  const deadlineMs = Date.now() + IDLE_TIMEOUT_MS
  for (;;) {
    const before = faults.activity()
    const isAlive = (await getJson(workerUrl(), "/api/health/live")) !== null
    const after = faults.activity()
    const isIdle = after.underWay === 0 && after.begun === before.begun
    if (isIdle || !isAlive || Date.now() >= deadlineMs) return
    if (after.underWay > 0) await sleep(IDLE_CHECK_MS)
  }
}

/** The JSON object of the Worker's answer, for any status; null when there is none. */
async function getJson(
  workerUrl: string | null,
  path: string,
  apiKey: string | null = null,
): Promise<Record<string, unknown> | null> {
  if (workerUrl === null) return null
  try {
    const response = await fetch(new URL(path, workerUrl), {
      headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(WORKER_ANSWER_MS_MAX),
    })
    const value: unknown = await response.json()
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null // a Worker that is down has no work
  }
}
