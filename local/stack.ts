/** The local world with this project's Worker and database, for `npm start`, the demo and the flows. */
import { join } from "node:path"
import { SCHEDULES } from "../workers/platform/jobs/schedules.ts"
import {
  applyChanges,
  isChurnSaverSchedule,
  isDeploymentSchedule,
  planChanges,
  qstashSchedules,
  schedulesOf,
} from "../workers/platform/qstash/schedules.ts"
import { emptyDatabase, prepareDatabase } from "./database.ts"
import type { Bundle } from "./processes/bundle.ts"
import { readCrons } from "./processes/cron-ticker.ts"
import { startWorker, WRANGLER_CONFIG } from "./processes/worker.ts"
import { serveBundle } from "./processes/workerd.ts"
import { type DevVars, readDevVars } from "./variables/dev-vars.ts"
import { startWorld, type World, type WorldOptions } from "./world.ts"

/** The company of a world whose developer names none. */
export const DEMO_COMPANY = "demo_company"

/** Any valid ids. */
const WHOP_VARS = { WHOP_COMPANY_ID: "biz_demo", WHOP_EXPERIENCE_ID: "exp_demo" }

export interface StackOptions
  extends Pick<
    WorldOptions,
    "dataDir" | "fresh" | "isTemporary" | "workerPort" | "controlPort" | "duplicates" | "heartbeats" | "startTime"
  > {
  /** The directory of `.dev.vars`. */
  readonly root: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly vars?: Readonly<Record<string, string>>
  /** The lowest level of the Worker's log that is shown; default `warn`. */
  readonly logLevel?: "warn" | "error" | "none"
  /** Serves this bundle without the development server: in less time, without static files and without a log. */
  readonly bundle?: Bundle
}

/** Starts everything; resolves when the Worker accepts requests and its jobs are scheduled. */
export async function startStack(options: StackOptions): Promise<World> {
  const devVars: DevVars = readDevVars(options.root, options.env)
  const companyId = devVars.DEFAULT_COMPANY_ID ?? DEMO_COMPANY
  const world = await startWorld({
    ...options,
    vars: { ...devVars, DEFAULT_COMPANY_ID: companyId, ...WHOP_VARS, ...options.vars },
    crons: readCrons(WRANGLER_CONFIG),
    migrate: (adminUrl) => prepareDatabase(adminUrl, companyId),
    emptyDatabase: (adminUrl) => emptyDatabase(adminUrl, companyId),
    startWorker(vars, { port }) {
      const { bundle, logLevel = "warn" } = options
      const stateDir = join(options.dataDir, "worker")
      if (bundle) return serveBundle(bundle, vars, { port, stateDir, hasCronTriggers: true })
      return startWorker(vars, { port, stateDir, logLevel })
    },
  })
  await syncSchedules(world)
  return world
}

/** Creates a deployment's schedules at QStash, with the same code as in production. */
async function syncSchedules({ vars, workerUrl }: World): Promise<void> {
  const schedules = qstashSchedules({ url: vars.QSTASH_URL ?? "", token: vars.QSTASH_TOKEN ?? "" })
  const present = await schedules.list()
  // The account has only this deployment: schedules for another port are from an earlier start.
  for (const schedule of present.filter((one) => isChurnSaverSchedule(one) && !isDeploymentSchedule(workerUrl, one))) {
    await schedules.remove(schedule.scheduleId)
  }
  await applyChanges(schedules, planChanges(workerUrl, await schedulesOf(workerUrl, SCHEDULES), present))
}
