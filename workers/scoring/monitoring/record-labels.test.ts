import { expect, test } from "vitest"
import { spacedByHorizon } from "./record-labels.ts"

const DAY_MS = 86_400_000
const prediction = (customerId: string, day: number, labelledDay: number | null = null) => ({
  ...{ id: `${customerId} ${day}`, customerId, isShadow: false, probability: 0.1 },
  asOf: new Date(day * DAY_MS),
  labelledAt: labelledDay === null ? null : new Date(labelledDay * DAY_MS),
})
const chosen = (page: Parameters<typeof spacedByHorizon>[0]) => spacedByHorizon(page).map(({ id }) => id)

test("one prediction per customer and 30 days is labelled, independently of other customers", () => {
  const nightly = Array.from({ length: 65 }, (_, day) => prediction("ann", day))
  expect(chosen(nightly)).toEqual(["ann 0", "ann 30", "ann 60"])
  expect(chosen([prediction("ann", 0), prediction("bob", 1), prediction("ann", 2), prediction("bob", 31)])).toEqual([
    "ann 0",
    "bob 1",
    "bob 31",
  ])
})

test("the distance to an earlier labelled prediction counts too", () => {
  expect(
    chosen([prediction("ann", 10, 0), prediction("ann", 29, 0), prediction("ann", 30, 0), prediction("ann", 31, 0)]),
  ).toEqual(["ann 30"])
  expect(chosen([])).toEqual([])
})
