/** The schedules of jobs. The crons are those of `wrangler.toml`; QStash's schedules are made from this list. */

/** The forms of a cron that are used here, all in UTC: every minute, every n minutes, hourly and daily. */
export type Cron = "* * * * *" | `*/${number} * * * *` | `${number} * * * *` | `${number} ${number} * * *`

export interface Schedule {
  readonly job: string
  readonly cron: Cron
}

export const SCHEDULES = [
  { job: "sweep", cron: "* * * * *" },
  { job: "reminders", cron: "*/5 * * * *" },
  { job: "reconcile", cron: "*/15 * * * *" },
  { job: "milestones", cron: "20 * * * *" },
  { job: "rescore", cron: "20 * * * *" },
  { job: "interventions", cron: "20 * * * *" },
  { job: "drift", cron: "20 * * * *" },
  { job: "retrain", cron: "20 * * * *" },
] as const satisfies readonly Schedule[]

/** The schedule of a job; null for jobs that run per message. */
export const scheduleOf = (job: string): Schedule | null => SCHEDULES.find((schedule) => schedule.job === job) ?? null

/** True for scheduled jobs: one run at a time, once per slot, and recorded. */
export const isScheduled = (job: string): boolean => scheduleOf(job) !== null

const MINUTE_MS = 60_000
const HOUR_MINUTES = 60
const DAY_MINUTES = 24 * HOUR_MINUTES

/** The time between two slots of a cron. */
export const intervalMs = (cron: Cron): number => timesOf(cron).everyMinutes * MINUTE_MS

/** The slot that a moment belongs to: the last one at or before it. */
export function slotAt(cron: Cron, at: Date): Date {
  const { everyMinutes, atMinute } = timesOf(cron)
  const minutes = Math.floor(at.getTime() / MINUTE_MS) - atMinute
  return new Date((Math.floor(minutes / everyMinutes) * everyMinutes + atMinute) * MINUTE_MS)
}

/** The first slot after a moment. */
export const nextSlot = (cron: Cron, after: Date): Date => new Date(slotAt(cron, after).getTime() + intervalMs(cron))

/** The slots of each form are evenly spaced from midnight UTC. Throws for steps that do not divide an hour. */
function timesOf(cron: Cron): { readonly everyMinutes: number; readonly atMinute: number } {
  const [minute = "", hour = ""] = cron.split(" ")
  if (minute === "*") return { everyMinutes: 1, atMinute: 0 }
  const step = /^\*\/(\d+)$/.exec(minute)?.[1]
  if (step !== undefined && HOUR_MINUTES % Number(step) === 0) return { everyMinutes: Number(step), atMinute: 0 }
  if (step !== undefined || !/^\d+$/.test(minute)) throw new Error(`the slots of "${cron}" are not evenly spaced`)
  if (hour === "*") return { everyMinutes: HOUR_MINUTES, atMinute: Number(minute) }
  return { everyMinutes: DAY_MINUTES, atMinute: Number(hour) * HOUR_MINUTES + Number(minute) }
}
