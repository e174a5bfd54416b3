/** Small models, given or random, for tests of what reads them. */
import type { Random } from "../../../shared/learning/random.ts"
import type { Artefact, GamModel, GamTerm, GbdtModel, ModelFeature } from "../../../shared/scoring/model/artefact.ts"
import { base64Of } from "../../../shared/scoring/model/binary.ts"
import { featureHash } from "../../../shared/scoring/model/feature-hash.ts"
import { CATEGORY, LEAF, MISSING_LEFT } from "../../../shared/scoring/model/forest.ts"

/** A complete artefact around parts, with arbitrary training metrics. */
export async function artefactOf(
  features: ModelFeature[],
  parts: Artefact["parts"],
  over: Partial<Artefact> = {},
): Promise<Artefact> {
  const kinds = new Set(parts.map(({ model }) => model.kind))
  return {
    format: "churn-saver-model/1",
    kind: kinds.size > 1 ? "blend" : (parts[0]?.model.kind ?? "gam"),
    features,
    featureHash: await featureHash(features),
    parts,
    calibration: { kind: "none" },
    offsetDeviation: 0,
    confidence: [],
    training: {
      trainedAt: "2026-01-01T00:00:00.000Z",
      dataHash: "",
      rows: 0,
      events: 0,
      from: null,
      to: null,
      label: "churned",
      seed: 1,
      metrics: {},
      notes: {},
      reference: features.map(() => ({ missing: 0, shares: [] })),
      scoreReference: { cuts: [], shares: [] },
    },
    ...over,
  }
}

/** Numbers `n0`… and categories `c0`… of five levels. */
export function someFeatures(numbers: number, categories: number): ModelFeature[] {
  return [
    ...Array.from({ length: numbers }, (_, place): ModelFeature => ({ name: `n${place}`, type: "number" })),
    ...Array.from({ length: categories }, (_, place): ModelFeature => {
      return { name: `c${place}`, type: "category", levels: ["a", "b", "c", "d", "e"] }
    }),
  ]
}

/** One row of values for the features: about one in six missing. */
export function randomRow(random: Random, features: readonly ModelFeature[]): Float64Array {
  return Float64Array.from(features, (feature) => {
    if (random.int(6) === 0) return Number.NaN
    return feature.type === "number" ? random.gaussian() : random.int(feature.levels.length)
  })
}

/** Rows as columns. */
export function columnsOf(rows: readonly Float64Array[]): Float64Array[] {
  return Array.from(rows[0] ?? [], (_, input) => Float64Array.from(rows, (row) => row[input] ?? Number.NaN))
}

type Node = { input: number; value: number; left: number; flags: number; cover: number }

/** Trees with random splits; a feature often repeats on a path, and some children have no training rows. */
export function randomForest(
  random: Random,
  features: readonly ModelFeature[],
  { trees, depth }: { trees: number; depth: number },
): GbdtModel {
  const nodes: Node[] = []
  const roots: number[] = []
  const sets: number[] = []
  for (let tree = 0; tree < trees; tree++) {
    const root = nodes.length
    roots.push(root)
    const grow = (place: number, level: number, cover: number): void => {
      const node = nodes[place]
      if (node === undefined || level === depth || (level > 1 && random.int(4) === 0)) return
      const input = random.int(features.length)
      const isCategory = features[input]?.type === "category"
      const left = nodes.length
      const leftCover = random.int(8) === 0 ? 0 : random.int(cover + 1)
      for (const rows of [leftCover, cover - leftCover]) {
        nodes.push({ input: LEAF, value: random.gaussian(), left: 0, flags: 0, cover: rows })
      }
      if (isCategory) sets.push(random.int(32))
      node.input = input
      node.value = isCategory ? sets.length - 1 : random.gaussian()
      node.left = left - root
      node.flags = (random.int(2) === 0 ? MISSING_LEFT : 0) | (isCategory ? CATEGORY : 0)
      grow(left, level + 1, leftCover)
      grow(left + 1, level + 1, cover - leftCover)
    }
    nodes.push({ input: LEAF, value: random.gaussian(), left: 0, flags: 0, cover: 1_000 })
    grow(root, 0, 1_000)
  }
  return {
    kind: "gbdt",
    base: random.gaussian(),
    roots: base64Of(Uint32Array.from(roots)),
    inputs: base64Of(Uint16Array.from(nodes, ({ input }) => input)),
    values: base64Of(Float64Array.from(nodes, ({ value }) => value)),
    children: base64Of(Uint16Array.from(nodes, ({ left }) => left)),
    flags: base64Of(Uint8Array.from(nodes, ({ flags }) => flags)),
    covers: base64Of(Float32Array.from(nodes, ({ cover }) => cover)),
    sets: base64Of(Uint32Array.from(sets)),
    setWords: 1,
  }
}

/** Deep trees that continue on one side only: the explanation of a leaf costs the square of its depth. */
export function chains(trees: number, depth: number, inputCount = 64): GbdtModel {
  const inputs: number[] = []
  const children: number[] = []
  const roots: number[] = []
  for (let tree = 0; tree < trees; tree++) {
    roots.push(inputs.length)
    // Node 2k splits and continues at its right child; node 2k + 1 is a leaf.
    for (let node = 0; node <= 2 * depth; node++) {
      const asks = node % 2 === 0 && node < 2 * depth
      inputs.push(asks ? (node / 2) % inputCount : LEAF)
      children.push(asks ? node + 1 : 0)
    }
  }
  const size = inputs.length
  return {
    kind: "gbdt",
    base: 0,
    roots: base64Of(Uint32Array.from(roots)),
    inputs: base64Of(Uint16Array.from(inputs)),
    values: base64Of(new Float64Array(size)),
    children: base64Of(Uint16Array.from(children)),
    flags: base64Of(new Uint8Array(size)),
    covers: base64Of(new Float32Array(size).fill(1)),
    sets: base64Of(new Uint32Array(0)),
    setWords: 0,
  }
}

/** A scorecard with a term for each feature and one pair of the first and the last. */
export function randomScorecard(random: Random, features: readonly ModelFeature[], knots = 5): GamModel {
  const some = (length: number): number[] => Array.from({ length }, () => random.gaussian())
  const ascending = (length: number): number[] => some(length).sort((a, b) => a - b)
  const terms = features.map((feature, input): GamTerm => {
    return feature.type === "number"
      ? { shape: "line", input, knots: ascending(knots), values: some(knots), missing: random.gaussian() }
      : { shape: "levels", input, values: some(feature.levels.length), missing: random.gaussian() }
  })
  const last = features.length - 1
  const inputs: [number, number] = [0, last]
  const cuts = inputs.map((input) => (features[input]?.type === "number" ? ascending(3) : []))
  const cells = inputs.map((input) => {
    const feature = features[input]
    return feature?.type === "category" ? feature.levels.length + 1 : 5
  })
  const values = some((cells[0] ?? 0) * (cells[1] ?? 0))
  const all: GamTerm[] = [...terms, { shape: "grid", inputs, cuts: [cuts[0] ?? [], cuts[1] ?? []], values }]
  return { kind: "gam", intercept: random.gaussian(), terms: all, means: all.map(() => random.gaussian()) }
}
