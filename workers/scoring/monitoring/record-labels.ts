/**
 * Labels predictions after the horizon and the grace period, from the ledger, by the same definition that models are trained
 * on. Each prediction is processed once, in order of time; a model's position is written together with its labels.
 */
import { readLedgers } from "../../../db/queries/scoring/ledgers.ts"
import {
  type DuePrediction,
  duePredictions,
  type LabelledModel,
  labelledModels,
  type Outcome,
  writeOutcomes,
} from "../../../db/queries/scoring/outcomes.ts"
import { churnLabel } from "../../../shared/domain/scoring/churn-label.ts"
import type { Services } from "../../platform/services.ts"
import { LABEL_HORIZON_MS, labelledFrom, labelledUntil } from "./label-windows.ts"

/** Predictions of one step, and ledgers of one query. Bounds the size of answers. */
const STEP = 400
const LEDGERS_AT_ONCE = 50

/** Reading the page, reading its ledgers, writing the labels. */
const STEP_SUBREQUESTS = 1 + Math.ceil(STEP / LEDGERS_AT_ONCE) + 1

/** The result of labelling. `isComplete`: every matured prediction was processed. */
export interface LabelResult {
  readonly labels: number
  readonly isComplete: boolean
}

/** Labels the due predictions of a company's models, within the invocation's budget and until `untilMs`. */
export async function recordLabels(services: Services, companyId: string, untilMs: number): Promise<LabelResult> {
  const { db, now, budget } = services
  let labels = 0
  for (const model of await labelledModels(db, companyId)) {
    let next: LabelledModel | null = model
    while (next !== null) {
      if (!budget.hasRoomFor(STEP_SUBREQUESTS) || now().getTime() > untilMs) return { labels, isComplete: false }
      const step = await labelPage(services, companyId, next)
      labels += step.labels
      next = step.next
    }
  }
  return { labels, isComplete: true }
}

/** Labels one page of predictions; `next` is null after the last page. */
async function labelPage(
  { db, now }: Services,
  companyId: string,
  model: LabelledModel,
): Promise<{ readonly labels: number; readonly next: LabelledModel | null }> {
  const at = now()
  const page = await duePredictions(db, companyId, model, {
    from: labelledFrom(at),
    until: labelledUntil(at),
    limit: STEP,
  })
  const last = page.at(-1)
  if (last === undefined) return { labels: 0, next: null }
  const chosen = spacedByHorizon(page)
  const outcomes: Outcome[] = []
  for (let start = 0; start < chosen.length; start += LEDGERS_AT_ONCE) {
    const some = chosen.slice(start, start + LEDGERS_AT_ONCE)
    const ledgers = await readLedgers(db, companyId, [...new Set(some.map(({ customerId }) => customerId))])
    for (const prediction of some) {
      const ledger = ledgers.get(prediction.customerId) ?? []
      outcomes.push({ prediction, isChurned: churnLabel(ledger, prediction.asOf.toISOString())?.isChurned ?? null })
    }
  }
  const position = { asOf: last.asOf, predictionId: last.id }
  await writeOutcomes(db, companyId, model.sha256, outcomes, position, at)
  const labels = outcomes.filter(({ isChurned }) => isChurned !== null).length
  return { labels, next: page.length < STEP ? null : { ...model, position } }
}

/** The predictions to label, from a list in order of time: per customer none within a horizon of the one before. */
export function spacedByHorizon(page: readonly DuePrediction[]): DuePrediction[] {
  const lastMs = new Map<string, number>()
  return page.filter(({ customerId, asOf, labelledAt }) => {
    const before = lastMs.get(customerId) ?? labelledAt?.getTime() ?? Number.NEGATIVE_INFINITY
    if (asOf.getTime() - before < LABEL_HORIZON_MS) return false
    lastMs.set(customerId, asOf.getTime())
    return true
  })
}
