/** The checks. Only Postgres is essential; while anything else is unavailable, work waits and nothing is lost. */
import { countPendingWork, type PendingWork, pingDatabase } from "../../db/queries/health/health.ts"
import { type JobOverview, readJobs } from "../../db/queries/platform/jobs.ts"
import { readScoringStatus } from "../../db/queries/scoring/models.ts"
import { readMonitoringStatus } from "../../db/queries/scoring/monitoring.ts"
import { intervalMs, SCHEDULES, scheduleOf } from "../platform/jobs/schedules.ts"
import { type Check, type HealthStatus, worstStatus } from "./check.ts"

/** For an empty query. */
const DATABASE_SLOW_MS = 1_000

const MINUTE_MS = 60_000
/** Events are processed within seconds; we promise at most five minutes. */
const WAITING_WARN_MS = 5 * MINUTE_MS
const WAITING_FAIL_MS = 15 * MINUTE_MS

/** The job that sends due nudges runs this often; three missed runs in a row mean that it does not run. */
const REMINDERS_EVERY_MS = 5 * MINUTE_MS
const REMINDERS_LATE_MS = 15 * MINUTE_MS

export const database: Check = {
  name: "postgres:responseTime",
  componentType: "datastore",
  observedUnit: "ms",
  statusWhenUnavailable: "fail",
  detailsWhenUnavailable: {},
  async measure({ db, now }, start) {
    await pingDatabase(db)
    return { status: now().getTime() - start.getTime() > DATABASE_SLOW_MS ? "warn" : "pass" }
  },
}

export const redis: Check = {
  name: "redis:responseTime",
  componentType: "datastore",
  observedUnit: "ms",
  statusWhenUnavailable: "warn",
  detailsWhenUnavailable: {},
  async measure(services) {
    await services.redis.ping()
    return { status: "pass" }
  },
}

export const qstash: Check = {
  name: "qstash:responseTime",
  componentType: "component",
  observedUnit: "ms",
  statusWhenUnavailable: "warn",
  detailsWhenUnavailable: {},
  async measure(services) {
    await services.qstash.listDeadLetters({ limit: 1, isPastBreaker: true })
    return { status: "pass" }
  },
}

export const webhooks: Check = {
  name: "webhooks:oldestUnprocessed",
  componentType: "system",
  observedUnit: "s",
  statusWhenUnavailable: "fail",
  detailsWhenUnavailable: { pending: null, held: null, unmapped: null, quarantined: null },
  async measure({ db }, now) {
    const { pending, held, unmapped, quarantined, oldestPendingAt } = await countPendingWork(db, now, "reminders")
    const ageMs = oldestPendingAt === null ? 0 : Math.max(0, now.getTime() - oldestPendingAt.getTime())
    return {
      status: waitingStatus(ageMs),
      observedValue: Math.floor(ageMs / 1_000),
      details: { pending, held, unmapped, quarantined },
    }
  },
}

export const reminders: Check = {
  name: "scheduler:due",
  componentType: "system",
  observedUnit: "nudges",
  statusWhenUnavailable: "fail",
  detailsWhenUnavailable: {
    lastRun: null,
    lastOutcome: null,
    nextRun: null,
    due: null,
    overdue: null,
    queueDepth: null,
    nextDueAt: null,
    stuckJobs: null,
    lateJobs: null,
  },
  async measure({ db }, now) {
    const names = SCHEDULES.map(({ job }) => job)
    const [work, jobs] = await Promise.all([countPendingWork(db, now, "reminders"), readJobs(db, names)])
    const stuckJobs = jobs.filter((job) => isStuck(job, now)).length
    const lateJobs = jobs.filter((job) => hasMissedSlots(job, now)).length
    return {
      status: worstStatus([
        remindersStatus(work, work.lastRun?.startedAt ?? null, now),
        stuckJobs + lateJobs > 0 ? "warn" : "pass",
      ]),
      observedValue: work.due,
      details: {
        lastRun: work.lastRun?.startedAt.toISOString() ?? null,
        lastOutcome: work.lastRun?.outcome ?? null,
        nextRun: nextReminders(now).toISOString(),
        due: work.due,
        overdue: work.overdue,
        queueDepth: work.leased,
        nextDueAt: work.nextDueAt?.toISOString() ?? null,
        stuckJobs,
        lateJobs,
      },
    }
  },
}

/**
 * Nudges that are decided and not sent: one that is an hour late is held back by a switch, a channel or the scheduler.
 */
export const interventions: Check = {
  name: "interventions:overdue",
  componentType: "component",
  observedUnit: "nudges",
  statusWhenUnavailable: "warn",
  detailsWhenUnavailable: { due: null, overdue: null, queueDepth: null, nextDueAt: null },
  async measure({ db }, now) {
    const { due, overdue, leased, nextDueAt } = await countPendingWork(db, now, "reminders")
    return {
      status: overdue > 0 ? "warn" : "pass",
      observedValue: overdue,
      details: { due, overdue, queueDepth: leased, nextDueAt: nextDueAt?.toISOString() ?? null },
    }
  },
}

export const scoring: Check = {
  name: "scoring:refusedModels",
  componentType: "component",
  observedUnit: "models",
  statusWhenUnavailable: "warn",
  detailsWhenUnavailable: {
    champions: null,
    sharedModel: null,
    pinned: null,
    serves: null,
    lastNight: null,
    lastNightEndedAt: null,
    openAlarms: null,
    mainAlarms: null,
    proposals: null,
    lastCheckAt: null,
  },
  async measure({ config, db }) {
    const { modelPin } = config.scoring
    const [scoring, monitoring] = await Promise.all([readScoringStatus(db, modelPin), readMonitoringStatus(db)])
    const { champions, refused, shared, isPinThere, pass } = scoring
    const { openAlarms, mainAlarms, proposals, lastCheckAt } = monitoring
    // A new deployment has no model; rules give the scores, and `serves` reports it.
    const serves = modelPin !== null && isPinThere ? "pinned" : champions > 0 ? "champions" : "rules"
    return {
      status: refused > 0 || !isPinThere || mainAlarms > 0 ? "warn" : "pass",
      observedValue: refused,
      details: {
        champions,
        sharedModel: shared,
        pinned: modelPin,
        serves,
        lastNight: pass?.night ?? null,
        lastNightEndedAt: isoOf(pass?.finished_at ?? null),
        ...{ openAlarms, mainAlarms, proposals, lastCheckAt: isoOf(lastCheckAt) },
      },
    }
  },
}

/** Postgres does not write times in JSON as ISO 8601 with `Z`. */
const isoOf = (time: string | null): string | null => (time === null ? null : new Date(time).toISOString())

/** The status for an event that has waited this long. */
export function waitingStatus(ageMs: number): HealthStatus {
  if (ageMs > WAITING_FAIL_MS) return "fail"
  return ageMs > WAITING_WARN_MS ? "warn" : "pass"
}

/** A scheduler that does not run is a problem only while a nudge is due. */
export function remindersStatus({ due }: Pick<PendingWork, "due">, lastRun: Date | null, now: Date): HealthStatus {
  const isLate = lastRun === null || now.getTime() - lastRun.getTime() > REMINDERS_LATE_MS
  return isLate && due > 0 ? "warn" : "pass"
}

/** A run whose lease has expired and that was neither ended nor taken over. */
export const isStuck = ({ running }: Pick<JobOverview, "running">, now: Date): boolean =>
  running !== null && running.leaseUntil !== null && running.leaseUntil <= now

/** One or two slots can be missed by a short outage. */
const MISSED_SLOTS_LIMIT = 3

/** A job that has missed its slots and is not paused. One that never ran is not late: its first slot is not known. */
export function hasMissedSlots({ job, state, running, lastRun }: JobOverview, now: Date): boolean {
  const schedule = scheduleOf(job)
  if (schedule === null || state?.isPaused || lastRun === null) return false
  const last = running !== null && running.startedAt > lastRun.startedAt ? running : lastRun
  return now.getTime() - last.startedAt.getTime() > MISSED_SLOTS_LIMIT * intervalMs(schedule.cron)
}

/** When the reminders job runs next: at the next multiple of five minutes after now. */
export const nextReminders = (now: Date): Date =>
  new Date((Math.floor(now.getTime() / REMINDERS_EVERY_MS) + 1) * REMINDERS_EVERY_MS)
