/**
 * The schedules of a deployment at QStash, kept in step with the list in the code. Several deployments may share one
 * account, so an id names the host, and nothing is touched that is not named by us and delivered to that host.
 */
import * as z from "zod"
import { sha256, utf8 } from "../../../shared/crypto/bytes.ts"
import { askQstash, headerValue, isAccepted, type QstashAccount } from "./call.ts"

/** All schedules of ours begin so. */
const PREFIX = "churn-saver-"

/** Of a schedule's run nothing is tried again: the next slot is near, and Cron Triggers are the second heartbeat. */
const RETRIES = 0

/** So much of the hash of a host tells the deployments of one account apart. */
const HOST_BYTES = 4

/** A schedule as it should be, or as QStash says it is. */
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
    // A field that is left out says the empty value, which is what we ask for.
    method: z.string().default("POST"),
    retries: z.number().default(RETRIES),
    isPaused: z.boolean().default(false),
  }),
)

/** What is asked of QStash about schedules. All calls throw `QstashError`. */
export interface QstashSchedules {
  list(): Promise<readonly QstashSchedule[]>
  /** Makes the schedule of this id be so; one that exists is overwritten. It may take a minute to become active. */
  put(schedule: QstashSchedule): Promise<void>
  resume(scheduleId: string): Promise<void>
  remove(scheduleId: string): Promise<void>
}

/** The schedules of one account. */
export function qstashSchedules(account: QstashAccount): QstashSchedules {
  return {
    async list() {
      const answer: unknown = await askQstash(account, (client) => client.schedules.list())
      return isAccepted(listed, answer)
    },
    async put({ scheduleId, cron, destination, retries }) {
      const schedule = { scheduleId: headerValue(scheduleId), cron: headerValue(cron), destination, retries }
      await askQstash(account, (client) => client.schedules.create({ ...schedule, method: "POST", body: "{}" }))
    },
    // The client puts ids into paths as they are.
    async resume(scheduleId) {
      await askQstash(account, (client) => client.schedules.resume({ schedule: encodeURIComponent(scheduleId) }))
    },
    async remove(scheduleId) {
      await askQstash(account, (client) => client.schedules.delete(encodeURIComponent(scheduleId)))
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

/** One thing to do, and why, in words for people. */
export interface ScheduleChange {
  readonly action: "create" | "correct" | "remove"
  readonly schedule: QstashSchedule
  /** The fields that differ, when it is to be corrected. */
  readonly differing: readonly (keyof QstashSchedule)[]
}

/** Whether a schedule is one that we made, for whichever deployment. */
export const isChurnSaverSchedule = ({ scheduleId }: QstashSchedule): boolean => scheduleId.startsWith(PREFIX)

/** Whether a schedule is one that we made for this deployment. */
export const isDeploymentSchedule = (appUrl: string, schedule: QstashSchedule): boolean => {
  const { destination } = schedule
  return (
    isChurnSaverSchedule(schedule) && URL.canParse(destination) && new URL(destination).host === new URL(appUrl).host
  )
}

/**
 * What must change so that the schedules of a deployment are those that are wanted. A paused one differs: jobs are paused
 * in the suite itself, where it holds for both heartbeats.
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

/** Carries changes out, one after the other. Safe to repeat after any failure: what is done is not planned again. */
export async function applyChanges(schedules: QstashSchedules, changes: readonly ScheduleChange[]): Promise<void> {
  for (const { action, schedule, differing } of changes) {
    if (action === "remove") await schedules.remove(schedule.scheduleId)
    else await schedules.put(schedule)
    // A pause survives being overwritten.
    if (differing.includes("isPaused")) await schedules.resume(schedule.scheduleId)
  }
}
