import type { VirtualClock } from "../time/clock.ts"
import type { Heartbeats } from "../time/heartbeats.ts"
import { parseCron } from "./cron.ts"
import type { Message, MessageSpec } from "./message.ts"
import type { QstashState, Schedule } from "./state.ts"

/** Publishes a message at every slot of a schedule. */
export type Scheduler = {
  /** Adds a schedule, or replaces the one with the same id, which stays paused if it was. Throws `CronError`. */
  put(schedule: { readonly scheduleId: string; readonly cron: string; readonly spec: MessageSpec }): void
  pause(scheduleId: string): boolean
  resume(scheduleId: string): boolean
  /** Publishes each due schedule that is on, once for any number of passed slots. */
  fireDue(): void
  /** The same if the heartbeats are live; otherwise nothing. */
  fireDueIfLive(): void
  /** Whether a schedule with this cron is on. */
  isOn(cron: string): boolean
  /** The first slot of `schedule` at or after `instant`. */
  slotAtOrAfter(schedule: Schedule, instant: Date): Date
  /** When the next schedule fires by itself; null when none does. */
  nextAtMs(): number | null
}

/** Creates the scheduler for `state`. */
export function createScheduler({
  state,
  clock,
  heartbeats,
  publish,
}: {
  readonly state: QstashState
  readonly clock: VirtualClock
  readonly heartbeats: Heartbeats
  readonly publish: (spec: MessageSpec) => Message
}): Scheduler {
  const nextAfterNow = (cron: string): number => parseCron(cron).next(clock.now()).getTime()

  /** Slots missed while it was stopped are not made up for, as with the real service. */
  for (const schedule of state.schedules.values()) schedule.nextAtMs = nextAfterNow(schedule.cron)

  clock.onMove(() => {
    // Only a reset moves time back; without this, a schedule would wait for a slot of the former time.
    for (const schedule of state.schedules.values()) {
      schedule.nextAtMs = Math.min(schedule.nextAtMs, nextAfterNow(schedule.cron))
    }
  })

  function setPaused(scheduleId: string, isPaused: boolean): boolean {
    const schedule = state.schedules.get(scheduleId)
    if (!schedule) return false
    schedule.isPaused = isPaused
    schedule.nextAtMs = nextAfterNow(schedule.cron)
    return true
  }

  function fireDue(): void {
    const nowMs = clock.now().getTime()
    for (const schedule of active()) {
      if (schedule.nextAtMs > nowMs) continue
      schedule.nextAtMs = nextAfterNow(schedule.cron)
      if (!heartbeats.isScheduleOn(schedule.spec.url)) continue
      schedule.lastAtMs = nowMs
      publish(schedule.spec)
    }
  }

  const active = (): Schedule[] => [...state.schedules.values()].filter((schedule) => !schedule.isPaused)

  return {
    put({ scheduleId, cron, spec }) {
      const before = state.schedules.get(scheduleId)
      state.schedules.set(scheduleId, {
        scheduleId,
        cron,
        spec: { ...spec, scheduleId },
        createdAtMs: before?.createdAtMs ?? clock.now().getTime(),
        isPaused: before?.isPaused ?? false,
        lastAtMs: before?.lastAtMs ?? null,
        nextAtMs: nextAfterNow(cron),
      })
    },
    pause: (scheduleId) => setPaused(scheduleId, true),
    resume: (scheduleId) => setPaused(scheduleId, false),
    fireDue,
    fireDueIfLive() {
      if (heartbeats.areLive()) fireDue()
    },
    isOn: (cron) => active().some((schedule) => schedule.cron === cron && heartbeats.isScheduleOn(schedule.spec.url)),
    slotAtOrAfter: ({ cron }, instant) => parseCron(cron).next(new Date(instant.getTime() - 1)),
    nextAtMs: () =>
      heartbeats.areLive()
        ? active().reduce<number | null>((next, { nextAtMs }) => Math.min(next ?? nextAtMs, nextAtMs), null)
        : null,
  }
}
