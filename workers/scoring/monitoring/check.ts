/**
 * The daily check of a company's champion: computes every measure on matured labels, raises alarms, and rolls back to the
 * previous champion on a primary alarm. Safe to repeat: a later check of the same day replaces the earlier one, an open alarm
 * is not raised again, and a rollback happens only from the champion that the alarm is about.
 */
import { rollbackChampion, setModelState } from "../../../db/queries/scoring/models.ts"
import {
  type AlarmRow,
  type CheckInput,
  type NewAlarm,
  ROLLBACK_MEASURES,
  readCheckInput,
  recordAlarmAction,
  writeCheck,
} from "../../../db/queries/scoring/monitoring.ts"
import { labelledVectors } from "../../../db/queries/scoring/outcomes.ts"
import { readServing } from "../../../db/queries/scoring/serving.ts"
import { profileOf } from "../../../shared/learning/monitoring/profile.ts"
import { PSI_ROWS_MIN } from "../../../shared/learning/monitoring/psi.ts"
import { type Report, reportOf } from "../../../shared/learning/monitoring/report.ts"
import { isEarlierBetter, rollbackRefusal } from "../../../shared/learning/monitoring/rollback.ts"
import { encode, score } from "../../../shared/scoring/model/model.ts"
import type { AlarmAction } from "../../../shared/scoring/stored-values.ts"
import type { Services } from "../../platform/services.ts"
import { chooseServing, type ServingModel } from "../serving.ts"
import { checkWindow } from "./label-windows.ts"
import { notifyModelAlarms } from "./notify.ts"

/** A check without labelling: read what serves and its artefact, read and write the check, roll back, notify. */
export const CHECK_SUBREQUESTS = 3 + 2 + 6

/** The result of a check; null: the company is scored by rules, so there is no model to check. */
export type CheckOutcome = { readonly report: Report; readonly raised: number; readonly returned: boolean } | null

/** Checks the champion of a company. */
export async function checkChampion(services: Services, companyId: string): Promise<CheckOutcome> {
  const { config, db, log, newId } = services
  const rows = await readServing(db, companyId, config.scoring.modelPin)
  const { champion } = await chooseServing(services, companyId, rows)
  if (champion === null) return null
  const now = services.now()
  const input = await readCheckInput(db, companyId, champion.sha256, checkWindow(now))
  const profile = profileOf(champion.model.artefact, input.rows)
  const report = reportOf({ ...input, ...input.counts, now: profile })
  const raised = raisedBy(report, input, { companyId, sha256: champion.sha256, now, newId })
  await writeCheck(db, companyId, {
    ...{ sha256: champion.sha256, report, now, raised },
    newReference: input.reference === null && profile.rows >= PSI_ROWS_MIN ? profile : null,
    closed: closedBy(report, input.openAlarms, champion.sha256),
  })
  for (const { measure } of raised) log.warn("model_alarm", { companyId, version: champion.version, reason: measure })

  const unresolved = [...input.openAlarms, ...raised].filter(
    ({ measure, action, modelSha256 }) =>
      action === "none" && modelSha256 === champion.sha256 && ROLLBACK_MEASURES.includes(measure),
  )
  let action: AlarmAction | null = null
  if (unresolved.length > 0 && isPrimaryAlarm(report)) {
    action = await rollbackIfBetter(services, companyId, champion, input)
    for (const { id } of unresolved) await recordAlarmAction(db, companyId, id, { action })
    log.warn("model_alarm_resolved", { companyId, version: champion.version, reason: action })
  }
  await notifyModelAlarms(services, companyId, {
    version: champion.version,
    report,
    action,
    alarms: [...input.openAlarms, ...raised],
  })
  return { report, raised: raised.length, returned: action === "returned" }
}

const isPrimaryAlarm = ({ measures }: Report): boolean =>
  measures.some(({ name, status }) => status === "alarm" && ROLLBACK_MEASURES.includes(name))

/** New alarms for measures above their limit that have no open alarm. */
function raisedBy(
  { measures }: Report,
  { openAlarms }: CheckInput,
  { companyId, sha256, now, newId }: { companyId: string; sha256: string; now: Date; newId: () => string },
): (NewAlarm & Pick<AlarmRow, "id" | "measure" | "action" | "modelSha256">)[] {
  const isOpen = (name: string): boolean =>
    openAlarms.some(({ measure, modelSha256 }) => measure === name && modelSha256 === sha256)
  return measures
    .filter(({ name, status }) => (status === "alarm" || status === "warn") && !isOpen(name))
    .map(({ name, value, limit }) => ({
      ...{ companyId, id: newId(), modelSha256: sha256, measure: name, raisedAt: now },
      ...{ value, alarmLimit: limit, action: "none" as const },
    }))
}

/** Alarms whose measure is within its limit again, and those of a model that no longer serves. */
const closedBy = ({ measures }: Report, openAlarms: readonly AlarmRow[], sha256: string): string[] =>
  openAlarms
    .filter(({ measure, modelSha256 }) => {
      return modelSha256 !== sha256 || measures.some(({ name, status }) => name === measure && status === "pass")
    })
    .map(({ id }) => id)

/** Labels on which both champions are compared, and how old they may be; they include those that raised the alarm. */
const COMPARED_MAX = 1_500
const COMPARED_MS = 365 * 86_400_000
const DAY_MS = 86_400_000

/** Fixed, so that a repeated check gives the same result. */
const SEED = 1

/** Rolls back to the previous champion if that one is better; returns what was done, or why nothing was. */
async function rollbackIfBetter(
  services: Services,
  companyId: string,
  champion: ServingModel,
  { returnedAt }: CheckInput,
): Promise<AlarmAction> {
  const { config, db, now, newId } = services
  const at = now()
  const rows = await readServing(db, companyId, config.scoring.modelPin)
  // Before its first own champion, a company was scored by the shared one.
  const previous = rows.find(({ place }) => place === "previous") ?? rows.find(({ place }) => place === "shared")
  const refusal = rollbackRefusal({
    place: champion.place === "champion" ? "own" : champion.place === "pinned" ? "pinned" : "shared",
    hasEarlier: previous !== undefined,
    daysSinceReturn: returnedAt === null ? null : (at.getTime() - returnedAt.getTime()) / DAY_MS,
  })
  if (refusal !== null) return refusal
  const earlier = previous && (await chooseServing(services, companyId, [previous])).champion
  if (!earlier) return "earlier_not_usable"
  const labelled = await labelledVectors(db, companyId, champion.sha256, {
    from: new Date(at.getTime() - COMPARED_MS),
    limit: COMPARED_MAX,
  })
  const rescored = labelled.map(({ customerId, asOf, isChurned, probability, vector }) => ({
    ...{ customer: customerId, isChurned, champion: probability },
    week: Math.floor(asOf.getTime() / (7 * DAY_MS)),
    challenger: score(earlier.model, encode(earlier.model, vector).vector, earlier.offset).probability,
  }))
  if (!isEarlierBetter(rescored, SEED)) return "earlier_no_better"
  const audit = { id: newId(), who: "drift", why: WHY, now: at }
  const change =
    earlier.place === "shared"
      ? await setModelState(db, companyId, champion.sha256, "retired", audit)
      : await rollbackChampion(db, companyId, { expected: champion.sha256, action: "returned" }, audit)
  return change.outcome === "changed" ? "returned" : "nothing_before"
}

const WHY = "observed churn left its limits, and the model before predicts it better"
