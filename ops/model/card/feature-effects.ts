/** The effects of features, computed from the model alone: how much each one changes scores, and in which direction. */
import type { Artefact, GamTerm } from "../../../shared/scoring/model/artefact.ts"
import { type Forest, goesLeftSpecial, LEAF } from "../../../shared/scoring/model/forest.ts"
import type { Model } from "../../../shared/scoring/model/model.ts"

/** A feature and the standard deviation of its log-odds over the training rows. */
export interface FeatureImportance {
  readonly name: string
  readonly deviation: number
}

/**
 * Features by how much they spread scores: for a scorecard the deviation of a term over the training rows (by deciles and
 * levels), for trees that of their splits by the rows that reached them. Parts of a blend are added by their weights.
 */
export function importanceOf(model: Model): FeatureImportance[] {
  const variances = model.artefact.features.map(() => 0)
  const add = (input: number, variance: number) => {
    variances[input] = (variances[input] ?? 0) + variance
  }
  const total = model.artefact.parts.reduce((sum, { weight }) => sum + weight, 0)
  for (const [index, part] of model.parts.entries()) {
    const share = part.weight / total
    if (part.kind === "gbdt") addForest(part.forest, (input, variance) => add(input, share * part.weight * variance))
    const written = model.artefact.parts[index]?.model
    if (written?.kind !== "gam") continue
    for (const term of written.terms) {
      const inputs = term.shape === "grid" ? term.inputs : [term.input]
      const variance = termVariance(term, model.artefact)
      for (const input of inputs) add(input, (share * part.weight * variance) / inputs.length)
    }
  }
  return model.artefact.features
    .map(({ name }, input) => ({ name, deviation: Math.sqrt(variances[input] ?? 0) }))
    .sort((a, b) => b.deviation - a.deviation || (a.name < b.name ? -1 : 1))
}

/** The variance explained by each split, between the means of its two sides, times the share of rows that reach it. */
function addForest(forest: Forest, add: (input: number, variance: number) => void): void {
  const { roots, inputs, values, lefts, leftShares } = forest
  const means = new Float64Array(inputs.length)
  for (let node = inputs.length - 1; node >= 0; node--) {
    const left = lefts[node] ?? 0
    const share = leftShares[node] ?? 0
    means[node] = left === 0 ? (values[node] ?? 0) : share * (means[left] ?? 0) + (1 - share) * (means[left + 1] ?? 0)
  }
  const reach = new Float64Array(inputs.length)
  for (const root of roots) reach[root] = 1
  for (let node = 0; node < inputs.length; node++) {
    const [input, left, share] = [inputs[node] ?? LEAF, lefts[node] ?? 0, leftShares[node] ?? 0]
    if (input === LEAF) continue
    reach[left] = (reach[node] ?? 0) * share
    reach[left + 1] = (reach[node] ?? 0) * (1 - share)
    // The effects of trees are correlated, so that adding variances would be a lower bound; they are scaled accordingly.
    add(
      input,
      (reach[node] ?? 0) * share * (1 - share) * ((means[left] ?? 0) - (means[left + 1] ?? 0)) ** 2 * roots.length,
    )
  }
}

function termVariance(term: GamTerm, { training }: Artefact): number {
  if (term.shape === "grid") return variance(term.values.map((value) => [value, 1 / term.values.length]))
  const reference = training.reference[term.input]
  if (reference === undefined) return 0
  const { cuts = [], shares, missing } = reference
  if (term.shape === "levels") {
    return variance([
      ...term.values.map((value, level) => [value, shares[level] ?? 0] as const),
      [term.missing, missing],
    ])
  }
  const at = (bin: number): number => {
    const [from, to] = [cuts[bin - 1] ?? term.knots[0] ?? 0, cuts[bin] ?? term.knots.at(-1) ?? 0]
    return (lineAt(term, from) + lineAt(term, to)) / 2
  }
  return variance([...shares.map((share, bin) => [at(bin), share] as const), [term.missing, missing]])
}

function variance(weighted: readonly (readonly [value: number, share: number])[]): number {
  const total = weighted.reduce((sum, [, share]) => sum + share, 0)
  if (total === 0) return 0
  const mean = weighted.reduce((sum, [value, share]) => sum + value * share, 0) / total
  return weighted.reduce((sum, [value, share]) => sum + share * (value - mean) ** 2, 0) / total
}

function lineAt({ knots, values }: Extract<GamTerm, { shape: "line" }>, x: number): number {
  if (x <= (knots[0] ?? 0)) return values[0] ?? 0
  const right = knots.findIndex((knot) => knot >= x)
  if (right < 0) return values.at(-1) ?? 0
  const [from, to] = [knots[right - 1] ?? 0, knots[right] ?? 1]
  return (values[right - 1] ?? 0) + ((x - from) / (to - from)) * ((values[right] ?? 0) - (values[right - 1] ?? 0))
}

/** Log-odds as a function of one feature, averaged over the others. */
export interface PartialDependence {
  readonly name: string
  /** For a number in ascending order; for a category one per level. */
  readonly points: readonly { readonly at: number | string; readonly logOdds: number }[]
  readonly missing: number
}

const POINTS = 60
const LEVELS_SHOWN = 12

/** The partial dependence on one feature: a scorecard's term, and for trees the weighted mean over paths (Friedman 2001). */
export function partialDependenceOf(model: Model, input: number): PartialDependence {
  const feature = model.artefact.features[input]
  const at = (value: number): number => {
    let sum = 0
    for (const [index, part] of model.parts.entries()) {
      if (part.kind === "gbdt") sum += part.weight * (dependence(part.forest, input, value) - part.forest.expected)
      const written = model.artefact.parts[index]?.model
      if (written?.kind !== "gam") continue
      written.terms.forEach((term, place) => {
        if (term.shape === "grid" || term.input !== input) return
        sum += part.weight * (termAt(term, value) - (written.means[place] ?? 0))
      })
    }
    return sum
  }
  const missing = at(Number.NaN)
  const name = feature?.name ?? ""
  if (feature?.type === "category") {
    const shares = model.artefact.training.reference[input]?.shares ?? []
    const levels = feature.levels.map((level, place) => ({ at: level, logOdds: at(place), share: shares[place] ?? 0 }))
    const shown = levels.sort((a, b) => b.share - a.share).slice(0, LEVELS_SHOWN)
    return { name, points: shown.map(({ at: level, logOdds }) => ({ at: level, logOdds })), missing }
  }
  const [from, to] = rangeOf(model.artefact, input)
  const steps = Array.from({ length: POINTS + 1 }, (_, step) => from + ((to - from) * step) / POINTS)
  return { name, points: steps.map((value) => ({ at: value, logOdds: at(value) })), missing }
}

/** The range of most rows: deciles extended by a quarter, or the knots. */
function rangeOf({ training, parts }: Artefact, input: number): readonly [number, number] {
  const cuts = training.reference[input]?.cuts ?? []
  const knots = parts.flatMap(({ model }) => {
    return model.kind === "gam"
      ? model.terms.flatMap((term) => (term.shape === "line" && term.input === input ? term.knots : []))
      : []
  })
  if (knots.length > 0) return [Math.min(...knots), Math.max(...knots)]
  const [from, to] = [cuts[0] ?? 0, cuts.at(-1) ?? 1]
  const margin = (to - from || 1) / 4
  return [from - margin, to + margin]
}

function termAt(term: Exclude<GamTerm, { shape: "grid" }>, value: number): number {
  if (Number.isNaN(value)) return term.missing
  return term.shape === "levels" ? (term.values[value] ?? term.missing) : lineAt(term, value)
}

/** Sum of the trees' means with one input fixed; splits on other inputs are averaged by training shares. */
function dependence(forest: Forest, input: number, value: number): number {
  const { roots, inputs, values, lefts, leftShares } = forest
  const walk = (node: number): number => {
    const tested = inputs[node] ?? LEAF
    if (tested === LEAF) return values[node] ?? 0
    const left = lefts[node] ?? 0
    if (tested !== input) {
      const share = leftShares[node] ?? 0
      return share * walk(left) + (1 - share) * walk(left + 1)
    }
    const threshold = values[node] ?? 0
    if (value <= threshold) return walk(left)
    if (value > threshold) return walk(left + 1)
    return walk(goesLeftSpecial(forest, node, value) ? left : left + 1)
  }
  return roots.reduce((sum, root) => sum + walk(root), forest.base)
}
