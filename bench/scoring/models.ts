/** Models and rows for timing the evaluator, generated from a seed, of the sizes that training produces. */

import type { Matrix } from "../../shared/learning/data/matrix.ts"
import { type PackedNode, packNodes } from "../../shared/learning/gbdt/pack.ts"
import { trainGbdt } from "../../shared/learning/gbdt/train.ts"
import { Random } from "../../shared/learning/random.ts"
import type { Artefact, GamModel, GbdtModel, ModelFeature } from "../../shared/scoring/model/artefact.ts"
import { LEAF } from "../../shared/scoring/model/forest.ts"
import { artefactOf } from "../../test/support/models/models.ts"

const FEATURES = 40
const TRAINING_ROWS = 6_000

const random = new Random("bench")
const features = Array.from({ length: FEATURES }, (_, place): ModelFeature => ({ name: `n${place}`, type: "number" }))

/** Rows of 40 normal numbers, one in twenty missing. */
export function sampleRows(rows: number): Matrix {
  const sample = (): number => (random.int(20) === 0 ? Number.NaN : random.gaussian())
  return { features, columns: features.map(() => Float64Array.from({ length: rows }, sample)), rows }
}

/** Complete trees over all features: the highest cost for their depth. */
function fullTrees(trees: number, depth: number): GbdtModel {
  const splits = 2 ** depth - 1
  const tree = (): PackedNode[] => {
    return Array.from({ length: 2 * splits + 1 }, (_, node): PackedNode => {
      const cover = 2 ** (depth - Math.floor(Math.log2(node + 1)))
      if (node >= splits) {
        return { input: LEAF, value: random.gaussian() / 20, left: 0, missingLeft: false, cover, set: null }
      }
      const missingLeft = random.int(2) === 0
      return {
        input: random.int(FEATURES),
        value: random.gaussian(),
        left: 2 * node + 1,
        missingLeft,
        cover,
        set: null,
      }
    })
  }
  return packNodes(0, Array.from({ length: trees }, tree), features)
}

/** Trees grown by the trainer. */
function trainedTrees(trees: number, leavesMax: number): { model: GbdtModel; cpuMs: number } {
  const matrix = sampleRows(TRAINING_ROWS)
  const labels = Uint8Array.from({ length: TRAINING_ROWS }, (_, row) => {
    const [a = 0, b = 0, c = 0, d = 0] = matrix.columns.map((column) => column[row] || 0)
    return random.next() < 1 / (1 + Math.exp(1 - a * b - c + Math.sin(3 * d))) ? 1 : 0
  })
  const start = process.cpuUsage()
  const { model } = trainGbdt(matrix, labels, { trees, leavesMax })
  const { user, system } = process.cpuUsage(start)
  return { model, cpuMs: (user + system) / 1_000 }
}

function lines(knots: number): GamModel {
  const terms = features.map((_, input) => ({
    shape: "line" as const,
    input,
    knots: Array.from({ length: knots }, (_, place) => 6 * (place / (knots - 1)) - 3),
    values: Array.from({ length: knots }, () => random.gaussian()),
    missing: random.gaussian(),
  }))
  return { kind: "gam", intercept: 0, terms, means: terms.map(() => 0) }
}

export type ModelUnderTest = { readonly name: string; readonly artefact: Artefact; readonly trainingMs: number | null }

/** The models that are timed. */
export async function makeModels(): Promise<ModelUnderTest[]> {
  const underTest = async (
    name: string,
    model: GamModel | GbdtModel,
    trainingMs: number | null,
  ): Promise<ModelUnderTest> => {
    return { name, artefact: await artefactOf(features, [{ weight: 1, model }]), trainingMs }
  }
  const small = trainedTrees(340, 6)
  const larger = trainedTrees(300, 8)
  return [
    await underTest("gbdt, 200 full trees of depth 6", fullTrees(200, 6), null),
    await underTest("gbdt, 340 trees of 6 leaves", small.model, small.cpuMs),
    await underTest("gbdt, 300 trees of 8 leaves", larger.model, larger.cpuMs),
    await underTest("logistic, 40 straight lines", lines(2), null),
    await underTest("gam, 40 lines of 8 knots", lines(8), null),
  ]
}
