import { describe, expect, test } from "vitest"
import {
  artefactOf,
  columnsOf,
  randomForest,
  randomRow,
  randomScorecard,
  someFeatures,
} from "../../../test/support/models/models.ts"
import { Random } from "../../learning/random.ts"
import { explain } from "../explain.ts"
import type { Artefact, Calibration, GbdtModel } from "./artefact.ts"
import { base64Of } from "./binary.ts"
import { InvalidArtefact } from "./invalid-artefact.ts"
import { encode, prepareModel, rawScores, rawScoresOfPart, score, scoreMany } from "./model.ts"

const CALIBRATIONS: readonly Calibration[] = [
  { kind: "none" },
  { kind: "platt", slope: 0.7, intercept: -0.3 },
  { kind: "isotonic", raw: [-2, -1, 0.5, 3], calibrated: [-2.5, -1.5, -1.5, 1] },
]

async function blend(seed: number, calibration: Calibration): Promise<Artefact> {
  const random = new Random(seed)
  const features = someFeatures(5, 2)
  const parts: Artefact["parts"] = [
    { weight: 0.4, model: randomScorecard(random, features) },
    { weight: 0.6, model: randomForest(random, features, { trees: 20, depth: 5 }) },
  ]
  return artefactOf(features, parts, { calibration })
}

describe.each(CALIBRATIONS)("with calibration $kind", (calibration) => {
  test("base and contributions, including the company's offset, sum to the logit", async () => {
    const model = await prepareModel(await blend(1, calibration))
    const random = new Random(2)
    for (let round = 0; round < 200; round++) {
      const offset = round % 2 === 0 ? 0.25 : 0
      const why = explain(model, randomRow(random, model.artefact.features), offset)
      const sum = why.contributions.reduce((total, { contribution }) => total + contribution, why.base)
      expect(Math.abs(sum - why.logit)).toBeLessThan(1e-12)
      expect(why.contributions.some(({ source }) => source === "company")).toBe(offset !== 0)
      expect(why.contributions.some(({ source }) => source === "calibration")).toBe(calibration.kind === "isotonic")
    }
  })

  test("scoring many rows is bit-identical to scoring them one by one, for any values", async () => {
    const model = await prepareModel(await blend(3, calibration))
    const random = new Random(4)
    const hostile = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e308, -1, 7, 1.5, 2 ** 40]
    const rows = Array.from({ length: 700 }, () => {
      const row = randomRow(random, model.artefact.features)
      return random.int(3) === 0 ? row.map((value) => hostile[random.int(20)] ?? value) : row
    })
    const raw = rawScores(model, columnsOf(rows), rows.length)
    const offsets = rows.map((_, place) => (place % 2 === 0 ? 0.1 + 0.2 : 0))
    const probabilities = scoreMany(model, columnsOf(rows), rows.length, offsets)
    for (const [place, row] of rows.entries()) {
      const one = score(model, row, offsets[place])
      expect(raw[place]).toBe(one.raw)
      expect(probabilities[place]).toBe(one.probability)
      expect(one.probability).toBeGreaterThan(0)
      expect(one.probability).toBeLessThan(1)
    }
  })

  test("a higher raw score never gets a lower probability", async () => {
    const features = someFeatures(1, 0)
    const line = { shape: "line" as const, input: 0, knots: [-50, 50], values: [-50, 50], missing: 0 }
    const gam = { kind: "gam" as const, intercept: 0, terms: [line], means: [0] }
    const model = await prepareModel(await artefactOf(features, [{ weight: 1, model: gam }], { calibration }))
    const grid = Array.from({ length: 2_001 }, (_, place) => (place - 1_000) / 20)
    const probabilities = grid.map((value) => score(model, Float64Array.of(value)).probability)
    for (const [place, probability] of probabilities.entries()) {
      expect(probability).toBeGreaterThanOrEqual(probabilities[place - 1] ?? 0)
      expect(probability > 0 && probability < 1).toBe(true)
    }
  })
})

test("the raw score is the weighted sum of the parts", async () => {
  const artefact = await blend(5, { kind: "none" })
  const model = await prepareModel(artefact)
  const random = new Random(6)
  const rows = Array.from({ length: 50 }, () => randomRow(random, artefact.features))
  const columns = columnsOf(rows)
  const parts = artefact.parts.map(({ model: part }) => rawScoresOfPart(artefact.features, part, columns, rows.length))
  const whole = rawScores(model, columns, rows.length)
  for (const place of rows.keys()) {
    expect(whole[place]).toBe(0.4 * (parts[0]?.[place] ?? 0) + 0.6 * (parts[1]?.[place] ?? 0))
  }
})

test("an unusable value is missing and is reported", async () => {
  const features = someFeatures(5, 2)
  const model = await prepareModel(await blend(1, { kind: "none" }))
  expect(model.artefact.features).toEqual(features)
  const record = { n0: 1.5, n1: "2", n2: Number.NaN, n3: Number.POSITIVE_INFINITY, c0: "b", c1: "zebra", other: 1 }
  const { vector, missing, unknown, coverage } = encode(model, record)
  expect([...vector]).toEqual([1.5, Number.NaN, Number.NaN, Number.NaN, Number.NaN, 1, Number.NaN])
  expect(missing).toEqual(["n4"])
  expect(unknown).toEqual(["n1", "n2", "n3", "c1"])
  expect(coverage).toBeCloseTo(2 / 7)
  const empty = encode(model, {})
  expect(empty.coverage).toBe(0)
  expect(Number.isFinite(score(model, empty.vector).logit)).toBe(true)
})

test("property names of Object.prototype are not values", async () => {
  const features = [{ name: "constructor", type: "number" as const }, ...someFeatures(1, 0)]
  const gam = { kind: "gam" as const, intercept: 0, terms: [], means: [] }
  const model = await prepareModel(await artefactOf(features, [{ weight: 1, model: gam }]))
  expect(encode(model, {}).missing).toEqual(["constructor", "n0"])
})

test("a row of another width is rejected", async () => {
  const model = await prepareModel(await blend(1, { kind: "none" }))
  expect(() => score(model, new Float64Array(3))).toThrow(RangeError)
  expect(() => scoreMany(model, [new Float64Array(3)], 3)).toThrow(RangeError)
})

describe("an inconsistent document is rejected", () => {
  const features = someFeatures(2, 1)
  const tree = {
    kind: "gbdt",
    base: 0,
    roots: base64Of(Uint32Array.of(0)),
    inputs: base64Of(Uint16Array.of(0, 65_535, 65_535)),
    values: base64Of(Float64Array.of(0, 1, -1)),
    children: base64Of(Uint16Array.of(1, 0, 0)),
    flags: base64Of(new Uint8Array(3)),
    covers: base64Of(Float32Array.of(10, 4, 6)),
    sets: "",
    setWords: 0,
  } satisfies GbdtModel
  const forest = (over: Partial<GbdtModel>) => ({ parts: [{ weight: 1, model: { ...tree, ...over } }] })
  const gam = (terms: unknown[], means = terms.map(() => 0)) => ({
    kind: "gam",
    parts: [{ weight: 1, model: { kind: "gam", intercept: 0, terms, means } }],
  })
  const line = { shape: "line", input: 0, knots: [0, 1], values: [0, 1], missing: 0 }

  const invalid: Readonly<Record<string, object>> = {
    "another format": { format: "churn-saver-model/2" },
    "an unknown key": { weights: [] },
    "no parts": { parts: [] },
    "the hash of other features": { featureHash: "0".repeat(64) },
    "a kind that differs from its parts": { kind: "gam" },
    "a child that is its own parent": forest({ children: base64Of(Uint16Array.of(0, 0, 0)) }),
    "a child beyond the end": forest({ children: base64Of(Uint16Array.of(2, 0, 0)) }),
    "a node without a parent": forest({
      inputs: base64Of(Uint16Array.of(65_535, 65_535, 65_535)),
    }),
    "an input out of range": forest({ inputs: base64Of(Uint16Array.of(3, 65_535, 65_535)) }),
    "a number treated as a category": forest({ flags: base64Of(Uint8Array.of(2, 0, 0)), setWords: 1 }),
    "a category treated as a number": forest({ inputs: base64Of(Uint16Array.of(2, 65_535, 65_535)) }),
    "a set out of range": forest({
      inputs: base64Of(Uint16Array.of(2, 65_535, 65_535)),
      flags: base64Of(Uint8Array.of(2, 0, 0)),
      setWords: 1,
    }),
    "arrays of different lengths": forest({ covers: base64Of(Float32Array.of(10, 4)) }),
    "a NaN threshold": forest({ values: base64Of(Float64Array.of(Number.NaN, 1, -1)) }),
    "a NaN leaf": forest({ values: base64Of(Float64Array.of(0, Number.NaN, -1)) }),
    "an infinite leaf": forest({ values: base64Of(Float64Array.of(0, Number.POSITIVE_INFINITY, -1)) }),
    "a negative cover": forest({ covers: base64Of(Float32Array.of(10, -4, 6)) }),
    "a root that is not the first node": forest({ roots: base64Of(Uint32Array.of(1)) }),
    "roots that do not ascend": forest({ roots: base64Of(Uint32Array.of(0, 0)) }),
    "a root beyond the end": forest({ roots: base64Of(Uint32Array.of(0, 9)) }),
    "text that is not base64": forest({ roots: "?" }),
    "an incomplete number": forest({ roots: "AAA=" }),
    "a term of an input out of range": gam([{ ...line, input: 9 }]),
    "a line over a category": gam([{ ...line, input: 2 }]),
    "knots that do not ascend": gam([{ ...line, knots: [1, 0] }]),
    "knots without values": gam([{ ...line, knots: [0, 1, 2] }]),
    "a line that is too steep": gam([{ ...line, knots: [0, 5e-324] }]),
    "a value beyond any log-odds": gam([{ ...line, values: [0, 1e300] }]),
    "an infinite value": gam([{ ...line, values: [0, Number.POSITIVE_INFINITY] }]),
    "terms without means": gam([line], []),
    "levels for a number": gam([{ shape: "levels", input: 0, values: [], missing: 0 }]),
    "a grid with too few cells": gam([{ shape: "grid", inputs: [0, 1], cuts: [[0], [0]], values: [1] }]),
    "a calibration that does not ascend": {
      calibration: { kind: "isotonic", raw: [0, 1, 2], calibrated: [0, 2, 1] },
    },
    "a calibration with equal steps": { calibration: { kind: "isotonic", raw: [0, 0], calibrated: [0, 1] } },
    "a calibration with a negative slope": { calibration: { kind: "platt", slope: -1, intercept: 0 } },
    "an offset beyond any log-odds": { offsets: { acme: 1e300 } },
  }

  test.each(Object.entries(invalid))("%s", async (_, over) => {
    const valid = await artefactOf(features, [{ weight: 1, model: tree }])
    await expect(prepareModel(valid)).resolves.toBeDefined()
    await expect(prepareModel({ ...valid, ...over })).rejects.toThrow(InvalidArtefact)
  })

  test.each([null, undefined, 1, "", [], {}])("%j", async (document) => {
    await expect(prepareModel(document)).rejects.toThrow(InvalidArtefact)
  })
})

test("an artefact of the older form is read without its offsets, and scores with them as before", async () => {
  const artefact = await blend(5, { kind: "none" })
  const model = await prepareModel({ ...artefact, offsets: { acme: 0.1 + 0.2, other: -1 } })
  expect(JSON.stringify(model.artefact)).toBe(JSON.stringify(artefact))
  expect([...model.offsets]).toEqual([
    ["acme", 0.1 + 0.2],
    ["other", -1],
  ])
  const row = randomRow(new Random(6), artefact.features)
  const { logit } = score(await prepareModel(artefact), row)
  expect(score(model, row, model.offsets.get("acme")).logit).toBe(logit + (0.1 + 0.2))
})
