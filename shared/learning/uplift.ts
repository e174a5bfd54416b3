/**
 * Whom contact keeps: a T-learner, two scorecards fitted to cases that were written to and to cases that were held out. What
 * it says of a member is the difference of the two probabilities of leaving. Who is likely to leave and who is kept by
 * contact are different people: some leave anyway, some are driven away.
 */
import type { GamModel, ModelFeature } from "../scoring/artefact.ts"
import { probabilityOf } from "../scoring/calibrate.ts"
import { rawScoresOfPart } from "../scoring/model.ts"
import { type Matrix, selectRows } from "./data/matrix.ts"
import { trainGam } from "./gam/train.ts"
import { Random } from "./random.ts"

/** Cases whose time is over. Which of them were written to was drawn. */
export interface UpliftRows {
  readonly matrix: Matrix
  /** 1: the member left. */
  readonly outcomes: Uint8Array
  /** 1: written to. */
  readonly treated: Uint8Array
  /** Whom each row is about; rows of one are never on both sides of a split. */
  readonly customers: readonly string[]
}

/** Both scorecards, and the inputs that they were fitted to. */
export interface UpliftModel {
  readonly features: readonly ModelFeature[]
  readonly treated: GamModel
  readonly control: GamModel
}

/** How many left in each arm. */
export interface UpliftEvents {
  readonly treated: number
  readonly control: number
}

/**
 * Fewer say nothing but noise: about 150 who left although they were written to (measured on the simulated log, where the
 * order by uplift then begins to beat the order by risk), and a fifth of that where the few who were held out are compared.
 */
const TREATED_EVENTS_MIN = 150
const CONTROL_EVENTS_MIN = 30

/** Those who left, by arm. */
export function eventsOf({ outcomes, treated }: Pick<UpliftRows, "outcomes" | "treated">): UpliftEvents {
  const count = (arm: number) => outcomes.reduce((sum, left, row) => sum + (treated[row] === arm ? left : 0), 0)
  return { treated: count(1), control: count(0) }
}

/** Whether there is enough to learn from. */
export const hasEnoughEvents = ({ treated, control }: UpliftEvents): boolean =>
  treated >= TREATED_EVENTS_MIN && control >= CONTROL_EVENTS_MIN

/** Fits both scorecards. Each arm needs a row that left and one that stayed. */
export function trainUplift({ matrix, outcomes, treated }: UpliftRows): UpliftModel {
  const scorecardOf = (arm: number): GamModel => {
    const rows = Uint32Array.from(treated.keys()).filter((row) => treated[row] === arm)
    const ends = Uint8Array.from(rows, (row) => outcomes[row] ?? 0)
    return trainGam(selectRows(matrix, rows), ends).model
  }
  return { features: matrix.features, treated: scorecardOf(1), control: scorecardOf(0) }
}

/** By how much contact lowers each row's probability of leaving; negative where it drives away. */
export function predictUplift(
  { features, treated, control }: UpliftModel,
  { columns, rows }: Omit<Matrix, "features">,
) {
  const [withContact, without] = [treated, control].map((model) => rawScoresOfPart(features, model, columns, rows))
  const risks = Float64Array.from(without ?? [], probabilityOf)
  return { risks, uplifts: risks.map((risk, row) => risk - probabilityOf(withContact?.[row] ?? 0)) }
}

/** How many members an order of contact keeps, estimated from what became of those who were and were not written to. */
export interface UpliftCurve {
  /** Members kept by writing to the first so many, by share of all. */
  readonly kept: (share: number) => number
  /** Mean of the curve over all shares: the area under it. Half of what writing to all keeps, for an order by chance. */
  readonly area: number
}

/** Points of the curve that its area is the mean of. */
const CURVE_POINTS = 50

/**
 * The curve of an order, the highest of `scores` first, ties in the order of rows: among the first k, the difference of the
 * shares that left times k (Radcliffe, 2007).
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
    const [held = 0, written = 0] = count
    const isBoth = held > 0 && written > 0
    kept[place + 1] = isBoth ? ((left[0] ?? 0) / held - (left[1] ?? 0) / written) * (place + 1) : 0
  }
  const at = (share: number): number => kept[Math.round(share * order.length)] ?? 0
  const points = Array.from({ length: CURVE_POINTS }, (_, point) => at((point + 1) / CURVE_POINTS))
  return { kept: at, area: points.reduce((sum, value) => sum + value, 0) / CURVE_POINTS }
}

/** How the order by learned uplift compares on customers that its models have not seen. */
export interface UpliftReport {
  readonly events: UpliftEvents
  readonly rows: number
  readonly learned: UpliftCurve
  readonly byRisk: UpliftCurve
  /** The area that an order by chance would have. */
  readonly chance: number
}

const FOLDS = 5

/** Judges the T-learner out of fold, customers drawn apart by the seed. */
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
    const said = predictUplift(model, selectRows(matrix, test))
    for (const [place, row] of test.entries()) {
      uplifts[row] = said.uplifts[place] ?? 0
      risks[row] = said.risks[place] ?? 0
    }
  }
  const learned = upliftCurve(uplifts, { outcomes, treated })
  return {
    ...{ events: eventsOf(rows), rows: matrix.rows, learned },
    byRisk: upliftCurve(risks, { outcomes, treated }),
    chance: (learned.kept(1) * (CURVE_POINTS + 1)) / (2 * CURVE_POINTS),
  }
}

/** Better than chance and than the order by risk on customers not seen: else what is assumed of contact stays in force. */
export const isBetter = ({ learned, byRisk, chance }: UpliftReport): boolean =>
  learned.area > chance && learned.area > byRisk.area

const partOf = ({ matrix, outcomes, treated, customers }: UpliftRows, rows: Uint32Array): UpliftRows => ({
  matrix: selectRows(matrix, rows),
  outcomes: Uint8Array.from(rows, (row) => outcomes[row] ?? 0),
  treated: Uint8Array.from(rows, (row) => treated[row] ?? 0),
  customers: Array.from(rows, (row) => customers[row] ?? ""),
})
