/** Candidate models: kinds with a few settings each, evaluated out of fold. */
import type { GamModel, GbdtModel } from "../scoring/model/artefact.ts"
import { base64Of, numbersOf } from "../scoring/model/binary.ts"
import { rawScoresOfPart } from "../scoring/model/model.ts"
import type { CanonicalData } from "./data/labelled-rows.ts"
import { type Matrix, selectRows } from "./data/matrix.ts"
import type { Fold } from "./evaluation/folds.ts"
import { trainGam } from "./gam/train.ts"
import { GBDT_DEFAULTS, type GbdtOptions } from "./gbdt/options.ts"
import { trainGbdt } from "./gbdt/train.ts"

export type Part = GamModel | GbdtModel

/** A way to train, with its out-of-fold results. */
export interface Candidate {
  readonly name: string
  readonly kind: "gam" | "gbdt"
  /** Raw log-odds by row; NaN for rows that are in no test fold. */
  readonly outOfFold: Float64Array
  /** Mean log loss of `outOfFold`. */
  readonly logLoss: number
  /** Maximum number of its tree nodes, which determines its share of the artefact's size. */
  readonly nodes: number
  /** Trains on all rows with the settings of the folds. */
  fit(data: CanonicalData): readonly WeightedPart[]
}

export interface WeightedPart {
  readonly weight: number
  readonly model: Part
}

export type Monotone = Readonly<Record<string, 1 | -1>>
export type OnProgress = (text: string) => void

/** More rows do not improve a scorecard noticeably. In canonical order the first rows are a random sample. */
const GAM_ROWS_MAX = 200_000

/** The scorecard. Its smoothness is chosen within each fold by restricted likelihood. */
export function gamCandidate(
  data: CanonicalData,
  folds: readonly Fold[],
  monotone: Monotone,
  onProgress: OnProgress,
  columnsMax?: number,
): Candidate {
  const outOfFold = new Float64Array(data.outcomes.length).fill(Number.NaN)
  folds.forEach(({ train, test }, index) => {
    onProgress(`gam: fold ${index + 1} of ${folds.length}`)
    const { model } = trainGam(selectRows(data.matrix, train), outcomesAt(data, train), { monotone, columnsMax })
    scoreRows(model, data.matrix, test, outOfFold)
  })
  return {
    name: "gam",
    kind: "gam",
    outOfFold,
    logLoss: meanLoss(outOfFold, data.outcomes),
    nodes: 0,
    fit: (all) => {
      const rows = all.outcomes.length
      const sample = rows > GAM_ROWS_MAX ? Uint32Array.from({ length: GAM_ROWS_MAX }, (_, row) => row) : null
      const matrix = sample === null ? all.matrix : selectRows(all.matrix, sample)
      const { model } = trainGam(matrix, sample === null ? all.outcomes : outcomesAt(all, sample), {
        monotone,
        columnsMax,
      })
      return [{ weight: 1, model }]
    },
  }
}

/** Settings for customer tables, with few and with many interactions. Everything else is the trainer's default. */
export const GBDT_SETTINGS: Readonly<Record<string, Partial<GbdtOptions>>> = {
  "gbdt, 4 leaves": { leavesMax: 4, columnShare: 1, splitColumnShare: 0.5, learningRate: 0.08, trees: 240 },
  "gbdt, 32 leaves": {
    leavesMax: 32,
    depthMax: 10,
    columnShare: 1,
    splitColumnShare: 0.5,
    childRowsMin: 3,
    childWeightMin: 0.1,
    learningRate: 0.12,
  },
}
const TREES_MAX = 600
/** A node takes 23 bytes of the artefact, which must stay below 150 KB in total. */
export const NODES_MAX = 5_500
const EARLY_STOPPING_ROUNDS = 40
/** All rows are more than a fold's rows, and support proportionally more trees. */
const TREES_GROWTH = 1.1

/** Boosted trees with one of the settings. The number of trees minimises the mean loss over all folds. */
export function gbdtCandidate(
  data: CanonicalData,
  folds: readonly Fold[],
  settings: { readonly name: string; readonly options: Partial<GbdtOptions> },
  onProgress: OnProgress,
): Candidate {
  const nodes = 2 * (settings.options.leavesMax ?? GBDT_DEFAULTS.leavesMax) - 1
  const most = Math.min(settings.options.trees ?? TREES_MAX, Math.floor(NODES_MAX / nodes))
  const options = { ...settings.options, trees: most, patience: EARLY_STOPPING_ROUNDS }
  const fits = folds.map(({ train, test }, index) => {
    const curve: number[] = []
    onProgress(`${settings.name}: fold ${index + 1} of ${folds.length}`)
    const validation = { matrix: selectRows(data.matrix, test), labels: outcomesAt(data, test) }
    const { model, trees } = trainGbdt(selectRows(data.matrix, train), outcomesAt(data, train), {
      ...options,
      validation,
      onTree: (_, logLoss) => void curve.push(logLoss ?? 0),
    })
    return { model, trees, curve, rows: test.length }
  })
  const trees = bestTrees(fits)
  const outOfFold = new Float64Array(data.outcomes.length).fill(Number.NaN)
  fits.forEach((fit, index) => {
    scoreRows(
      fit.trees > trees ? firstTrees(fit.model, trees) : fit.model,
      data.matrix,
      folds[index]?.test ?? new Uint32Array(0),
      outOfFold,
    )
  })
  const final = Math.min(most, Math.max(1, Math.round(trees * TREES_GROWTH)))
  return {
    name: `${settings.name}, ${final} trees`,
    kind: "gbdt",
    outOfFold,
    logLoss: meanLoss(outOfFold, data.outcomes),
    nodes: final * nodes,
    fit: (all) => {
      const { model } = trainGbdt(all.matrix, all.outcomes, { ...options, trees: final, validation: null })
      return [{ weight: 1, model }]
    },
  }
}

/** Several candidates of trees, averaged in log-odds, as one candidate. */
export function average(candidates: readonly Candidate[], outcomes: Uint8Array): Candidate {
  const share = 1 / candidates.length
  const outOfFold = Float64Array.from(outcomes, (_, row) => {
    return candidates.reduce((sum, candidate) => sum + share * (candidate.outOfFold[row] ?? Number.NaN), 0)
  })
  return {
    name: `the mean of ${candidates.map(({ name }) => name).join(" and ")}`,
    kind: "gbdt",
    outOfFold,
    logLoss: meanLoss(outOfFold, outcomes),
    nodes: candidates.reduce((sum, { nodes }) => sum + nodes, 0),
    fit: (all) =>
      candidates.flatMap((candidate) =>
        candidate.fit(all).map(({ weight, model }) => ({ weight: weight * share, model })),
      ),
  }
}

/** The number of trees with the lowest loss over all folds, up to the shortest fold. */
function bestTrees(fits: readonly { readonly curve: readonly number[]; readonly rows: number }[]): number {
  const length = Math.min(...fits.map(({ curve }) => curve.length))
  let [best, least] = [1, Number.POSITIVE_INFINITY]
  for (let tree = 0; tree < length; tree++) {
    const loss = fits.reduce((sum, { curve, rows }) => sum + (curve[tree] ?? 0) * rows, 0)
    if (loss < least) [best, least] = [tree + 1, loss]
  }
  return best
}

/** The model with only its first trees. */
function firstTrees(model: GbdtModel, trees: number): GbdtModel {
  const roots = numbersOf(model.roots, Uint32Array, "roots")
  const nodes = roots[trees]
  if (nodes === undefined) return model
  return {
    ...model,
    roots: base64Of(roots.slice(0, trees)),
    inputs: base64Of(numbersOf(model.inputs, Uint16Array, "inputs").slice(0, nodes)),
    values: base64Of(numbersOf(model.values, Float64Array, "values").slice(0, nodes)),
    children: base64Of(numbersOf(model.children, Uint16Array, "children").slice(0, nodes)),
    flags: base64Of(numbersOf(model.flags, Uint8Array, "flags").slice(0, nodes)),
    covers: base64Of(numbersOf(model.covers, Float32Array, "covers").slice(0, nodes)),
  }
}

/** Writes the raw log-odds of some rows to `into` at their indices. */
function scoreRows(model: Part, matrix: Matrix, rows: Uint32Array, into: Float64Array): void {
  const raw = rawScoresOfPart(matrix.features, model, selectRows(matrix, rows).columns, rows.length)
  for (const [i, row] of rows.entries()) into[row] = raw[i] ?? Number.NaN
}

const outcomesAt = ({ outcomes }: CanonicalData, rows: Uint32Array): Uint8Array =>
  Uint8Array.from(rows, (row) => outcomes[row] ?? 0)

/** Mean log loss of raw log-odds, over rows that are not NaN. */
export function meanLoss(raw: Float64Array, outcomes: Uint8Array): number {
  let [sum, rows] = [0, 0]
  for (let row = 0; row < raw.length; row++) {
    const logOdds = raw[row] ?? Number.NaN
    if (Number.isNaN(logOdds)) continue
    const signed = outcomes[row] === 1 ? -logOdds : logOdds
    sum += signed > 0 ? signed + Math.log1p(Math.exp(-signed)) : Math.log1p(Math.exp(signed))
    rows += 1
  }
  return sum / Math.max(1, rows)
}
