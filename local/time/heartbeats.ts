/**
 * The heartbeats of a world: QStash's schedules and the Cron Triggers. In a world for tests only those of some jobs run, and
 * only while the clock is moved, so that none runs between two steps of a test. QStash then is their only trigger while it
 * delivers; the Cron Triggers, which would repeat each run, take over while it does not.
 */

/** All heartbeats at their times; or those of these jobs, while the clock is moved. */
export type RunningHeartbeats = "live" | readonly string[]

export type Heartbeats = {
  running(): RunningHeartbeats
  set(running: RunningHeartbeats): void
  /** Back to those of the start. */
  reset(): void
  /** Whether they run by themselves. */
  areLive(): boolean
  /** Whether QStash's schedule with this destination runs. */
  isScheduleOn(url: string): boolean
  /** Calls `listener` after every change, so that timers can be set again. */
  onChange(listener: () => void): void
}

/** Creates heartbeats that are `initial`. */
export function createHeartbeats(initial: RunningHeartbeats = "live"): Heartbeats {
  let running = initial
  const listeners: (() => void)[] = []

  function set(next: RunningHeartbeats): void {
    running = next
    for (const listener of listeners) listener()
  }

  return {
    running: () => running,
    set,
    reset: () => set(initial),
    areLive: () => running === "live",
    isScheduleOn: (url) => running === "live" || running.some((job) => new URL(url).pathname.endsWith(`/${job}`)),
    onChange: (listener) => void listeners.push(listener),
  }
}
