import { expect, test } from "vitest"
import { Random } from "../random.ts"
import { CannotTrain } from "../training-error.ts"
import { backtest, type DatedRows } from "./backtest.ts"

const DAY_MS = 86_400_000
const SETTINGS = {
  kind: "gam",
  seed: 1,
  trainedAt: "2026-01-01T00:00:00.000Z",
  label: "left",
  maturityMs: 63 * DAY_MS,
  retrainMonths: 1,
  firstMonths: 6,
  firstEvents: 30,
  groupName: "company",
} as const

/** Customers by month; those with a high signal leave, from the month `turnsAt` on those with a low one. */
function world(months: number, turnsAt: number): DatedRows {
  const random = new Random("months")
  const [signal, outcomes, customers, times, groups]: [number[], number[], string[], number[], string[]] = [
    [],
    [],
    [],
    [],
    [],
  ]
  for (let month = 0; month < months; month++) {
    for (let customer = 0; customer < 120; customer++) {
      const value = random.gaussian()
      const risk = 2 * (month < turnsAt ? value : -value) - 2 + (customer % 3 === 0 ? 1 : 0)
      signal.push(value)
      outcomes.push(Number(random.next() < 1 / (1 + Math.exp(-risk))))
      customers.push(`c${customer}`)
      times.push(Date.UTC(2024, month, 1))
      groups.push(customer % 3 === 0 ? "large" : "small")
    }
  }
  const matrix = {
    features: [{ name: "signal", type: "number" as const }],
    columns: [Float64Array.from(signal)],
    rows: signal.length,
  }
  return { matrix, outcomes: Uint8Array.from(outcomes), customers, times: Float64Array.from(times), groups }
}

test("no month is predicted from what was not known at its start", async () => {
  const { months, pooled, groups, withoutOffsets } = await backtest(world(15, 12), SETTINGS)
  const aucOf = (month: string) => months.find((each) => each.month === month)?.metrics.auc ?? Number.NaN
  expect(aucOf("2024-12")).toBeGreaterThan(0.8)
  // The reversal of January is known in March at the earliest; until then every model is wrong.
  expect(aucOf("2025-01")).toBeLessThan(0.2)
  expect(aucOf("2025-02")).toBeLessThan(0.2)
  expect(aucOf("2025-03")).toBeLessThan(0.3)
  expect(months.map(({ trainedOn }) => trainedOn.rows / 120)).toEqual(months.map((_, i) => i + 5))
  expect(pooled.metrics.rows).toBe(months.length * 120)
  expect(groups.map(({ group, metrics }) => [group, metrics.rows])).toEqual([
    ["small", months.length * 80],
    ["large", months.length * 40],
  ])
  expect(withoutOffsets?.metrics.rows).toBe(pooled.metrics.rows)
}, 120_000)

test("companies that differ are predicted better with their offsets", async () => {
  const { pooled, withoutOffsets } = await backtest(world(12, 99), { ...SETTINGS, retrainMonths: 3 })
  expect(pooled.metrics.logLoss).toBeLessThan((withoutOffsets?.metrics.logLoss ?? 0) - 0.005)
  expect(pooled.capture).toBeGreaterThan(0.4)
}, 120_000)

test("a history that is too short is an error", async () => {
  await expect(backtest(world(4, 99), SETTINGS)).rejects.toThrow(CannotTrain)
})
