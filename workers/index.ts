/** The deployable: HTTP requests, and the cron triggers as a second heartbeat beside QStash's schedules. */
import { app } from "./app.ts"
import { runScheduled } from "./jobs/scheduled.ts"
import type { Env } from "./platform/services.ts"

export default {
  fetch: app.fetch,
  scheduled: (controller, env, ctx) => ctx.waitUntil(runScheduled(controller, env, ctx)),
} satisfies ExportedHandler<Env>
