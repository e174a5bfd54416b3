import { describe, expect, test } from "vitest"
import { randomForest, randomRow, someFeatures } from "../../test/support/models/models.ts"
import { Random } from "../learning/random.ts"
import { type Forest, goesLeftSpecial, LEAF, prepareForest, rawForestScore } from "./model/forest.ts"
import { explainForest } from "./tree-shap.ts"

/** The expected value of the trees if only the features of `known` (one bit each) are known; others follow training shares. */
function expectation(forest: Forest, row: Float64Array, known: number): number {
  const at = (node: number): number => {
    const input = forest.inputs[node] ?? LEAF
    const value = forest.values[node] ?? 0
    if (input === LEAF) return value
    const left = forest.lefts[node] ?? 0
    const share = forest.leftShares[node] ?? 0
    if (((known >>> input) & 1) === 0) return share * at(left) + (1 - share) * at(left + 1)
    const own = row[input] ?? Number.NaN
    const isLeft = Number.isNaN(value) || Number.isNaN(own) ? goesLeftSpecial(forest, node, own) : own <= value
    return at(isLeft ? left : left + 1)
  }
  return forest.roots.reduce((sum, root) => sum + at(root), forest.base)
}

/** Shapley's formula: the mean over all orders, as a sum over all subsets. */
function bruteForce(forest: Forest, row: Float64Array): number[] {
  const count = row.length
  const factorials = Array.from({ length: count + 1 }, (_, n) => {
    return Array.from({ length: n }, (_, k) => k + 1).reduce((product, k) => product * k, 1)
  })
  const means = Array.from({ length: 1 << count }, (_, known) => expectation(forest, row, known))
  return Array.from({ length: count }, (_, input) => {
    let sum = 0
    for (let known = 0; known < means.length; known++) {
      if (((known >>> input) & 1) === 1) continue
      const size = known.toString(2).replaceAll("0", "").length
      const weight = ((factorials[size] ?? 0) * (factorials[count - size - 1] ?? 0)) / (factorials[count] ?? 1)
      sum += weight * ((means[known | (1 << input)] ?? 0) - (means[known] ?? 0))
    }
    return sum
  })
}

describe.each([1, 2, 3, 4, 5, 6])("trees of seed %i", (seed) => {
  const random = new Random(seed)
  const features = someFeatures(4, 2)
  const forest = prepareForest(randomForest(random, features, { trees: 10, depth: 3 + (seed % 5) }), features)
  const rows = Array.from({ length: 12 }, () => randomRow(random, features))

  test("contributions are the Shapley values over all subsets", () => {
    for (const row of rows) {
      const contributions = new Float64Array(row.length)
      explainForest(forest, row, 1, contributions)
      for (const [input, exact] of bruteForce(forest, row).entries()) {
        expect(Math.abs((contributions[input] ?? 0) - exact)).toBeLessThan(1e-9)
      }
    }
  })

  test("contributions and the expectation add up to the score", () => {
    for (const row of rows) {
      const contributions = new Float64Array(row.length)
      explainForest(forest, row, 1, contributions)
      const sum = contributions.reduce((total, part) => total + part, forest.expected)
      expect(Math.abs(sum - rawForestScore(forest, row))).toBeLessThan(1e-12)
    }
  })
})

test("deep trees that test six features repeatedly stay exact", () => {
  const random = new Random(20)
  const features = someFeatures(4, 2)
  const forest = prepareForest(randomForest(random, features, { trees: 1, depth: 14 }), features)
  for (let round = 0; round < 5; round++) {
    const row = randomRow(random, features)
    const contributions = new Float64Array(row.length)
    explainForest(forest, row, 1, contributions)
    for (const [input, exact] of bruteForce(forest, row).entries()) {
      expect(Math.abs((contributions[input] ?? 0) - exact)).toBeLessThan(1e-9)
    }
  }
})
