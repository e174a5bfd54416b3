import { describe, expect, test } from "vitest"
import { artefactOf, randomScorecard } from "../../../test/support/models/models.ts"
import type { ModelFeature } from "../../scoring/model/artefact.ts"
import { prepareModel, score } from "../../scoring/model/model.ts"
import { Random } from "../random.ts"
import { methodFor, recalibrated } from "./challenger.ts"
import { COOL_DOWN_DAYS, isEarlierBetter, type Rescored, rollbackRefusal } from "./rollback.ts"

const FEATURES: ModelFeature[] = [
  { name: "n", type: "number" },
  { name: "c", type: "category", levels: ["a", "b"] },
]
const champion = () => artefactOf(FEATURES, [{ weight: 1, model: randomScorecard(new Random(1), FEATURES) }])

/** Predictions around 5 %, with outcomes whose true log-odds differ by `shift`. */
function labels(seed: string, rows: number, shift: number) {
  const random = new Random(seed)
  return Array.from({ length: rows }, () => {
    const x = -3 + random.gaussian()
    return { probability: 1 / (1 + Math.exp(-x)), isChurned: random.next() < 1 / (1 + Math.exp(-x - shift)) }
  })
}

describe("a challenger", () => {
  test("is a new model from 200 churns on, the champion recalibrated from 20 on, and none below", () => {
    expect([
      methodFor(5_000, 200),
      methodFor(5_000, 199),
      methodFor(500, 20),
      methodFor(500, 19),
      methodFor(0, 0),
    ]).toEqual(["trained", "recalibrated", "recalibrated", null, null])
    expect(methodFor(1_000, 990)).toBeNull()
  })

  test("by recalibration differs from the champion only in the company's offset", async () => {
    const before = await champion()
    const after = recalibrated(before, 0, labels("shifted", 3_000, 0.5), "2026-03-01T00:00:00.000Z")
    expect(after?.offset).toBeCloseTo(0.5, 0)
    expect(after?.artefact.parts).toEqual(before.parts)
    const [was, is] = [await prepareModel(before), await prepareModel(after?.artefact)]
    const row = Float64Array.of(0.3, 1)
    expect(score(is, row).logit).toBe(score(was, row).logit)
  })

  test("starts from the company's offset, and is shrunk with few labels", async () => {
    const before = { ...(await champion()), offsetDeviation: 0.2 }
    const many = recalibrated(before, 0.3, labels("many", 4_000, 0.6), "2026-03-01T00:00:00.000Z")
    const few = recalibrated(before, 0.3, labels("few", 60, 3), "2026-03-01T00:00:00.000Z")
    expect(many?.offset).toBeCloseTo(0.9, 0)
    expect((few?.offset ?? 9) - 0.3).toBeLessThan(1.5)
  })

  test("is none if labels agree with the champion", async () => {
    expect(recalibrated(await champion(), 0, labels("alike", 2_000, 0), "2026-03-01T00:00:00.000Z")).toBeNull()
  })
})

describe("rollback", () => {
  const own = { place: "own", hasEarlier: true, daysSinceReturn: null } as const

  test("is refused for pinned or shared models, without an earlier champion, and for 120 days after a rollback", () => {
    expect(rollbackRefusal(own)).toBeNull()
    expect(rollbackRefusal({ ...own, place: "pinned" })).toBe("pinned")
    expect(rollbackRefusal({ ...own, place: "shared" })).toBe("shared_model")
    expect(rollbackRefusal({ ...own, hasEarlier: false })).toBe("nothing_before")
    expect(rollbackRefusal({ ...own, daysSinceReturn: COOL_DOWN_DAYS - 1 })).toBe("cooling_down")
    expect(rollbackRefusal({ ...own, daysSinceReturn: COOL_DOWN_DAYS })).toBeNull()
  })

  /** Weeks in which the true log-odds are `shift` above the champion's; the earlier model predicts `earlierShift` more. */
  const rescored = (shift: number, earlierShift: number): Rescored[] => {
    const random = new Random(`back ${shift} ${earlierShift}`)
    const chance = (x: number) => 1 / (1 + Math.exp(-x))
    return Array.from({ length: 1_500 }, (_, at) => {
      const x = -3 + random.gaussian()
      return {
        ...{ customer: `c${at}`, week: Math.floor(at / 150), isChurned: random.next() < chance(x + shift) },
        ...{ champion: chance(x), challenger: chance(x + earlierShift) },
      }
    })
  }

  test("happens if the earlier champion predicts better", () => {
    expect(isEarlierBetter(rescored(1, 1), 1)).toBe(true)
  })

  test("does not happen if the earlier champion drifts too, is worse, or has no labels", () => {
    expect(isEarlierBetter(rescored(1.2, 0.1), 1)).toBe(false)
    expect(isEarlierBetter(rescored(0, -0.8), 1)).toBe(false)
    expect(isEarlierBetter([], 1)).toBe(false)
  })
})
