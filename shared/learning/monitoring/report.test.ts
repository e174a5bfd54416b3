import { describe, expect, test } from "vitest"
import { artefactOf, randomScorecard } from "../../../test/support/models/models.ts"
import type { ModelFeature } from "../../scoring/model/artefact.ts"
import { Random } from "../random.ts"
import { batchOf } from "./cusum.ts"
import { driftOf, type Profile, profileOf } from "./profile.ts"
import { type Evidence, type MeasureName, reportOf } from "./report.ts"

const FEATURES: ModelFeature[] = [
  { name: "tenure", type: "number" },
  { name: "interval", type: "category", levels: ["month", "year"] },
]

/** A model whose bins are the deciles of a uniform number from 0 to 100. */
async function model() {
  const scorecard = randomScorecard(new Random(1), FEATURES)
  const artefact = await artefactOf(FEATURES, [{ weight: 1, model: scorecard }])
  const cuts = [10, 20, 30, 40, 50, 60, 70, 80, 90]
  const tenths = Array.from({ length: 10 }, () => 0.1)
  return {
    ...artefact,
    training: {
      ...artefact.training,
      reference: [
        { missing: 0.05, cuts, shares: tenths },
        { missing: 0, shares: [0.8, 0.2] },
      ],
      scoreReference: { cuts: cuts.map((cut) => cut / 100), shares: tenths },
    },
  }
}

/** Inputs and predictions of customers; the share `missing` has no tenure. */
function customers(seed: string, rows: number, { missing = 0.05, longer = 0 } = {}) {
  const random = new Random(seed)
  return Array.from({ length: rows }, () => ({
    vector: {
      tenure: random.next() < missing ? null : 100 * random.next() ** (1 / (1 + longer)),
      interval: random.next() < 0.8 ? "month" : "year",
    },
    probability: random.next() ** (1 / (1 + longer)),
  }))
}

const evidenceOf = (now: Profile, reference: Profile | null): Evidence => ({
  ...{ weeks: [], recent: [], reference, now },
  scores: { customers: 500, stale: 5 },
  facts: { received: 1_000, late: 10 },
  labels: { due: 900, late: 0 },
})

const statusOf = (evidence: Evidence, name: MeasureName) =>
  reportOf(evidence).measures.find((measure) => measure.name === name)?.status

describe("a profile", () => {
  test("counts each row once per feature, with missing and unknown values in the last bin", async () => {
    const rows = [
      { vector: { tenure: 10, interval: "month" }, probability: 0.05 },
      { vector: { tenure: 10.1, interval: "decade" }, probability: 0.1 },
      { vector: { tenure: Number.NaN, interval: 3 }, probability: 0.95 },
      { vector: {}, probability: 1 },
    ]
    expect(profileOf(await model(), rows)).toEqual({
      rows: 4,
      features: { tenure: [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2], interval: [1, 0, 3] },
      score: [2, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    })
  })

  test("with another model's bins is not compared", async () => {
    const now = profileOf(await model(), customers("now", 300))
    expect(driftOf({ rows: 300, features: { tenure: [300] }, score: [300] }, now)).toEqual([])
  })
})

describe("a report", () => {
  test("without labels and reference has no warnings", async () => {
    const report = reportOf(evidenceOf(profileOf(await model(), []), null))
    expect(report).toMatchObject({ status: "pass", dataQuality: null, features: [] })
    for (const { name, status } of report.measures) {
      expect([name, status]).toEqual([name, name === "staleness" || name === "label_delay" ? "pass" : "too_few"])
    }
  })

  test("of an unchanged company passes", async () => {
    const artefact = await model()
    const reference = profileOf(artefact, customers("then", 400))
    const report = reportOf(evidenceOf(profileOf(artefact, customers("now", 400)), reference))
    expect(report.status).toBe("pass")
    expect(report.dataQuality).toBeGreaterThan(0.95)
  })

  test("warns of shifted inputs and scores, and of an increase in missing values", async () => {
    const artefact = await model()
    const reference = profileOf(artefact, customers("then", 400))
    const moved = profileOf(artefact, customers("now", 400, { longer: 1 }))
    expect(statusOf(evidenceOf(moved, reference), "score_psi")).toBe("warn")
    expect(reportOf(evidenceOf(moved, reference)).features).toMatchObject([
      { name: "tenure", isSpreadAbove: true, isMissingAbove: false },
      { name: "interval", isSpreadAbove: false },
    ])
    const missing = profileOf(artefact, customers("now", 400, { missing: 0.5 }))
    expect(statusOf(evidenceOf(missing, reference), "missing_features")).toBe("warn")
    expect(statusOf(evidenceOf(missing, reference), "data_quality")).toBe("warn")
  })

  test("warns of stale scores and late labels, which lower the data quality", async () => {
    const now = profileOf(await model(), customers("now", 400))
    const evidence = evidenceOf(now, now)
    expect(statusOf({ ...evidence, scores: { customers: 100, stale: 6 } }, "staleness")).toBe("warn")
    expect(statusOf({ ...evidence, labels: { due: 100, late: 6 } }, "label_delay")).toBe("warn")
    const poor = reportOf({ ...evidence, scores: { customers: 100, stale: 50 } })
    expect(poor.dataQuality).toBeCloseTo(0.5 * 0.99, 6)
    expect(poor.status).toBe("warn")
  })

  test("raises a primary alarm if churn exceeds predictions, for four weeks of labels", async () => {
    const random = new Random("drift")
    const week = (shift: number) =>
      batchOf(
        Array.from({ length: 400 }, () => {
          const probability = 0.02 + 0.05 * random.next()
          const odds = (probability / (1 - probability)) * Math.exp(shift)
          return { probability, isChurned: random.next() < odds / (1 + odds) }
        }),
      )
    const now = profileOf(await model(), customers("now", 400))
    const normal = Array.from({ length: 10 }, () => week(0))
    const drifting = Array.from({ length: 6 }, () => week(1.2))
    expect(statusOf({ ...evidenceOf(now, now), weeks: normal }, "churn_above")).toBe("pass")
    const alarmed = reportOf({ ...evidenceOf(now, now), weeks: [...normal, ...drifting] })
    expect(alarmed.status).toBe("alarm")
    expect(alarmed.measures.find(({ name }) => name === "churn_above")).toMatchObject({
      status: "alarm",
      details: { weeks: 16, rows: 6_400 },
    })
    const after = Array.from({ length: 4 }, () => week(0))
    expect(statusOf({ ...evidenceOf(now, now), weeks: [...normal, ...drifting, ...after] }, "churn_above")).toBe("pass")
    expect(statusOf({ ...evidenceOf(now, now), weeks: [...normal, ...drifting] }, "churn_below")).toBe("pass")
  })
})
