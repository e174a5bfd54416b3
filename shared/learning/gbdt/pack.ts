import type { GbdtModel, ModelFeature } from "../../scoring/model/artefact.ts"
import { base64Of } from "../../scoring/model/binary.ts"
import { CATEGORY, LEAF, MISSING_LEFT } from "../../scoring/model/forest.ts"
import type { Binning } from "./bins.ts"
import type { GrownNode } from "./grow.ts"

/** One node of a model's trees; `set` are the levels that go left at a category. */
export type PackedNode = {
  /** `LEAF`, or the feature's index. */
  readonly input: number
  /** Threshold, or value of a leaf. */
  readonly value: number
  /** The left child, relative to the root. */
  readonly left: number
  readonly missingLeft: boolean
  readonly cover: number
  readonly set: readonly number[] | null
}

/** Trees in the artefact's format. */
export function packTrees(
  base: number,
  trees: readonly (readonly GrownNode[])[],
  features: readonly ModelFeature[],
  binnings: readonly Binning[],
): GbdtModel {
  const packed = trees.map((tree) => {
    return tree.map(({ split, left, value, cover }): PackedNode => {
      if (split === null) return { input: LEAF, value, left: 0, missingLeft: false, cover, set: null }
      const { input, lastLeft, missingLeft, goesLeft } = split
      const binning = binnings[input]
      const levels = Array.from(binning?.binOfLevel ?? [], (bin, level) => (goesLeft[bin] === 1 ? level : -1))
      const set = binning?.isCategory === true ? levels.filter((level) => level >= 0) : null
      // Only missing values are beyond the last cut.
      const threshold = set === null ? (binning?.cuts[lastLeft] ?? Number.MAX_VALUE) : 0
      return { input, value: threshold, left, missingLeft, cover, set }
    })
  })
  return packNodes(base, packed, features)
}

/** Packs nodes in the artefact's format; each tree starts with its root, and children follow their parent. */
export function packNodes(
  base: number,
  trees: readonly (readonly PackedNode[])[],
  features: readonly ModelFeature[],
): GbdtModel {
  const nodes = trees.flat()
  const roots: number[] = []
  let next = 0
  for (const tree of trees) {
    roots.push(next)
    next += tree.length
  }
  const hasSets = nodes.some(({ set }) => set !== null)
  const levelsMax = Math.max(0, ...features.map((feature) => (feature.type === "category" ? feature.levels.length : 0)))
  const setWords = hasSets ? Math.ceil(levelsMax / 32) : 0
  // Equal sets are stored once.
  const places = new Map<string, number>()
  const sets: number[] = []
  const values = nodes.map(({ value, set }) => {
    if (set === null) return value
    const words = new Uint32Array(setWords)
    for (const level of set) words[level >>> 5] = (words[level >>> 5] ?? 0) | (1 << (level & 31))
    const key = words.join()
    const place = places.get(key) ?? places.size
    if (place === places.size) {
      places.set(key, place)
      sets.push(...words)
    }
    return place
  })
  const flags = nodes.map(({ missingLeft, set }) => (missingLeft ? MISSING_LEFT : 0) | (set === null ? 0 : CATEGORY))
  return {
    kind: "gbdt",
    base,
    roots: base64Of(Uint32Array.from(roots)),
    inputs: base64Of(Uint16Array.from(nodes, ({ input }) => input)),
    values: base64Of(Float64Array.from(values)),
    children: base64Of(Uint16Array.from(nodes, ({ left }) => left)),
    flags: base64Of(Uint8Array.from(flags)),
    covers: base64Of(Float32Array.from(nodes, ({ cover }) => cover)),
    sets: base64Of(Uint32Array.from(sets)),
    setWords,
  }
}
