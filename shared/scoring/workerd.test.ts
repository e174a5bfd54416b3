import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { artefactOf, columnsOf, randomRow, someFeatures } from "../../test/support/models/models.ts"
import { type ScoringInWorkerd, startScoringInWorkerd } from "../../test/support/models/scoring-in-workerd.ts"
import { trainGam } from "../learning/gam/train.ts"
import { trainGbdt } from "../learning/gbdt/train.ts"
import { Random } from "../learning/random.ts"
import { explain } from "./explain.ts"
import type { Artefact } from "./model/artefact.ts"
import { calibrate, probabilityOf } from "./model/calibrate.ts"
import { prepareModel, rawScoresOfPart } from "./model/model.ts"

const ROWS = 500

const random = new Random(1)
const features = someFeatures(5, 2)
const list = Array.from({ length: ROWS }, () => randomRow(random, features))
const outcomes = Uint8Array.from(list, ([n0 = 0, n1 = 0]) =>
  random.next() < 1 / (1 + Math.exp(-n0 * n1 || 0)) ? 1 : 0,
)
const matrix = { features, columns: columnsOf(list), rows: ROWS }
const gam = trainGam(matrix, outcomes).model
const gbdt = trainGbdt(matrix, outcomes, { trees: 60 })

/** The trainers' own predictions, before the artefact exists. */
const predicted = { gam: rawScoresOfPart(features, gam, matrix.columns, ROWS), gbdt: gbdt.scores }

const MODELS: readonly [Artefact["kind"], Artefact["parts"], Float64Array][] = [
  ["gam", [{ weight: 1, model: gam }], predicted.gam],
  ["gbdt", [{ weight: 1, model: gbdt.model }], predicted.gbdt],
  [
    "blend",
    [
      { weight: 0.3, model: gam },
      { weight: 0.7, model: gbdt.model },
    ],
    predicted.gam.map((raw, row) => 0.3 * raw + 0.7 * (predicted.gbdt[row] ?? 0)),
  ],
]

describe("the evaluator in workerd predicts what the trainer predicted", () => {
  let workerd: ScoringInWorkerd
  // Building a bundle and starting a process take some seconds on a busy machine.
  beforeAll(async () => {
    workerd = await startScoringInWorkerd()
  }, 60_000)
  afterAll(() => workerd.stop())

  test.each(MODELS)("a %s", async (_, parts, expected) => {
    const calibration = { kind: "platt" as const, slope: 0.9, intercept: -0.2 }
    // Serialised, as it is stored.
    const artefact: unknown = JSON.parse(JSON.stringify(await artefactOf(features, parts, { calibration })))
    for (const task of ["many", "explain"] as const) {
      const there = await workerd.run({ artefact, task, columns: matrix.columns, rows: ROWS })
      for (let row = 0; row < ROWS; row++) {
        const raw = expected[row] ?? Number.NaN
        expect(Math.abs((there.raw[row] ?? Number.NaN) - raw)).toBeLessThan(1e-12)
        const probability = probabilityOf(calibrate(calibration, raw))
        expect(Math.abs((there.probabilities[row] ?? Number.NaN) - probability)).toBeLessThan(1e-12)
      }
      if (task === "many") continue
      const model = await prepareModel(artefact)
      const here = list.flatMap((row) => explain(model, row).contributions.map(({ contribution }) => contribution))
      expect(there.contributions.length).toBe(here.length)
      for (const [place, contribution] of here.entries()) {
        expect(Math.abs((there.contributions[place] ?? Number.NaN) - contribution)).toBeLessThan(1e-12)
      }
    }
  })
})
