/** Monitoring of models: `/api/models/:id/monitoring`, `/api/retrainings` and `/api/training/export`. */
import { Hono } from "hono"
import * as z from "zod"
import { findModel } from "../../../db/queries/scoring/models.ts"
import { type AlarmRow, type CheckRow, readMonitoring } from "../../../db/queries/scoring/monitoring.ts"
import { labelledVectors } from "../../../db/queries/scoring/outcomes.ts"
import { listRetrainings } from "../../../db/queries/scoring/retrainings.ts"
import { modelFeatures } from "../../../shared/domain/scoring/features.ts"
import { anonymize, csvOf } from "../../../shared/learning/data/training-export.ts"
import type { Verdict } from "../../../shared/learning/monitoring/verdict.ts"
import { AppError } from "../../platform/errors.ts"
import { withPermission } from "../../platform/http/auth.ts"
import { listOf, pageFields, splitPage, validId, validQuery } from "../../platform/http/request.ts"
import type { AppEnv } from "../../platform/services.ts"
import { rejectArtefact } from "../models-route.ts"
import { shareableText } from "../serving.ts"

const uuidCursor = pageFields.cursor.refine(
  (position) => position === undefined || z.uuid().safeParse(position.id).success,
  { error: "expected a nextCursor of this list" },
)

const monitoringQuery = z.strictObject({ ...pageFields, cursor: uuidCursor })

/** `/:id/monitoring`: a model's latest check, the checks of the last month, and its alarms. `/:id/artefact`: the artefact. */
export const monitoring = new Hono<AppEnv>()
  .get("/:id/artefact", withPermission("models:read"), validId(), async (c) => {
    const found = await findModel(c.get("services").db, c.get("principal").companyId, c.req.valid("param").id)
    if (found === null) throw new AppError("NOT_FOUND", "There is no such model.")
    try {
      return c.body(shareableText(found.model.artefact), 200, { "content-type": "application/json" })
    } catch (error) {
      return rejectArtefact(error)
    }
  })
  .get("/:id/monitoring", withPermission("models:read"), validId(), validQuery(monitoringQuery), async (c) => {
    const { page } = splitPage(c.req.valid("query"))
    const { db } = c.get("services")
    const { companyId } = c.get("principal")
    const found = await findModel(db, companyId, c.req.valid("param").id)
    if (found === null) throw new AppError("NOT_FOUND", "There is no such model.")
    const { sha256, version, state } = found.model
    const [{ checks, alarms }, retrainings] = await Promise.all([
      readMonitoring(db, companyId, sha256, page),
      listRetrainings(db, companyId, { challenger: sha256 }, { limit: 1, after: null }),
    ])
    const [latest] = checks
    return c.json({
      model: { id: sha256, version, state },
      latest: latest === undefined ? null : showCheck(latest),
      history: checks.map(({ day, status, dataQuality }) => ({ day, status, dataQuality })),
      challenge: retrainings.rows.map(showRetraining)[0] ?? null,
      alarms: listOf(alarms, showAlarm),
    })
  })

const showCheck = ({ checkedAt, status, dataQuality, measures }: CheckRow) => ({
  checkedAt: checkedAt.toISOString(),
  status,
  dataQuality,
  ...measures,
})

const showAlarm = (alarm: AlarmRow) => ({
  id: alarm.id,
  measure: alarm.measure,
  status: alarm.closedAt === null ? "open" : "closed",
  value: alarm.value,
  limit: alarm.alarmLimit,
  action: alarm.action,
  raisedAt: alarm.raisedAt.toISOString(),
  closedAt: alarm.closedAt?.toISOString() ?? null,
  announcedAt: alarm.announcedAt?.toISOString() ?? null,
})

const VERDICTS = ["wait", "propose", "reject"] as const satisfies Verdict["word"][]

const retrainingsQuery = z.strictObject({ ...pageFields, cursor: uuidCursor, verdict: z.enum(VERDICTS).optional() })

/** Trainings of challengers. `verdict=propose` lists proposed ones; promotion is a manual decision. */
export const retrainings = new Hono<AppEnv>().get(
  "/",
  withPermission("models:read"),
  validQuery(retrainingsQuery),
  async (c) => {
    const { page, filter } = splitPage(c.req.valid("query"))
    const { db } = c.get("services")
    return c.json(listOf(await listRetrainings(db, c.get("principal").companyId, filter, page), showRetraining))
  },
)

type ListedRetraining = Awaited<ReturnType<typeof listRetrainings>>["rows"][number]

const showRetraining = (row: ListedRetraining) => ({
  id: row.id,
  startedAt: row.startedAt.toISOString(),
  finishedAt: row.finishedAt?.toISOString() ?? null,
  outcome: row.outcome,
  method: row.method,
  rows: row.rows,
  churned: row.events,
  championId: row.championSha256,
  challenger:
    row.challengerSha256 === null ? null : { id: row.challengerSha256, version: row.version, state: row.state },
  verdict: row.verdict,
  verdictDetails: row.verdictDetails,
  judgedAt: row.judgedAt?.toISOString() ?? null,
  proposedAt: row.proposedAt?.toISOString() ?? null,
})

/** Rows of one export, newest first, and rows per query. Bounds memory to about 12 MB. */
const EXPORT_ROWS_MAX = 10_000
const EXPORT_PAGE = 2_000
/** Two years of labels. */
const EXPORT_MS = 731 * 86_400_000

const SALT_BYTES = 32

/** Labels with the inputs that were scored, as CSV without personal data. */
export const training = new Hono<AppEnv>().get(
  "/export",
  withPermission("training:read"),
  validQuery(z.strictObject({})),
  async (c) => {
    const { db, log, now } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const from = new Date(now().getTime() - EXPORT_MS)
    const rows = []
    for (let offset = 0; offset < EXPORT_ROWS_MAX; offset += EXPORT_PAGE) {
      const page = await labelledVectors(db, companyId, null, { from, limit: EXPORT_PAGE, offset })
      rows.push(...page)
      if (page.length < EXPORT_PAGE) break
    }
    // Random and not stored, so that the hashed ids of two exports cannot be joined.
    const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES)).join(".")
    const exported = await anonymize(rows, modelFeatures, { salt })
    log.info("training_exported", { companyId, keyId, count: exported.rows.length })
    return c.body(csvOf(exported), 200, {
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": 'attachment; filename="training.csv"',
      "x-rows-left-out": String(exported.rowsLeftOut),
    })
  },
)
