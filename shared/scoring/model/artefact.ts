/**
 * The artefact: one trained model as one JSON document, in the same format from every trainer, read by one evaluator. It
 * contains all that scoring needs, no company ids and no personal data. Numbers are finite; a value that is missing, not a
 * number or of an unknown category is "missing" everywhere.
 */
import * as z from "zod"

const finite = z.number()

/** One input. A category is scored by its index in `levels`; any other value is missing. */
const feature = z.lazy(() =>
  z.discriminatedUnion("type", [
    z.strictObject({ name: z.string().min(1), type: z.literal("number") }),
    z.strictObject({ name: z.string().min(1), type: z.literal("category"), levels: z.array(z.string()) }),
  ]),
)

/** A term of a scorecard, in log-odds. `input` and `inputs` are indices in the list of features. */
const gamTerm = z.lazy(() =>
  z.discriminatedUnion("shape", [
    /** Piecewise linear between ascending knots, constant beyond the first and the last. */
    z.strictObject({
      shape: z.literal("line"),
      input: z.int().nonnegative(),
      knots: z.array(finite).min(1),
      values: z.array(finite).min(1),
      missing: finite,
    }),
    /** A value for each level of a category. */
    z.strictObject({
      shape: z.literal("levels"),
      input: z.int().nonnegative(),
      values: z.array(finite),
      missing: finite,
    }),
    /** A value for each cell of two inputs: cell i of a number is left of its i-th cut; cell i of a category is level i. */
    z.strictObject({
      shape: z.literal("grid"),
      inputs: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
      /** Ascending cuts of each number; empty for a category. */
      cuts: z.tuple([z.array(finite), z.array(finite)]),
      /** Row by row; the last row and column are for missing. */
      values: z.array(finite),
    }),
  ]),
)

const gam = z.lazy(() =>
  z.strictObject({
    kind: z.literal("gam"),
    intercept: finite,
    terms: z.array(gamTerm),
    /** Mean of each term over the training rows: the baseline of contributions. */
    means: z.array(finite),
  }),
)

/** Trees as typed arrays in base64 (little-endian), one entry per node; children come after their parent. */
const gbdt = z.lazy(() =>
  z.strictObject({
    kind: z.literal("gbdt"),
    /** Log-odds before the first tree. */
    base: finite,
    /** Index of each tree's root: Uint32. */
    roots: z.string(),
    /** The input that a node tests; 65 535 at a leaf: Uint16. */
    inputs: z.string(),
    /** Number: values up to this go left. Category: index of its set in `sets`. Leaf: its value. Float64. */
    values: z.string(),
    /** The left child, followed by the right one; 0 at a leaf: Uint16, relative to the tree's root. */
    children: z.string(),
    /** Bit 0: missing goes left. Bit 1: the input is a category: Uint8. */
    flags: z.string(),
    /** Training rows that reached the node: Float32. */
    covers: z.string(),
    /** Sets of levels that go left, each `setWords` words of 32 bits: Uint32. */
    sets: z.string(),
    setWords: z.int().nonnegative(),
  }),
)

/** Calibration of raw log-odds: `platt` is linear in log-odds, `isotonic` is piecewise linear between steps. */
const calibration = z.lazy(() =>
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("none") }),
    z.strictObject({ kind: z.literal("platt"), slope: finite.positive(), intercept: finite }),
    /** Calibrated log-odds at ascending raw log-odds; linear between them, with slope 1 beyond. */
    z.strictObject({ kind: z.literal("isotonic"), raw: z.array(finite).min(2), calibrated: z.array(finite).min(2) }),
  ]),
)

/** Out-of-fold rows and events for scores up to a probability: the data of the interval. */
const confidenceBin = z.lazy(() =>
  z.strictObject({ upTo: finite, rows: z.int().nonnegative(), events: z.int().nonnegative() }),
)

export const artefactSchema = z.lazy(() =>
  z.strictObject({
    format: z.literal("churn-saver-model/1"),
    /** `blend`: a weighted sum of parts of both kinds, in log-odds. */
    kind: z.enum(["gam", "gbdt", "blend"]),
    features: z.array(feature).min(1),
    /** SHA-256 in hex of the canonical JSON of `features`, so that a vector of another schema is never scored. */
    featureHash: z.string().length(64),
    parts: z
      .array(z.strictObject({ weight: finite.positive(), model: z.discriminatedUnion("kind", [gam, gbdt]) }))
      .min(1),
    calibration,
    /**
     * Standard deviation of the companies' offsets to a pooled model, in log-odds: the prior for a new company. The offsets
     * themselves contain company ids and are stored separately (offsets.ts).
     */
    offsetDeviation: finite.nonnegative(),
    confidence: z.array(confidenceBin),
    training: z.strictObject({
      trainedAt: z.iso.datetime(),
      /** SHA-256 in hex of the training rows in canonical order. */
      dataHash: z.string(),
      rows: z.int().nonnegative(),
      events: z.int().nonnegative(),
      /** Prediction times of the first and last row; null where rows have none. */
      from: z.string().nullable(),
      to: z.string().nullable(),
      label: z.string(),
      seed: z.int(),
      /** Out-of-fold metrics by name: `auc`, `prAuc`, `logLoss`, `brier`, `ece`, `accuracy`, `baseRate`, `lift`. */
      metrics: z.record(z.string(), finite),
      /** Candidates and choices of the training, for the model card. */
      notes: z.record(z.string(), z.union([z.string(), finite])),
      /** Per feature: share of missing rows, and deciles (numbers) or shares of levels: the reference for drift. */
      reference: z.array(
        z.strictObject({ missing: finite, cuts: z.array(finite).optional(), shares: z.array(finite) }),
      ),
      /** Shares of rows in ten equally filled bins of the score, with their cuts in probability. */
      scoreReference: z.strictObject({ cuts: z.array(finite), shares: z.array(finite) }),
    }),
  }),
)

/** Parts of an artefact, for documents that contain only these. */
export const featureListSchema = z.array(feature).min(1)
export const gamSchema = gam

export type Artefact = z.infer<typeof artefactSchema>
export type ModelFeature = z.infer<typeof feature>
export type GamModel = z.infer<typeof gam>
export type GamTerm = z.infer<typeof gamTerm>
export type GbdtModel = z.infer<typeof gbdt>
export type Calibration = z.infer<typeof calibration>
