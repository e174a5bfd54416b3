/** Notifies the team of model alarms, once each. */
import {
  type AlarmRow,
  type NewAlarm,
  ROLLBACK_MEASURES,
  recordAlarmAction,
} from "../../../db/queries/scoring/monitoring.ts"
import { renderTeamAlert } from "../../../shared/domain/messaging/messages.ts"
import type { MeasureName, Report } from "../../../shared/learning/monitoring/report.ts"
import type { Verdict } from "../../../shared/learning/monitoring/verdict.ts"
import type { AlarmAction } from "../../../shared/scoring/stored-values.ts"
import type { Services } from "../../platform/services.ts"
import { isEnabledFor, NOTIFICATIONS_SWITCH } from "../../platform/switches.ts"

/** The content of a notification. */
export interface Announcement {
  readonly version: string
  readonly report: Report
  readonly action: AlarmAction | null
  /** All alarms; those already announced are skipped. */
  readonly alarms: readonly (AlarmRow | NewAlarm)[]
}

const MEASURE_TEXTS: Readonly<Record<MeasureName, string>> = {
  churn_above: "more customers leave than predicted",
  churn_below: "fewer customers leave than predicted",
  calibration: "probabilities are off",
  score_psi: "scores are spread otherwise than when the model began",
  features_psi: "inputs are spread otherwise than when the model began",
  missing_features: "more inputs are missing than when the model began",
  staleness: "scores are too old",
  label_delay: "labels are late",
  data_quality: "the quality of the data is below its bound",
}

/** One message for all new alarms. If notifications are off or sending failed for now, the next check sends it. */
export async function notifyModelAlarms(services: Services, companyId: string, found: Announcement): Promise<void> {
  const { db, log, now } = services
  const { version, report, action } = found
  const newAlarms = found.alarms.filter(({ announcedAt, closedAt }) => !announcedAt && !closedAt)
  if (newAlarms.length === 0) return
  const { slack } = await services.channelsFor(companyId)
  if (!slack.isConfigured) return
  if (!isEnabledFor(await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH, companyId)) return
  const isPrimary = newAlarms.some(({ measure }) => ROLLBACK_MEASURES.includes(measure))
  const measureOf = (name: MeasureName) => report.measures.find((measure) => measure.name === name)
  const message = renderTeamAlert({
    severity: isPrimary ? "P1" : "P2",
    state: "firing",
    title: `Model ${version} of ${companyId}: ${isPrimary ? "drift" : "a warning"}`,
    lines: [
      ...newAlarms.map(({ measure }) => {
        const { value = null, limit = null } = measureOf(measure) ?? {}
        return `${MEASURE_TEXTS[measure]} (${plain(value)}, limit ${plain(limit)})`
      }),
      ...(action === null ? [] : [`what was done: ${action.replaceAll("_", " ")}`]),
    ],
    link: null,
  })
  // Recorded before sending, so that a message that may have been delivered is not sent again.
  for (const { id } of newAlarms) await recordAlarmAction(db, companyId, id, { announcedAt: now() })
  const [first] = newAlarms
  const outcome = await slack.send(
    { ...message, to: "", unsubscribeUrl: null },
    { idempotencyKey: `model-alarm-${first?.id}` },
  )
  if (outcome.kind === "retry")
    for (const { id } of newAlarms) await recordAlarmAction(db, companyId, id, { announcedAt: null })
  if (outcome.kind !== "sent") log.warn("model_alarm_notify_failed", { companyId, reason: outcome.reason })
}

/** One message for a proposed challenger. `/api/retrainings` lists it even if sending fails. */
export async function notifyProposal(
  services: Services,
  companyId: string,
  { id, verdict }: { readonly id: string; readonly verdict: Verdict },
): Promise<void> {
  const { log } = services
  const { slack } = await services.channelsFor(companyId)
  if (!slack.isConfigured) return
  if (!isEnabledFor(await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH, companyId)) return
  const { rows = 0, events = 0, championLogLoss = 0, challengerLogLoss = 0 } = verdict.comparison ?? {}
  const message = renderTeamAlert({
    severity: "P3",
    state: "firing",
    title: `A better model for ${companyId} waits to be promoted`,
    lines: [
      `log loss ${challengerLogLoss.toFixed(4)} against ${championLogLoss.toFixed(4)}, on ${rows} labels with ${events} churns`,
      "see /api/retrainings?verdict=propose; nothing is promoted by itself",
    ],
    link: null,
  })
  const outcome = await slack.send({ ...message, to: "", unsubscribeUrl: null }, { idempotencyKey: `challenger-${id}` })
  if (outcome.kind !== "sent") log.warn("proposal_notify_failed", { companyId, reason: outcome.reason })
}

const plain = (value: number | null): string => (value === null ? "unknown" : String(Number(value.toPrecision(3))))
