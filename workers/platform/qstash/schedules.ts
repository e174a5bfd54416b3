/**
 * The schedules of a deployment at QStash, kept equal to the list in the code. Several deployments may share one
 * account, so an id includes a hash of the host, and only schedules with our prefix and that host are changed.
 */
import * as z from "zod"
import { sha256, utf8 } from "../../../shared/crypto/bytes.ts"
import { callQstash, headerValue, parseAnswer, type QstashAccount } from "./call.ts"

/** The prefix of our schedule ids. */
const PREFIX = "churn-saver-"

/** A scheduled message is not retried: the next slot is near, and Cron Triggers are the second heartbeat. */
const RETRIES = 0

/** Enough of the host's hash to distinguish the deployments of one account. */
const HOST_BYTES = 4

/** A schedule, wanted or present at QStash. */
export interface QstashSchedule {
  readonly scheduleId: string
  readonly cron: string
  readonly destination: string
  readonly method: string
  readonly retries: number
  readonly isPaused: boolean
}

const listed = z.array(
  z.object({
    scheduleId: z.string(),
    cron: z.string(),
    destination: z.string(),
    // QStash leaves out fields with the default value, which is the one we use.
    method: z.string().default("POST"),
    retries: z.number().default(RETRIES),
    isPaused: z.boolean().default(false),
  }),
)

/** Calls about schedules. All throw `QstashError`. */
export interface QstashSchedules {
  list(): Promise<readonly QstashSchedule[]>
  /** Creates or overwrites the schedule of this id. It may take a minute to become active. */
  put(schedule: QstashSchedule): Promise<void>
  resume(scheduleId: string): Promise<void>
  remove(scheduleId: string): Promise<void>
}

/** The schedules of one account. */
export function qstashSchedules(account: QstashAccount): QstashSchedules {
  return {
    async list() {
      const answer: unknown = await callQstash(account, (client) => client.schedules.list())
      return parseAnswer(listed, answer)
    },
    async put({ scheduleId, cron, destination, retries }) {
      const schedule = { scheduleId: headerValue(scheduleId), cron: headerValue(cron), destination, retries }
      await callQstash(account, (client) => client.schedules.create({ ...schedule, method: "POST", body: "{}" }))
    },
    // The client does not encode ids in paths.
    async resume(scheduleId) {
      await callQstash(account, (client) => client.schedules.resume({ schedule: encodeURIComponent(scheduleId) }))
    },
    async remove(scheduleId) {
      await callQstash(account, (client) => client.schedules.delete(encodeURIComponent(scheduleId)))
    },
  }
}

/** The schedules that a deployment at `appUrl` should have. */
export async function schedulesOf(
  appUrl: string,
  jobs: readonly { readonly job: string; readonly cron: string }[],
): Promise<readonly QstashSchedule[]> {
  const digest = await sha256(utf8(new URL(appUrl).host))
  const deployment = Array.from(digest.subarray(0, HOST_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("")
  return jobs.map(({ job, cron }) => ({
    scheduleId: `${PREFIX}${deployment}-${job}`,
    cron,
    destination: `${appUrl}/jobs/${job}`,
    method: "POST",
    retries: RETRIES,
    isPaused: false,
  }))
}

/** One change, and its reason. */
export interface ScheduleChange {
  readonly action: "create" | "correct" | "remove"
  readonly schedule: QstashSchedule
  /** The differing fields of a correction. */
  readonly differing: readonly (keyof QstashSchedule)[]
}

/** Whether a schedule belongs to Churn Saver, for any deployment. */
export const isChurnSaverSchedule = ({ scheduleId }: QstashSchedule): boolean => scheduleId.startsWith(PREFIX)

/** Whether a schedule belongs to this deployment. */
export const isDeploymentSchedule = (appUrl: string, schedule: QstashSchedule): boolean => {
  const { destination } = schedule
  return (
    isChurnSaverSchedule(schedule) && URL.canParse(destination) && new URL(destination).host === new URL(appUrl).host
  )
}

/**
 * The changes that make the schedules of a deployment equal to the wanted ones. A paused schedule is a difference: jobs
 * are paused in the suite itself, for both heartbeats.
 */
export function planChanges(
  appUrl: string,
  wanted: readonly QstashSchedule[],
  present: readonly QstashSchedule[],
): readonly ScheduleChange[] {
  const byId = new Map(present.map((schedule) => [schedule.scheduleId, schedule]))
  const wantedIds = new Set(wanted.map(({ scheduleId }) => scheduleId))
  const kept = wanted.flatMap((schedule): ScheduleChange[] => {
    const found = byId.get(schedule.scheduleId)
    if (!found) return [{ action: "create", schedule, differing: [] }]
    const differing = FIELDS.filter((field) => found[field] !== schedule[field])
    return differing.length === 0 ? [] : [{ action: "correct", schedule, differing }]
  })
  const stale = present.filter(
    (schedule) => isDeploymentSchedule(appUrl, schedule) && !wantedIds.has(schedule.scheduleId),
  )
  return [...kept, ...stale.map((schedule): ScheduleChange => ({ action: "remove", schedule, differing: [] }))]
}

const FIELDS = ["cron", "destination", "method", "retries", "isPaused"] as const satisfies (keyof QstashSchedule)[]

/** Applies the changes in order. Safe to repeat after a failure: applied changes are not planned again. */
export async function applyChanges(schedules: QstashSchedules, changes: readonly ScheduleChange[]): Promise<void> {
  for (const { action, schedule, differing } of changes) {
    if (action === "remove") await schedules.remove(schedule.scheduleId)
    else await schedules.put(schedule)
    // Overwriting does not end a pause.
    if (differing.includes("isPaused")) await schedules.resume(schedule.scheduleId)
  }
}
