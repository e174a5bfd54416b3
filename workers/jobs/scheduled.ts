/** Cloudflare's Cron Triggers: the second heartbeat, which runs the same jobs as QStash's schedules. */
import { makeServices } from "../make-services.ts"
import { runJob } from "../platform/jobs/run.ts"
import { SCHEDULES } from "../platform/jobs/schedules.ts"
import type { Env } from "../platform/services.ts"
import { JOBS } from "./registry.ts"

/** Runs the jobs of one cron expression; a job that fails does not stop the others. */
export async function runScheduled(
  { cron, scheduledTime }: Pick<ScheduledController, "cron" | "scheduledTime">,
  env: Env,
  ctx: ExecutionContext,
): Promise<void> {
  const owner = crypto.randomUUID()
  const services = await makeServices(env, (work) => ctx.waitUntil(work), owner)
  const start = { source: "cron", owner, scheduledAt: new Date(scheduledTime) } as const
  for (const schedule of SCHEDULES.filter((candidate) => candidate.cron === cron)) {
    const job = JOBS.get(schedule.job)
    if (job) await runJob(job, {}, services, start).catch(() => undefined)
  }
}
