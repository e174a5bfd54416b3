/** What open pages are told of a changed case: nothing personal. */
import { type CaseKind, type CaseStatus, type CustomerState, findCase } from "../state.ts"
import { isSameValue } from "./compare-states.ts"

export interface CaseChange {
  readonly caseId: string
  readonly kind: CaseKind
  readonly status: CaseStatus
}

/** The cases that differ from those before, and those of these messages. */
export const changedCases = (
  before: CustomerState | null,
  after: CustomerState,
  nudges: readonly { readonly caseId: string }[],
): readonly CaseChange[] =>
  after.cases
    .filter((entry) => {
      const earlier = before === null ? undefined : findCase(before, entry.id)
      return nudges.some(({ caseId }) => caseId === entry.id) || !isSameValue(earlier, entry)
    })
    .map(({ id, kind, status }) => ({ caseId: id, kind, status }))
