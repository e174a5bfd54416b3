import { expect, test } from "vitest"
import { spacedByHorizon } from "./record-labels.ts"

const DAY_MS = 86_400_000
const said = (customerId: string, day: number, labelledDay: number | null = null) => ({
  ...{ id: `${customerId} ${day}`, customerId, isShadow: false, probability: 0.1 },
  asOf: new Date(day * DAY_MS),
  labelledAt: labelledDay === null ? null : new Date(labelledDay * DAY_MS),
})
const chosen = (page: Parameters<typeof spacedByHorizon>[0]) => spacedByHorizon(page).map(({ id }) => id)

test("of a customer's nightly predictions one in thirty days counts, and each customer counts for themselves", () => {
  const nights = Array.from({ length: 65 }, (_, day) => said("ann", day))
  expect(chosen(nights)).toEqual(["ann 0", "ann 30", "ann 60"])
  expect(chosen([said("ann", 0), said("bob", 1), said("ann", 2), said("bob", 31)])).toEqual([
    "ann 0",
    "bob 1",
    "bob 31",
  ])
})

test("what was labelled before counts too, and so does its distance", () => {
  expect(chosen([said("ann", 10, 0), said("ann", 29, 0), said("ann", 30, 0), said("ann", 31, 0)])).toEqual(["ann 30"])
  expect(chosen([])).toEqual([])
})
