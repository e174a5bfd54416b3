/** Trains the uplift model of a company on its own at-risk cases, and predicts a member's uplift. */
import * as z from "zod"
import {
  countUpliftCases,
  saveUplift,
  type UpliftCase,
  type UpliftRow,
  upliftCases,
} from "../../db/queries/interventions/uplift.ts"
import { modelFeatures } from "../../shared/domain/scoring/features.ts"
import type { Matrix } from "../../shared/learning/data/matrix.ts"
import {
  evaluateUplift,
  hasEnoughEvents,
  isBetter,
  predictUplift,
  trainUplift,
  type UpliftModel,
  type UpliftReport,
  type UpliftRows,
} from "../../shared/learning/uplift.ts"
import { featureListSchema, gamSchema, type ModelFeature } from "../../shared/scoring/model/artefact.ts"
import type { Services } from "../platform/services.ts"

/** Cases per page, and pages read, newest first. Bounds training to a few seconds of CPU time. */
const PAGE = 1_500
const PAGES_MAX = 4

/** Fixed, so that the same cases give the same model. */
const SEED = 1

/** The share of contacted members for which the report states the effect. */
const CONTACTED_SHARE = 0.2

/**
 * Trains on a company's matured cases, and puts the model in force if it is better than ranking by risk in
 * cross-validation. If it is not, or with too few cases, the company's assumed uplift stays in force.
 */
export async function trainUpliftModel(services: Services, companyId: string): Promise<UpliftRow> {
  const { db, log } = services
  const now = services.now()
  const counted = await countUpliftCases(db, companyId, now)
  const rows = hasEnoughEvents(counted) ? rowsOf(await readCases(services, companyId, now)) : null
  const evaluation = rows === null || !hasBothOutcomes(rows) ? null : evaluateUplift(rows, SEED)
  const isAdopted = evaluation !== null && hasEnoughEvents(evaluation.events) && isBetter(evaluation)
  const model = rows !== null && isAdopted ? trainUplift(rows) : null
  const report = summaryOf(counted, evaluation, model !== null)
  await saveUplift(db, companyId, { model, report, now })
  log.info("uplift_trained", { companyId, outcome: report.status, count: report.rows })
  return { companyId, trainedAt: now, model, report }
}

async function readCases({ db }: Services, companyId: string, now: Date): Promise<UpliftCase[]> {
  const cases: UpliftCase[] = []
  for (let page = 0; page < PAGES_MAX; page++) {
    const some = await upliftCases(db, companyId, { now, limit: PAGE, offset: page * PAGE })
    cases.push(...some)
    if (some.length < PAGE) break
  }
  return cases
}

const rowsOf = (cases: readonly UpliftCase[]): UpliftRows => ({
  matrix: matrixOf(
    modelFeatures,
    cases.map(({ vector }) => vector),
  ),
  outcomes: Uint8Array.from(cases, ({ hasLeft }) => Number(hasLeft)),
  treated: Uint8Array.from(cases, ({ isTreated }) => Number(isTreated)),
  customers: cases.map(({ customerId }) => customerId),
})

/** The scorecard of each arm needs customers who left and customers who stayed. */
function hasBothOutcomes({ outcomes, treated }: UpliftRows): boolean {
  const combinations = new Set(outcomes.map((left, row) => 2 * (treated[row] ?? 0) + left))
  return combinations.size === 4
}

function matrixOf(features: readonly ModelFeature[], vectors: readonly Readonly<Record<string, unknown>>[]): Matrix {
  const columns = features.map((feature) =>
    Float64Array.from(vectors, (vector) => {
      const value = vector[feature.name]
      if (feature.type === "number") return typeof value === "number" ? value : Number.NaN
      const level = typeof value === "string" ? feature.levels.indexOf(value) : -1
      return level < 0 ? Number.NaN : level
    }),
  )
  return { features, columns, rows: vectors.length }
}

function summaryOf(
  counted: { readonly rows: number; readonly treated: number; readonly control: number },
  evaluation: UpliftReport | null,
  isInForce: boolean,
): UpliftRow["report"] {
  const hasEnough = evaluation !== null && hasEnoughEvents(evaluation.events)
  return {
    status: isInForce ? "in_force" : hasEnough ? "not_better" : "too_few",
    rows: evaluation?.rows ?? counted.rows,
    treatedLost: evaluation?.events.treated ?? counted.treated,
    heldOutLost: evaluation?.events.control ?? counted.control,
    keptByUplift: evaluation?.learned.kept(CONTACTED_SHARE) ?? null,
    keptByRisk: evaluation?.byRisk.kept(CONTACTED_SHARE) ?? null,
    areaByUplift: evaluation?.learned.area ?? null,
    areaByRisk: evaluation?.byRisk.area ?? null,
    areaByChance: evaluation?.chance ?? null,
  }
}

const stored = z.object({ features: featureListSchema, treated: gamSchema, control: gamSchema })

/** The model that is in force; null if there is none. Throws if the stored document is not a model. */
export const upliftModelOf = (row: UpliftRow | null): UpliftModel | null =>
  row?.model ? stored.parse(row.model) : null

/** By how much contact lowers this member's probability of leaving. */
export const upliftOfVector = (model: UpliftModel, vector: Readonly<Record<string, unknown>>): number =>
  predictUplift(model, matrixOf(model.features, [vector])).uplifts[0] ?? 0
