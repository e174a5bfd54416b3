import type { Matrix } from "../data/matrix.ts"
import { CannotTrain } from "../training-error.ts"

/** Options of boosted trees. Defaults are in `GBDT_DEFAULTS`. */
export type GbdtOptions = {
  readonly seed: number
  /** Maximum number of trees; early stopping uses fewer. */
  readonly trees: number
  readonly learningRate: number
  readonly leavesMax: number
  readonly depthMax: number
  /** `leaf` splits the leaf with the highest gain, `depth` splits level by level. */
  readonly growth: "leaf" | "depth"
  /** Maximum bins of a number, without missing. */
  readonly binsMax: number
  /** Share of rows sampled per tree. */
  readonly rowShare: number
  /** Share of features sampled per tree. */
  readonly columnShare: number
  /** Share of a tree's features sampled per split. */
  readonly splitColumnShare: number
  /** L2 regularisation: added to the sum of second derivatives. */
  readonly l2: number
  readonly childRowsMin: number
  /** Minimum sum of second derivatives, p(1−p) per row, of a child. */
  readonly childWeightMin: number
  /** Minimum gain of a split, in twice the log loss of its rows. */
  readonly gainMin: number
  /** Added to the second derivatives of a level for ranking levels. */
  readonly levelSmoothing: number
  /** Added to `l2` for splits of a category with more than four levels, which has many ways to fit noise. */
  readonly levelL2: number
  /** Factor of the gain that ranked levels have by chance, subtracted from a split's gain; 0 subtracts nothing. */
  readonly levelLuck: number
  /** A level with fewer rows at a split goes with the missing values. */
  readonly levelRowsMin: number
  /** Monotone features: 1, the score never falls as the value rises; −1, it never rises. */
  readonly monotone: Readonly<Record<string, 1 | -1>>
  /** Validation rows: training stops when their log loss has not decreased for `patience` trees. */
  readonly validation: { readonly matrix: Matrix; readonly labels: ArrayLike<number> } | null
  readonly patience: number
  /** Called after each tree; the log loss is that of the validation rows. */
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

/** Bounds of each option, within which trees fit the artefact's format and explanation stays affordable. */
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
  // With less, a leaf whose rows all have extreme probabilities could get an unbounded value.
  childWeightMin: [1e-6, 1e9],
  gainMin: [0, 1e9],
  levelSmoothing: [0, 1e6],
  levelL2: [0, 1e6],
  levelLuck: [0, 10],
  levelRowsMin: [1, 1e9],
  patience: [1, 5_000],
}

/** Options with defaults; throws CannotTrain if one is out of range or does not fit the table. */
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
