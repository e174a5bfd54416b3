/** When jobs run by themselves. The crons are those of `wrangler.toml`; QStash's schedules are made from this list. */
export const SCHEDULES = [
  { job: "sweep", cron: "* * * * *" },
  { job: "reminders", cron: "*/5 * * * *" },
  { job: "reconcile", cron: "*/15 * * * *" },
] as const

/** True for jobs that run by the clock, and whose runs are therefore noted. */
export const isScheduled = (job: string): boolean => SCHEDULES.some((schedule) => schedule.job === job)
