/**
 * The input of model checks, and their results. Over 300 lines because checks and the API use the same tables and row types.
 */
import { and, asc, desc, eq, inArray, isNull, lt, sql } from "drizzle-orm"
import type { Batch, MaturedPrediction } from "../../../shared/learning/monitoring/cusum.ts"
import type { Profile, ProfiledRow } from "../../../shared/learning/monitoring/profile.ts"
import type { Evidence, MeasureName, Report } from "../../../shared/learning/monitoring/report.ts"
import type { AlarmAction } from "../../../shared/scoring/stored-values.ts"
import { type Db, inCompany } from "../../client.ts"
import {
  customerScores,
  isListedEvent,
  modelAlarms,
  modelChanges,
  modelChecks,
  modelReferences,
  monitoringPositions,
  predictions,
} from "../../schema.ts"
import { textArray } from "../platform/companies.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"
import { selectRecent, selectWeeks } from "./outcomes.ts"

/** Companies that were not processed since `before`, longest waiting first, of these companies (null: of all). */
export async function nextCompanies(
  db: Db,
  what: "check" | "retraining",
  before: Date,
  limit: number,
  companies: readonly string[] | null,
): Promise<readonly string[]> {
  const result = await db.execute<{ id: string }>(sql`
    select company_id as id from monitoring_due(${what}, ${before.toISOString()}::timestamptz, ${limit}, ${textArray(companies)})`)
  return result.rows.map(({ id }) => id)
}

/** Records that a company was processed. */
export async function recordMonitoringVisit(
  db: Db,
  companyId: string,
  what: "check" | "retraining",
  now: Date,
): Promise<void> {
  const turn = what === "check" ? { checkedAt: now } : { retrainedAt: now }
  await inCompany(db, companyId, [
    db
      .insert(monitoringPositions)
      .values({ companyId, ...turn })
      .onConflictDoUpdate({ target: monitoringPositions.companyId, set: turn }),
  ])
}

/** Labels for calibration, newest first, of half a year. */
const RECENT_MAX = 4_000
/** Customers whose inputs are compared with the reference: enough for ten bins, and a few hundred KiB. */
const PROFILED_MAX = 800
/** Events whose delay is measured. */
const EVENTS_MAX = 5_000
/** The limit for counting predictions without a label. */
const UNLABELLED_MAX = 2_000

/** The time ranges that a check reads. */
export interface TimeRange {
  readonly now: Date
  /** The earliest predictions for weekly sums, and the earliest for calibration. */
  readonly weeksFrom: Date
  readonly recentFrom: Date
  /** The end of the last whole week that has matured. */
  readonly weeksUntil: Date
  /** Earlier scores are stale. */
  readonly scoresFrom: Date
  readonly eventsFrom: Date
  /** Predictions between these times must have a label. */
  readonly labelsUntil: Date
  readonly labelsFrom: Date
}

/** An alarm, open or closed. */
export type AlarmRow = typeof modelAlarms.$inferSelect

/** The input for the check of a company's champion, except the artefact. */
export interface CheckInput {
  readonly weeks: readonly Batch[]
  readonly recent: readonly MaturedPrediction[]
  readonly rows: readonly ProfiledRow[]
  readonly reference: Profile | null
  readonly counts: Pick<Evidence, "scores" | "facts" | "labels">
  readonly openAlarms: readonly AlarmRow[]
  /** The last automatic rollback. */
  readonly returnedAt: Date | null
}

/** Reads the whole input in one round trip. */
export async function readCheckInput(
  db: Db,
  companyId: string,
  sha256: string,
  bounds: TimeRange,
): Promise<CheckInput> {
  const [weeks, recent, rows, references, counts, openAlarms, returned] = await inCompany(db, companyId, [
    selectWeeks(db, companyId, sha256, bounds.weeksFrom, bounds.weeksUntil),
    selectRecent(db, companyId, sha256, bounds.recentFrom, bounds.labelsUntil, RECENT_MAX),
    db
      .select({ vector: predictions.vector, probability: predictions.probability })
      .from(customerScores)
      .innerJoin(
        predictions,
        and(
          eq(predictions.companyId, companyId),
          eq(predictions.id, customerScores.predictionId),
          eq(predictions.asOf, customerScores.asOf),
        ),
      )
      .where(
        and(
          eq(customerScores.companyId, companyId),
          eq(customerScores.modelSha256, sha256),
          isNull(customerScores.notScored),
        ),
      )
      // By hash: the same customers every day, and a sample independent of the ids' order.
      .orderBy(sql`md5(${customerScores.customerId})`)
      .limit(PROFILED_MAX),
    db
      .select({ profile: modelReferences.profile })
      .from(modelReferences)
      .where(and(eq(modelReferences.companyId, companyId), eq(modelReferences.modelSha256, sha256))),
    db.execute<CountsRow>(countsOf(companyId, sha256, bounds)),
    db
      .select()
      .from(modelAlarms)
      .where(and(eq(modelAlarms.companyId, companyId), isNull(modelAlarms.closedAt)))
      .orderBy(asc(modelAlarms.raisedAt)),
    db
      .select({ at: modelChanges.at })
      .from(modelChanges)
      .where(and(eq(modelChanges.companyId, companyId), eq(modelChanges.action, "returned")))
      .orderBy(desc(modelChanges.at))
      .limit(1),
  ])
  const row = counts.rows[0]
  if (row === undefined) throw new Error("counts answered nothing")
  return {
    ...{ weeks, recent, rows, openAlarms },
    reference: references[0]?.profile ?? null,
    counts: {
      scores: { customers: row.customers, stale: row.stale },
      facts: { received: row.received, late: row.late_events },
      labels: { due: row.labelled + row.unlabelled, late: row.unlabelled },
    },
    returnedAt: returned[0]?.at ?? null,
  }
}

interface CountsRow extends Record<string, unknown> {
  readonly customers: number
  readonly stale: number
  readonly received: number
  readonly late_events: number
  readonly labelled: number
  readonly unlabelled: number
}

/** Events that occurred before the company's first webhook are imported history, and do not count as late. */
const countsOf = (companyId: string, sha256: string, bounds: TimeRange) => sql`
  with living as (
    select distinct s.customer_id from subscriptions s
    where s.company_id = ${companyId} and s.status in ('active', 'past_due')
  ), scored as (
    select count(*)::int as customers,
      (count(*) filter (where c.as_of is null or c.as_of < ${bounds.scoresFrom.toISOString()}::timestamptz))::int as stale
    from living l left join customer_scores c on c.company_id = ${companyId} and c.customer_id = l.customer_id
  ), events as (
    select count(*)::int as received,
      (count(*) filter (where e.received_at > e.occurred_at + interval '1 day'))::int as late_events
    from (
      select received_at, occurred_at from webhook_events
      where company_id = ${companyId} and received_at >= ${bounds.eventsFrom.toISOString()}::timestamptz and ${isListedEvent}
      order by received_at desc, id desc limit ${EVENTS_MAX}
    ) as e
    where e.occurred_at >= (
      select received_at from webhook_events where company_id = ${companyId} and ${isListedEvent}
      order by received_at, id limit 1)
  ), labelled as (
    select count(*)::int as labelled from model_outcomes o
    where o.company_id = ${companyId} and o.model_sha256 = ${sha256} and o.is_churned is not null
      and o.as_of between ${bounds.labelsFrom.toISOString()}::timestamptz and ${bounds.labelsUntil.toISOString()}::timestamptz
  ), unlabelled as (
    select count(*)::int as unlabelled from (
      select from predictions p
      left join model_label_positions l on l.company_id = p.company_id and l.model_sha256 = p.model_sha256
      where p.company_id = ${companyId} and p.model_sha256 = ${sha256} and p.source = 'model'
        and p.as_of between ${bounds.labelsFrom.toISOString()}::timestamptz and ${bounds.labelsUntil.toISOString()}::timestamptz
        and (l.as_of is null or (p.as_of, p.id) > (l.as_of, l.prediction_id))
      limit ${UNLABELLED_MAX}
    ) as u
  )
  select * from scored, events, labelled, unlabelled`

/** A little more than a year, so that the same season can be compared. */
const RETENTION_MS = 400 * 86_400_000

/** A new alarm. */
export type NewAlarm = typeof modelAlarms.$inferInsert

/** What a check writes. */
export interface CheckResult {
  readonly sha256: string
  readonly report: Report
  /** The first reference profile of the model; null if it has one or there are too few rows. */
  readonly newReference: Profile | null
  readonly raised: readonly NewAlarm[]
  /** Ids of alarms to close. */
  readonly closed: readonly string[]
  readonly now: Date
}

/** Writes a check in one transaction. A later check of the same day replaces the earlier one; open alarms are not raised again. */
export async function writeCheck(db: Db, companyId: string, result: CheckResult): Promise<void> {
  const { sha256, report, newReference, raised, closed, now } = result
  const found = {
    checkedAt: now,
    status: report.status,
    dataQuality: report.dataQuality,
    measures: { measures: report.measures, features: report.features },
  }
  const day = now.toISOString().slice(0, 10)
  await inCompany(db, companyId, [
    db
      .delete(modelChecks)
      .where(
        and(eq(modelChecks.companyId, companyId), lt(modelChecks.checkedAt, new Date(now.getTime() - RETENTION_MS))),
      ),
    db
      .insert(modelChecks)
      .values({ companyId, modelSha256: sha256, day, ...found })
      .onConflictDoUpdate({ target: [modelChecks.companyId, modelChecks.modelSha256, modelChecks.day], set: found }),
    ...(newReference === null
      ? []
      : [
          db
            .insert(modelReferences)
            .values({ companyId, modelSha256: sha256, takenAt: now, rows: newReference.rows, profile: newReference })
            .onConflictDoNothing(),
        ]),
    ...(raised.length === 0
      ? []
      : [
          db
            .insert(modelAlarms)
            .values([...raised])
            .onConflictDoNothing(),
        ]),
    ...(closed.length === 0
      ? []
      : [
          db
            .update(modelAlarms)
            .set({ closedAt: now })
            .where(and(eq(modelAlarms.companyId, companyId), inArray(modelAlarms.id, [...closed]))),
        ]),
  ])
}

/** Records the action taken for an alarm, and that the team was notified. */
export async function recordAlarmAction(
  db: Db,
  companyId: string,
  id: string,
  change: { readonly action?: AlarmAction; readonly announcedAt?: Date | null },
): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(modelAlarms)
      .set(change)
      .where(and(eq(modelAlarms.companyId, companyId), eq(modelAlarms.id, id))),
  ])
}

export type CheckRow = typeof modelChecks.$inferSelect

/** The latest checks of a company's model, newest first, and its alarms. */
export async function readMonitoring(
  db: Db,
  companyId: string,
  sha256: string,
  page: PageRequest,
): Promise<{ readonly checks: readonly CheckRow[]; readonly alarms: Page<AlarmRow> }> {
  const { after } = page
  const [checks, alarms] = await inCompany(db, companyId, [
    db
      .select()
      .from(modelChecks)
      .where(and(eq(modelChecks.companyId, companyId), eq(modelChecks.modelSha256, sha256)))
      .orderBy(desc(modelChecks.day))
      .limit(CHECKS_SHOWN),
    db
      .select()
      .from(modelAlarms)
      .where(
        and(
          eq(modelAlarms.companyId, companyId),
          eq(modelAlarms.modelSha256, sha256),
          after === null
            ? undefined
            : sql`(${modelAlarms.raisedAt}, ${modelAlarms.id}) < (${after.at.toISOString()}::timestamptz, ${after.id}::uuid)`,
        ),
      )
      .orderBy(desc(modelAlarms.raisedAt), desc(modelAlarms.id))
      .limit(page.limit + 1),
  ])
  return { checks, alarms: pageOf(alarms, page, ({ raisedAt, id }) => ({ at: raisedAt, id })) }
}

/** A month of days. */
const CHECKS_SHOWN = 31

/** A company's last measured data quality; null if it was not measured since `since`. */
export async function latestDataQuality(db: Db, companyId: string, since: Date): Promise<number | null> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ dataQuality: modelChecks.dataQuality, checkedAt: modelChecks.checkedAt })
      .from(modelChecks)
      .where(eq(modelChecks.companyId, companyId))
      .orderBy(desc(modelChecks.day), desc(modelChecks.checkedAt))
      .limit(1),
  ])
  const [latest] = rows
  return latest === undefined || latest.checkedAt < since ? null : latest.dataQuality
}

/** The status of monitoring over all companies, for monitors. */
export interface MonitoringStatus {
  readonly openAlarms: number
  readonly mainAlarms: number
  readonly proposals: number
  readonly lastCheckAt: string | null
  readonly lastRetrainingAt: string | null
}

/** The status of monitoring over all companies: counts only, without data of a company. */
export async function readMonitoringStatus(db: Db): Promise<MonitoringStatus> {
  const result = await db.execute<{ found: MonitoringStatus }>(sql`select monitoring_in_hand() as found`)
  const found = result.rows[0]?.found
  if (!found) throw new Error("monitoring_in_hand answered nothing")
  return found
}

/** The measures whose alarm triggers an automatic rollback. */
export const ROLLBACK_MEASURES: readonly MeasureName[] = ["churn_above", "churn_below"]
