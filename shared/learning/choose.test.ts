import { describe, expect, test } from "vitest"
import { probabilityOf } from "../scoring/model/calibrate.ts"
import { type Candidate, meanLoss, NODES_MAX } from "./candidates.ts"
import { choose } from "./choose.ts"
import type { CanonicalData } from "./data/labelled-rows.ts"
import { Random } from "./random.ts"

const ROWS = 2_000
const random = new Random(1)
const truth = Float64Array.from({ length: ROWS }, () => 1.5 * random.gaussian() - 1)
const outcomes = Uint8Array.from(truth, (value) => Number(random.next() < probabilityOf(value)))
const data: CanonicalData = {
  matrix: { features: [], columns: [], rows: ROWS },
  outcomes,
  customers: null,
  times: null,
  events: outcomes.reduce((sum, outcome) => sum + outcome, 0),
  places: new Uint32Array(ROWS),
}

/** A candidate that predicts the true log-odds plus noise. */
function candidate(kind: "gam" | "gbdt", name: string, noise: number, { seed = 1, nodes = 100 } = {}): Candidate {
  const noises = new Random(`${name} ${seed}`)
  const outOfFold = truth.map((value) => value + noise * noises.gaussian())
  return { name, kind, outOfFold, nodes, logLoss: meanLoss(outOfFold, outcomes), fit: () => [] }
}
const chosen = (...candidates: readonly Candidate[]) =>
  choose(candidates, data).parts.map(({ candidate: { name }, weight }) => `${weight} ${name}`)

describe("the choice", () => {
  test("is the scorecard if trees are no better", () => {
    const gam = candidate("gam", "gam", 0.1)
    // Larger errors in the same direction, which a blend cannot reduce.
    const worse = gam.outOfFold.map((value, row) => 1.6 * value - 0.6 * (truth[row] ?? 0) + 1)
    const trees = { ...candidate("gbdt", "trees", 0), outOfFold: worse, logLoss: meanLoss(worse, outcomes) }
    expect(chosen(gam, trees)).toEqual(["1 gam"])
    expect(choose([gam, trees], data).because).toContain("is no better than gam")
  })

  test("is the scorecard if trees are not significantly better", () => {
    const gam = candidate("gam", "gam", 0.3)
    const slightly = gam.outOfFold.map((value, row) => (row === 0 ? (truth[row] ?? 0) : value))
    const trees = {
      ...candidate("gbdt", "trees", 0),
      outOfFold: slightly,
      logLoss: meanLoss(slightly, outcomes) - 1e-9,
    }
    expect(chosen(gam, trees)).toEqual(["1 gam"])
  })

  test("is trees if they are clearly better", () => {
    expect(chosen(candidate("gam", "gam", 4), candidate("gbdt", "trees", 0))).toEqual(["1 trees"])
  })

  test("is a blend if the errors of both are independent", () => {
    expect(chosen(candidate("gam", "gam", 0.8), candidate("gbdt", "trees", 0.8))).toEqual(["0.5 gam", "0.5 trees"])
  })

  test("is the mean of shallow and deep trees if it ranks better, unless it is too large", () => {
    const [shallow, deep] = [candidate("gbdt", "shallow", 0.8), candidate("gbdt", "deep", 0.8)]
    expect(chosen(shallow, deep)[0]).toContain("the mean of ")
    const large = candidate("gbdt", "deep", 0.8, { nodes: NODES_MAX })
    expect(chosen(shallow, large)[0]).not.toContain("the mean of ")
  })

  test("is the only candidate if there is one", () => {
    expect(chosen(candidate("gam", "gam", 1))).toEqual(["1 gam"])
  })
})
