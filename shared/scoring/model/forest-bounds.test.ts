import { describe, expect, test } from "vitest"
import { artefactOf, chains, randomForest, someFeatures } from "../../../test/support/models/models.ts"
import { Random } from "../../learning/random.ts"
import { FOREST_BOUNDS, prepareForest } from "./forest.ts"
import { explanationCost, prepareModel } from "./model.ts"

const features = someFeatures(64, 0)

describe("a model within the bounds", () => {
  test("is accepted, and its explanation cost is known", async () => {
    const forest = randomForest(new Random(1), features, { trees: 200, depth: 6 })
    const model = await prepareModel(await artefactOf(features, [{ weight: 1, model: forest }]))
    expect(explanationCost(model)).toBeGreaterThan(10_000)
    expect(explanationCost(model)).toBeLessThan(FOREST_BOUNDS.work)
  })

  test("costs the sum over the leaves of (depth + 1)²", () => {
    // Leaves at depth 1, 2 and twice 3.
    expect(prepareForest(chains(1, 3), features).work).toBe(2 ** 2 + 3 ** 2 + 2 * 4 ** 2)
  })
})

describe("a model that would block an isolate is rejected with the numbers", () => {
  test("deep trees", () => {
    expect(() => prepareForest(chains(300, 64), features)).toThrow(
      /the trees have \d+ steps to explain one row .*, and may have 2000000/,
    )
    expect(() => prepareForest(chains(1, 65), features)).toThrow("have 65 levels in a tree, and may have 64")
  })

  test("too many trees", () => {
    expect(() => prepareForest(chains(FOREST_BOUNDS.trees + 1, 1), features)).toThrow(
      "the trees have 2001 trees, and may have 2000",
    )
  })

  test("parts that exceed the bound together", async () => {
    const part = { weight: 1, model: chains(8, 64) }
    const artefact = await artefactOf(features, [part, part])
    expect(explanationCost(await prepareModel(artefact))).toBeGreaterThan(FOREST_BOUNDS.work / 2)
    await expect(prepareModel({ ...artefact, parts: [part, part, part, part] })).rejects.toThrow(/over all parts/)
  })
})
