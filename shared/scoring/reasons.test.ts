import { expect, test } from "vitest"
import { Random } from "../learning/random.ts"
import { exactContributions, scoreChange } from "./reasons.ts"

const random = new Random("reasons")

/** A score with `count` contributions of realistic sizes, and their sum. */
function someScore(count: number) {
  const contributions = Array.from({ length: count }, (_, place) => ({
    name: `f${place}`,
    contribution: random.int(5) === 0 ? 0 : random.gaussian() * 10 ** (random.int(8) - 6),
  }))
  const logit = contributions.reduce((sum, { contribution }) => sum + contribution, random.gaussian())
  return { logit, contributions }
}

/** The same numbers in random order. */
const shuffled = (numbers: readonly number[]): number[] =>
  numbers
    .map((number) => ({ number, key: random.next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ number }) => number)

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

test("parts sum to the score exactly in any order, and differ from the given ones by less than 1e-12", () => {
  for (let round = 0; round < 300; round++) {
    const { logit, contributions } = someScore(1 + random.int(60))
    const { logOdds, parts } = exactContributions(logit, contributions, () => null)
    expect(Math.abs(logOdds - logit)).toBeLessThan(1e-12)
    expect(sum(shuffled([parts.base, ...parts.reasons.map((reason) => reason.logOdds)]))).toBe(logOdds)
    for (const { code, logOdds: part } of parts.reasons) {
      const given = contributions.find(({ name }) => name === code)?.contribution ?? Number.NaN
      expect(Math.abs(part - given)).toBeLessThan(1e-12)
    }
    const sizes = parts.reasons.map((reason) => Math.abs(reason.logOdds))
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
  }
})

test("a change is exactly the sum of its reasons, also between two models", () => {
  for (let round = 0; round < 300; round++) {
    const [before, after] = [0, 1].map((place) => {
      const { logit, contributions } = someScore(1 + random.int(40))
      const probability = 1 / (1 + Math.exp(-logit))
      const model = place === 0 || random.int(2) === 0 ? "a" : "b"
      return {
        asOf: "2026-03-02T10:00:00.000Z",
        model,
        probability,
        ...exactContributions(logit, contributions, () => null),
      }
    })
    if (before === undefined || after === undefined) throw new Error("two scores were made")
    const change = scoreChange(before, after)
    expect(change.logOdds).toBe(after.logOdds - before.logOdds)
    expect(sum(shuffled(change.reasons.map((reason) => reason.logOdds)))).toBe(change.logOdds)
    expect(change.isOtherModel).toBe(before.model !== after.model)
  }
})

test("two equal scores have no change", () => {
  const { logit, contributions } = someScore(20)
  const score = { asOf: "x", model: "a", probability: 0.5, ...exactContributions(logit, contributions, () => 1) }
  expect(scoreChange(score, score)).toMatchObject({ logOdds: 0, reasons: [] })
})
