import { setTimeout as sleep } from "node:timers/promises"
import { parseDurationMs, type VirtualClock } from "./clock.ts"
import type { Faults } from "./faults.ts"
import type { CronTicker } from "./processes/cron-ticker.ts"
import type { Qstash } from "./qstash/server.ts"

/** What has to happen while time passes. */
export type AdvanceParts = {
  readonly clock: VirtualClock
  readonly qstash: Pick<Qstash, "nextDueAt" | "slotOf" | "fireDue" | "idle">
  readonly cron: Pick<CronTicker, "fireDue" | "slotAtOrAfter">
  readonly faults: Pick<Faults, "activity">
  readonly workerUrl: () => string | null
  /** The operator's key: health tells figures to whoever holds one only. */
  readonly apiKey: () => string | null
}

/** How an advance ended. */
export type AdvanceResult = {
  readonly now: Date
  /** Webhook events the Worker had not finished when waiting for them ended; null when it does not say. */
  readonly pending: number | null
}

/** Time could not be moved within the bounds below. */
export class AdvanceTimeout extends Error {}

/** Long enough for a year of half-day steps with work in between. */
const STEPS_MAX = 5_000
/** Below the five minutes after which common HTTP clients give up waiting for an answer. */
const ADVANCE_MS_MAX = 280_000
/** A schedule that should run often must not see days pass in one leap. */
const STEP_MS_MAX = 12 * 60 * 60 * 1_000
/** A delivery may take 30 seconds; one that hangs longer is left behind. */
const IDLE_MS_MAX = 35_000
const PENDING_MS_MAX = 20_000
const SETTLE_POLL_MS = 100
/** So often in a row the same number pends while nobody is asked for anything: then it is left as it is. */
const STABLE_POLLS = 10
/** What the Worker does after its answers takes a moment; what takes longer than this is not waited for. */
const IDLE_TIMEOUT_MS = 20_000
const IDLE_CHECK_MS = 20
const WORKER_ANSWER_MS_MAX = 5_000
/** Work that stays due although its slot has come several times is stuck; time goes on without it. */
const TRIES_PER_DUE_MAX = 3
/** The reminders job hands to QStash what falls due within this time; what it did not see is found at the slot after. */
const PUBLISH_AHEAD_MS = 6 * 60_000
/** Where two jobs meet at a slot, one may hold what the other seeks: so often the minute after such a slot is played too. */
const MINUTES_AFTER_MAX = 2

/**
 * Lets what is due now end, then moves time forward by `duration`, from one thing that falls due to the next, and lets
 * each happen: messages of QStash, its schedules, cron triggers, and the work that the Worker itself says is due. Resolves
 * when all has settled and the Worker asks nothing of anybody any more. Throws `DurationError` for what is no duration and
 * `NotSettled` when the bounds above do not suffice.
 */
export async function advance(parts: AdvanceParts, duration: string): Promise<AdvanceResult> {
  const { clock } = parts
  const target = new Date(clock.now().getTime() + parseDurationMs(duration))
  const deadlineMs = Date.now() + ADVANCE_MS_MAX
  const work = createWorkWatch(parts)

  // What is under way ends in the time it began in: a send in the middle of which hours pass looks like one that was lost.
  await waitUntilDone(parts)
  for (let steps = 1; ; steps += 1) {
    const next = await nextStop(parts, work, target)
    clock.advanceTo(next)
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

/** The next moment at which something happens, never beyond `target`. */
async function nextStop({ clock, qstash }: AdvanceParts, work: WorkWatch, target: Date): Promise<Date> {
  const now = clock.now()
  const stops = [target, new Date(now.getTime() + STEP_MS_MAX), qstash.nextDueAt(), await work.nextSlot(now)]
  return new Date(Math.min(...stops.filter((stop) => stop !== null).map((stop) => stop.getTime())))
}

async function settle({ qstash, cron }: AdvanceParts, deadlineMs: number): Promise<void> {
  await qstash.fireDue()
  const limit = new AbortController()
  const waitMs = Math.max(0, Math.min(IDLE_MS_MAX, deadlineMs - Date.now()))
  const tooLong = sleep(waitMs, undefined, { signal: limit.signal }).catch(() => {})
  await Promise.race([Promise.all([cron.fireDue(), qstash.idle()]), tooLong])
  limit.abort()
}

type WorkWatch = { nextSlot(now: Date): Promise<Date | null> }

/** Watches what the Worker says is due next, and when the reminders job would come round to it. */
function createWorkWatch({ qstash, cron, workerUrl }: AdvanceParts): WorkWatch {
  const tries = new Map<string, number>()
  let slotMs: number | null = null
  let minutesAfter = 0
  return {
    async nextSlot(now) {
      const report = await ask(workerUrl(), "/api/scheduler/reminders")
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
      const ahead = qstash.slotOf("reminders", new Date(Math.max(dueMs - PUBLISH_AHEAD_MS, now.getTime() + 1)))
      if (ahead !== null && ahead.getTime() <= dueMs) return ahead
      const slot = qstash.slotOf("reminders", earliest) ?? minute ?? earliest
      slotMs = slot.getTime()
      return slot
    },
  }
}

/** Events that wait for a later try pend as well: nobody works on them, and their number stays. */
async function waitUntilIdle({ faults, workerUrl, apiKey }: AdvanceParts): Promise<number | null> {
  const deadlineMs = Date.now() + PENDING_MS_MAX
  let last: number | null = null
  let looks = 0
  for (;;) {
    const health = await ask(workerUrl(), "/api/health/webhooks", apiKey())
    const pending = health?.pending
    if (typeof pending !== "number") return null
    looks = pending === last && faults.activity().underWay === 0 ? looks + 1 : 0
    last = pending
    if (pending === 0 || looks >= STABLE_POLLS || Date.now() >= deadlineMs) return pending
    await sleep(SETTLE_POLL_MS)
  }
}

/** What the Worker did at last may have made a message that is due at once, and that is work again. */
async function waitUntilDone(parts: AdvanceParts): Promise<void> {
  const deadlineMs = Date.now() + IDLE_TIMEOUT_MS
  let before: number
  do {
    before = parts.faults.activity().begun
    await settle(parts, deadlineMs)
    await waitUntilRequestsDone(parts)
  } while (parts.faults.activity().begun !== before && Date.now() < deadlineMs)
}

/**
 * Waits until the Worker has nothing in hand: it works on after its answers, and nobody is told when that ends. Whatever it
 * does it asks somebody for, and a question that goes through it takes longer than the pause between two of those.
 */
export async function waitUntilRequestsDone({
  faults,
  workerUrl,
}: Pick<AdvanceParts, "faults" | "workerUrl">): Promise<void> {
  const deadlineMs = Date.now() + IDLE_TIMEOUT_MS
  for (;;) {
    const before = faults.activity()
    const isAlive = (await ask(workerUrl(), "/api/health/live")) !== null
    const after = faults.activity()
    const isQuiet = after.underWay === 0 && after.begun === before.begun
    if (isQuiet || !isAlive || Date.now() >= deadlineMs) return
    if (after.underWay > 0) await sleep(IDLE_CHECK_MS)
  }
}

/** A JSON object that the Worker answers with, whatever the status; null when there is none. */
async function ask(
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
    return null // a Worker that is down has nothing to wait for
  }
}
