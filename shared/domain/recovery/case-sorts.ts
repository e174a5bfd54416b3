/** The statuses by which a list of cases is filtered, and its orders. Each order is served by an index, so a page reads few rows however many cases there are. */
import type { CaseStatus } from "../state.ts"

export const CASE_STATUSES = ["open", "recovered", "lost", "reversed"] as const satisfies CaseStatus[]

/** The newest first, the oldest first, the largest amount first, the last closed first. */
export const CASE_SORTS = ["opened", "oldest", "amount", "closed"] as const

export type CaseSort = (typeof CASE_SORTS)[number]

/**
 * Whether cases of this status, or of all, can be listed in this order. Only open cases are listed by amount, and only closed
 * ones by closing: the indexes hold no others.
 */
export function canSortCases(sort: CaseSort, status: CaseStatus | undefined): boolean {
  if (sort === "amount") return status === "open"
  if (sort === "closed") return status !== undefined && status !== "open"
  return true
}
