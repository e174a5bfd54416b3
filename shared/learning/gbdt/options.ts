import type { Matrix } from "../data/matrix.ts"
import { CannotTrain } from "../training-error.ts"

/** How boosted trees are grown. What is left out is as in `GBDT_DEFAULTS`. */
export type GbdtOptions = {
  readonly seed: number
  /** Trees at most; early stopping takes fewer. */
  readonly trees: number
  readonly learningRate: number
  readonly leavesMax: number
  readonly depthMax: number
  /** `leaf` splits where it gains most, `depth` level by level. */
  readonly growth: "leaf" | "depth"
  /** Steps into which the values of a number are counted, missing not among them. */
  readonly binsMax: number
  /** Share of rows that a tree sees. */
  readonly rowShare: number
  /** Share of features that a tree may ask for. */
  readonly columnShare: number
  /** Share of a tree's features that one split may ask for. */
  readonly splitColumnShare: number
  /** Added to the sum of second derivatives wherever a value is fitted. */
  readonly l2: number
  readonly childRowsMin: number
  /** Smallest sum of second derivatives, p(1−p) by row, of a child. */
  readonly childWeightMin: number
  /** A split must lower twice the log loss of its rows by more. */
  readonly gainMin: number
  /** Added to the second derivatives of a level where levels are ranked. */
  readonly levelSmoothing: number
  /** Added to `l2` where a category of more than four levels is split: it has many ways to fit noise. */
  readonly levelL2: number
  /** How much of what ranked levels gain by chance a split by them must gain beyond; 0 counts every gain. */
  readonly levelLuck: number
  /** A level with fewer rows at a split goes where missing values go. */
  readonly levelRowsMin: number
  /** Features whose rising value must never lower (1) or never raise (−1) the score. */
  readonly monotone: Readonly<Record<string, 1 | -1>>
  /** Rows that are not trained on: training ends when their log loss has not fallen for `patience` trees. */
  readonly validation: { readonly matrix: Matrix; readonly labels: ArrayLike<number> } | null
  readonly patience: number
  /** Told after each tree; the log loss is that of the validation rows. */
  readonly onTree: ((trees: number, logLoss: number | null) => void) | null
}

export const GBDT_DEFAULTS: GbdtOptions = {
  seed: 1,
  trees: 300,
  learningRate: 0.05,
  leavesMax: 8,
  depthMax: 6,
  growth: "leaf",
  binsMax: 255,
  rowShare: 0.8,
  columnShare: 0.7,
  splitColumnShare: 1,
  l2: 1,
  childRowsMin: 10,
  childWeightMin: 1,
  gainMin: 0,
  levelSmoothing: 10,
  levelL2: 5,
  levelLuck: 1,
  levelRowsMin: 5,
  monotone: {},
  validation: null,
  patience: 50,
  onTree: null,
}

/** Bounds of each number; within them a tree fits the artefact and its explanation is affordable. */
const RANGES: Readonly<Partial<Record<keyof GbdtOptions, readonly [number, number]>>> = {
  trees: [1, 5_000],
  learningRate: [1e-4, 1],
  leavesMax: [2, 1_024],
  depthMax: [1, 30],
  binsMax: [2, 255],
  rowShare: [0.01, 1],
  columnShare: [0.01, 1],
  splitColumnShare: [0.01, 1],
  l2: [0, 1e6],
  childRowsMin: [1, 1e9],
  // With less, one leaf of rows that are all sure could take a value without bound.
  childWeightMin: [1e-6, 1e9],
  gainMin: [0, 1e9],
  levelSmoothing: [0, 1e6],
  levelL2: [0, 1e6],
  levelLuck: [0, 10],
  levelRowsMin: [1, 1e9],
  patience: [1, 5_000],
}

/** The whole options; throws CannotTrain when one is out of range or does not fit the table. */
export function completeOptions(matrix: Matrix, given: Partial<GbdtOptions>): GbdtOptions {
  const options = { ...GBDT_DEFAULTS, ...given }
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = Object.entries(options).find(([key]) => key === name)?.[1]
    if (!(typeof value === "number" && value >= least && value <= most)) {
      throw new CannotTrain(`${name} must be from ${least} to ${most}`)
    }
  }
  for (const name of Object.keys(options.monotone)) {
    const feature = matrix.features.find((candidate) => candidate.name === name)
    if (feature?.type !== "number") throw new CannotTrain(`${name} is no number that could be monotone`)
  }
  return options
}
