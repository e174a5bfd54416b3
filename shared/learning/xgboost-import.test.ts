import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import * as z from "zod"
import { artefactOf } from "../../test/support/models/models.ts"
import { explain } from "../scoring/explain.ts"
import type { ModelFeature } from "../scoring/model/artefact.ts"
import { encode, prepareModel, rawScoresOfPart, score } from "../scoring/model/model.ts"
import { CannotImport, importXgboost, type XgboostImport, type XgboostOptions } from "./xgboost-import.ts"

const fixture = (name: string): string => {
  return readFileSync(new URL(`../../test/fixtures/xgboost/${name}`, import.meta.url), "utf8")
}
const value = z.union([z.number(), z.string(), z.null()])
const outcome = z.object({
  margins: z.array(z.number()),
  predictions: z.array(z.number()),
  contributions: z.array(z.array(z.number())),
})
const recorded = z
  .object({
    baseScore: z.number(),
    names: z.array(z.string()),
    rows: z.array(z.array(value)),
    numbers: outcome,
    categories: outcome.extend({
      names: z.array(z.string()),
      levels: z.array(z.string()),
      rows: z.array(z.array(value)),
    }),
  })
  .parse(JSON.parse(fixture("predictions.json")))

const withPlan: ModelFeature[] = [
  { name: "tenure", type: "number" },
  { name: "usage", type: "number" },
  { name: "plan", type: "category", levels: recorded.categories.levels },
]

async function expectSame(
  imported: XgboostImport,
  names: readonly string[],
  rows: readonly (readonly unknown[])[],
  expected: z.infer<typeof outcome>,
): Promise<void> {
  const artefact = await artefactOf(imported.features, [{ weight: 1, model: imported.model }])
  const model = await prepareModel(artefact)
  expect(rows.length).toBe(expected.predictions.length)
  for (const [place, row] of rows.entries()) {
    const { vector } = encode(model, Object.fromEntries(names.map((name, input) => [name, row[input]])))
    const scored = score(model, vector)
    expect(Math.abs(scored.logit - (expected.margins[place] ?? 0))).toBeLessThan(2e-6)
    expect(Math.abs(scored.probability - (expected.predictions[place] ?? 0))).toBeLessThan(1e-6)
    const contributions = expected.contributions[place]
    if (contributions === undefined) continue
    const why = explain(model, vector)
    for (const [input, { contribution }] of why.contributions.entries()) {
      expect(Math.abs(contribution - (contributions[input] ?? 0))).toBeLessThan(1e-5)
    }
    expect(Math.abs(why.base - (contributions.at(-1) ?? 0))).toBeLessThan(1e-5)
  }
}

describe("predictions and contributions equal XGBoost's", () => {
  test("a saved model, with missing values", async () => {
    const imported = importXgboost(fixture("numbers.model.json"))
    expect(imported.trees).toBe(15)
    expect(recorded.rows.flat().filter((one) => one === null).length).toBeGreaterThan(50)
    await expectSame(imported, recorded.names, recorded.rows, recorded.numbers)
  })

  test("the same model as a dump", async () => {
    const features = recorded.names.map((name): ModelFeature => ({ name, type: "number" }))
    const imported = importXgboost(fixture("numbers.dump.json"), { baseScore: recorded.baseScore, features })
    await expectSame(imported, recorded.names, recorded.rows, recorded.numbers)
  })

  test.each(["model", "dump"])("a %s that splits by sets of categories", async (form) => {
    const options = { features: withPlan, baseScore: recorded.baseScore }
    const imported = importXgboost(fixture(`categories.${form}.json`), options)
    const { names, rows } = recorded.categories
    await expectSame(imported, names, rows, recorded.categories)
  })
})

/** A saved model of one split, as XGBoost writes it, with parts replaced. */
function stump(over: { learner?: object; tree?: object; param?: object; booster?: object } = {}): string {
  return JSON.stringify({
    learner: {
      feature_names: ["x"],
      feature_types: ["float"],
      objective: { name: "binary:logistic" },
      learner_model_param: { base_score: "5E-1", num_class: "0", num_target: "1", num_feature: "1", ...over.param },
      gradient_booster: {
        name: "gbtree",
        model: {
          gbtree_model_param: { num_parallel_tree: "1" },
          trees: [
            {
              left_children: [1, -1, -1],
              right_children: [2, -1, -1],
              split_indices: [0, 0, 0],
              split_conditions: [0.1, -1, 1],
              default_left: [1, 0, 0],
              sum_hessian: [10, 4, 6],
              ...over.tree,
            },
          ],
        },
        ...over.booster,
      },
      ...over.learner,
    },
  })
}

test.each([0.1, 3e38, 1, -1, 16_777_216, 1e-40, 0, -0.3, 123.456])(
  "splits are exactly XGBoost's at a threshold of %f",
  (condition) => {
    const { features, model } = importXgboost(stump({ tree: { split_conditions: [condition, -1, 1] } }))
    const threshold = Math.fround(condition)
    const around = [
      threshold,
      condition,
      condition * (1 + 1e-9),
      condition * (1 - 1e-9),
      condition * (1 - 6e-8),
      condition - 1e-45,
    ]
    for (let step = -40; step <= 40; step++) around.push(threshold * (1 + step * 2 ** -26))
    const values = Float64Array.from(around)
    const scores = rawScoresOfPart(features, model, [values], values.length)
    for (const [place, one] of values.entries()) {
      expect(scores[place]).toBe(Math.fround(one) < threshold ? -1 : 1)
    }
  },
)

test("at an infinite threshold only missing values go to one side", () => {
  for (const [token, side] of [
    ["Infinity", -1],
    ["-Infinity", 1],
  ] as const) {
    const text = stump({ tree: { split_conditions: [777, -1, 1], default_left: [side === -1 ? 0 : 1, 0, 0] } })
    const { features, model } = importXgboost(text.replace("777", token))
    const values = Float64Array.of(-1e300, 0, 1e300, Number.NaN)
    expect([...rawScoresOfPart(features, model, [values], 4)]).toEqual([side, side, side, -side])
  }
})

test.each(["[3E-1]", "3E-1", "0.3"])("the base score can have the form %s", (written) => {
  const { model } = importXgboost(stump({ param: { base_score: written } }))
  expect(model.base).toBeCloseTo(Math.log(0.3 / 0.7), 6)
})

test("trees after the best iteration are left out, unless all are requested", () => {
  const parsed: unknown = JSON.parse(fixture("numbers.model.json"))
  const { learner } = z.object({ learner: z.looseObject({}) }).parse(parsed)
  const text = JSON.stringify({ learner: { ...learner, attributes: { best_iteration: "4" } } })
  expect(importXgboost(text)).toMatchObject({ trees: 5, treesInFile: 15 })
  expect(importXgboost(text, { allTrees: true })).toMatchObject({ trees: 15, treesInFile: 15 })
})

describe("what cannot be imported is rejected with the reason", () => {
  const leaf = { nodeid: 0, leaf: 1, cover: 3 }
  const refused: [string, string, XgboostOptions?][] = [
    ["JSON", "tree, you said?"],
    ["XGBoost", "{}"],
    ["XGBoost", "null"],
    ["objective is reg:squarederror", stump({ learner: { objective: { name: "reg:squarederror" } } })],
    ["booster is dart", stump({ booster: { name: "dart" } })],
    ["booster is gblinear", stump({ booster: { name: "gblinear", model: undefined } })],
    ["more than one thing", stump({ param: { num_class: "3" } })],
    ["base score", stump({ param: { base_score: "1" } })],
    ["one name for each feature", stump({ param: { num_feature: "2" } })],
    ["names a node twice", stump({ tree: { left_children: [0, -1, -1] } })],
    ["not there", stump({ tree: { left_children: [7, -1, -1] } })],
    ["input that is not there", stump({ tree: { split_indices: [5, 0, 0] } })],
    ["hold together", stump({ tree: { sum_hessian: [10, -4, 6] } })],
    ["leaf is out of range", stump({ tree: { split_conditions: [0.1, null, 1] } })],
    ["feature x is not given", stump(), { features: [{ name: "y", type: "number" }] }],
    ["x is a number in the model", stump(), { features: [{ name: "x", type: "category", levels: [] }] }],
    ["plan is a category", fixture("categories.model.json")],
    [
      "codes beyond its levels",
      fixture("categories.model.json"),
      { features: withPlan.map((one) => (one.type === "number" ? one : { ...one, levels: ["a"] })) },
    ],
    ["base score", JSON.stringify([leaf])],
    ["with_stats", JSON.stringify([{ nodeid: 0, leaf: 1 }]), { baseScore: 0.5 }],
  ]
  test.each(refused)("%s", (reason, text, options) => {
    expect(() => importXgboost(text, options)).toThrow(CannotImport)
    expect(() => importXgboost(text, options)).toThrow(reason)
  })
})
