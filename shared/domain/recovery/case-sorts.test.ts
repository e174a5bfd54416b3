import { expect, test } from "vitest"
import { CASE_SORTS, CASE_STATUSES, canSortCases } from "./case-sorts.ts"

const STATUSES = [undefined, ...CASE_STATUSES]

test("only open cases are listed by amount, and only closed ones by closing", () => {
  const statusesOf = Object.fromEntries(
    CASE_SORTS.map((sort) => [sort, STATUSES.filter((status) => canSortCases(sort, status))]),
  )
  expect(statusesOf).toEqual({
    opened: STATUSES,
    oldest: STATUSES,
    amount: ["open"],
    closed: ["recovered", "lost", "reversed"],
  })
})
