/**
 * The uplift model: a T-learner of two scorecards, fitted to treated and to held-out cases. A member's uplift is the
 * difference of the two probabilities of leaving. It differs from the risk: some members leave anyway, and contact drives
 * some away.
 */
import type { GamModel, ModelFeature } from "../scoring/model/artefact.ts"
import { probabilityOf } from "../scoring/model/calibrate.ts"
import { rawScoresOfPart } from "../scoring/model/model.ts"
import { type Matrix, selectRows } from "./data/matrix.ts"
import { trainGam } from "./gam/train.ts"
import { Random } from "./random.ts"

/** Matured cases with random assignment. */
export interface UpliftRows {
  readonly matrix: Matrix
  /** 1: the member left. */
  readonly outcomes: Uint8Array
  /** 1: treated. */
  readonly treated: Uint8Array
  /** The customer of each row; rows of one customer are never on both sides of a split. */
  readonly customers: readonly string[]
}

/** Both scorecards, and the inputs that they were fitted to. */
export interface UpliftModel {
  readonly features: readonly ModelFeature[]
  readonly treated: GamModel
  readonly control: GamModel
}

/** Customers who left in each arm. */
export interface UpliftEvents {
  readonly treated: number
  readonly control: number
}

/**
 * Minimum events, because fewer give only noise: about 150 in the treated arm (on the simulated log, ranking by uplift starts
 * to beat ranking by risk there), and a fifth of that in the smaller held-out arm.
 */
const TREATED_EVENTS_MIN = 150
const CONTROL_EVENTS_MIN = 30

/** Counts the customers who left, by arm. */
export function eventsOf({ outcomes, treated }: Pick<UpliftRows, "outcomes" | "treated">): UpliftEvents {
  const count = (arm: number) => outcomes.reduce((sum, left, row) => sum + (treated[row] === arm ? left : 0), 0)
  return { treated: count(1), control: count(0) }
}

/** Whether there are enough events for training. */
export const hasEnoughEvents = ({ treated, control }: UpliftEvents): boolean =>
  treated >= TREATED_EVENTS_MIN && control >= CONTROL_EVENTS_MIN

/** Fits both scorecards. Each arm needs a row that left and one that stayed. */
export function trainUplift({ matrix, outcomes, treated }: UpliftRows): UpliftModel {
  const scorecardOf = (arm: number): GamModel => {
    const rows = Uint32Array.from(treated.keys()).filter((row) => treated[row] === arm)
    const labels = Uint8Array.from(rows, (row) => outcomes[row] ?? 0)
    return trainGam(selectRows(matrix, rows), labels).model
  }
  return { features: matrix.features, treated: scorecardOf(1), control: scorecardOf(0) }
}

/** By how much contact lowers each row's probability of leaving; negative if it raises it. */
export function predictUplift(
  { features, treated, control }: UpliftModel,
  { columns, rows }: Omit<Matrix, "features">,
) {
  const [withContact, without] = [treated, control].map((model) => rawScoresOfPart(features, model, columns, rows))
  const risks = Float64Array.from(without ?? [], probabilityOf)
  return { risks, uplifts: risks.map((risk, row) => risk - probabilityOf(withContact?.[row] ?? 0)) }
}

/** How many members contact in a given order keeps, estimated from the outcomes of both arms. */
export interface UpliftCurve {
  /** Members kept by contacting this share of all, in order. */
  readonly kept: (share: number) => number
  /** Area under the curve (its mean over all shares). For random order it is half of what contacting everyone keeps. */
  readonly area: number
}

/** Points of the curve for computing its area. */
const CURVE_POINTS = 50

/**
 * The curve for the order of `scores`, highest first, ties in the order of rows: among the first k, the difference of the
 * churn rates of both arms times k (Radcliffe, 2007).
 */
export function upliftCurve(
  scores: Float64Array,
  { outcomes, treated }: Pick<UpliftRows, "outcomes" | "treated">,
): UpliftCurve {
  const order = [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
  const kept = new Float64Array(order.length + 1)
  const [count, left] = [
    [0, 0],
    [0, 0],
  ]
  for (const [place, row] of order.entries()) {
    const arm = treated[row] ?? 0
    count[arm] = (count[arm] ?? 0) + 1
    left[arm] = (left[arm] ?? 0) + (outcomes[row] ?? 0)
    const [heldOut = 0, contacted = 0] = count
    const hasBoth = heldOut > 0 && contacted > 0
    kept[place + 1] = hasBoth ? ((left[0] ?? 0) / heldOut - (left[1] ?? 0) / contacted) * (place + 1) : 0
  }
  const at = (share: number): number => kept[Math.round(share * order.length)] ?? 0
  const points = Array.from({ length: CURVE_POINTS }, (_, point) => at((point + 1) / CURVE_POINTS))
  return { kept: at, area: points.reduce((sum, value) => sum + value, 0) / CURVE_POINTS }
}

/** The out-of-fold comparison of ranking by uplift with ranking by risk. */
export interface UpliftReport {
  readonly events: UpliftEvents
  readonly rows: number
  readonly learned: UpliftCurve
  readonly byRisk: UpliftCurve
  /** The area for random order. */
  readonly chance: number
}

const FOLDS = 5

/** Evaluates the T-learner out of fold; the seed assigns customers to folds. */
export function evaluateUplift(rows: UpliftRows, seed: number): UpliftReport {
  const { matrix, outcomes, treated, customers } = rows
  const names = [...new Set(customers)].sort()
  const foldOf = new Map(new Random(`uplift ${seed}`).shuffle(names).map((name, place) => [name, place % FOLDS]))
  const [uplifts, risks] = [new Float64Array(matrix.rows), new Float64Array(matrix.rows)]
  for (let fold = 0; fold < FOLDS; fold++) {
    const isOut = (row: number): boolean => foldOf.get(customers[row] ?? "") === fold
    const all = Uint32Array.from(treated.keys())
    const [train, test] = [all.filter((row) => !isOut(row)), all.filter(isOut)]
    const model = trainUplift(partOf(rows, train))
    const predicted = predictUplift(model, selectRows(matrix, test))
    for (const [place, row] of test.entries()) {
      uplifts[row] = predicted.uplifts[place] ?? 0
      risks[row] = predicted.risks[place] ?? 0
    }
  }
  const learned = upliftCurve(uplifts, { outcomes, treated })
  return {
    ...{ events: eventsOf(rows), rows: matrix.rows, learned },
    byRisk: upliftCurve(risks, { outcomes, treated }),
    chance: (learned.kept(1) * (CURVE_POINTS + 1)) / (2 * CURVE_POINTS),
  }
}

/** Whether ranking by uplift is better than random and than ranking by risk, out of fold. */
export const isBetter = ({ learned, byRisk, chance }: UpliftReport): boolean =>
  learned.area > chance && learned.area > byRisk.area

const partOf = ({ matrix, outcomes, treated, customers }: UpliftRows, rows: Uint32Array): UpliftRows => ({
  matrix: selectRows(matrix, rows),
  outcomes: Uint8Array.from(rows, (row) => outcomes[row] ?? 0),
  treated: Uint8Array.from(rows, (row) => treated[row] ?? 0),
  customers: Array.from(rows, (row) => customers[row] ?? ""),
})
