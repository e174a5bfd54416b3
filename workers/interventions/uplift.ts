/** Learns whom contact keeps from a company's own cases, and says it of a member. */
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
import { featureListSchema, gamSchema, type ModelFeature } from "../../shared/scoring/artefact.ts"
import type { Services } from "../platform/services.ts"

/** Cases that are learned from, the newest, and those that are read at once: a few seconds of processor time. */
const PAGE = 1_500
const PAGES_MAX = 4

/** Fixed: the same cases come to the same model. */
const SEED = 1

/** Writing to so many of those who are compared is what the report tells of. */
const TOLD_SHARE = 0.2

/**
 * Learns from the cases of a company whose time is over, and puts what was learned in force where it is better than the
 * order by risk on customers not seen. Where it is not, or where there are too few, what the company assumes holds.
 */
export async function trainUpliftModel(services: Services, companyId: string): Promise<UpliftRow> {
  const { db, log } = services
  const now = services.now()
  const counted = await countUpliftCases(db, companyId, now)
  const rows = hasEnoughEvents(counted) ? rowsOf(await readCases(services, companyId, now)) : null
  const judged = rows === null || !hasBoth(rows) ? null : evaluateUplift(rows, SEED)
  const model =
    rows !== null && judged !== null && hasEnoughEvents(judged.events) && isBetter(judged) ? trainUplift(rows) : null
  const report = summaryOf(counted, judged, model !== null)
  await saveUplift(db, companyId, { model, report, now })
  log.info("uplift_trained", { companyId, outcome: report.status, count: report.rows })
  return { companyId, trainedAt: now, model, report }
}

async function readCases({ db }: Services, companyId: string, now: Date): Promise<UpliftCase[]> {
  const cases: UpliftCase[] = []
  for (let page = 0; page < PAGES_MAX; page++) {
    const read = await upliftCases(db, companyId, { now, limit: PAGE, offset: page * PAGE })
    cases.push(...read)
    if (read.length < PAGE) break
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

/** A scorecard needs both ends in its arm: who left, and who stayed. */
function hasBoth({ outcomes, treated }: UpliftRows): boolean {
  const ends = new Set(outcomes.map((left, row) => 2 * (treated[row] ?? 0) + left))
  return ends.size === 4
}

function matrixOf(features: readonly ModelFeature[], vectors: readonly Readonly<Record<string, unknown>>[]): Matrix {
  const columns = features.map((feature) =>
    Float64Array.from(vectors, (vector) => {
      const value = vector[feature.name]
      if (feature.type === "number") return typeof value === "number" ? value : Number.NaN
      const place = typeof value === "string" ? feature.levels.indexOf(value) : -1
      return place < 0 ? Number.NaN : place
    }),
  )
  return { features, columns, rows: vectors.length }
}

function summaryOf(
  counted: { readonly rows: number; readonly treated: number; readonly control: number },
  judged: UpliftReport | null,
  isInForce: boolean,
): UpliftRow["report"] {
  return {
    status: isInForce ? "in_force" : judged !== null && hasEnoughEvents(judged.events) ? "not_better" : "too_few",
    rows: judged?.rows ?? counted.rows,
    treatedLost: judged?.events.treated ?? counted.treated,
    heldOutLost: judged?.events.control ?? counted.control,
    keptByUplift: judged?.learned.kept(TOLD_SHARE) ?? null,
    keptByRisk: judged?.byRisk.kept(TOLD_SHARE) ?? null,
    areaByUplift: judged?.learned.area ?? null,
    areaByRisk: judged?.byRisk.area ?? null,
    areaByChance: judged?.chance ?? null,
  }
}

const stored = z.object({ features: featureListSchema, treated: gamSchema, control: gamSchema })

/** The model of what was learned; null where nothing is in force. Throws for a document that is none. */
export const upliftModelOf = (learned: UpliftRow | null): UpliftModel | null =>
  learned?.model ? stored.parse(learned.model) : null

/** By how much contact lowers the probability that this member leaves. */
export const upliftOfVector = (model: UpliftModel, vector: Readonly<Record<string, unknown>>): number =>
  predictUplift(model, matrixOf(model.features, [vector])).uplifts[0] ?? 0
