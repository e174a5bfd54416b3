/**
 * The hold-out: which cases get no nudge, so that the effect of nudges can be measured. A case is assigned once, at its
 * first decision, and the assignment is a fact; later changes of the percentage do not affect it.
 */
import type { Arm, Fact, Instant } from "../facts.ts"
import { bucketOfKey } from "../flags.ts"
import type { Nudge } from "../recovery/nudges/nudges.ts"
import { type Assignment, assignmentOf, type CaseState, type CustomerState } from "../state.ts"

/** More than half would cost recoveries without benefit: the interval is narrowest at half. */
export const HOLDOUT_PERCENTAGE_MAX = 50

/** Buckets of `bucketOfKey` in one percent. */
const BUCKETS_PER_PERCENT = 100

/** The arm of a case at a percentage. Depends only on company and case, so that a repeated decision gives the same arm. */
export const armFor = (companyId: string, caseId: string, percentage: number): Arm =>
  bucketOfKey(`holdout:${companyId}:${caseId}`) < percentage * BUCKETS_PER_PERCENT ? "held_out" : "treated"

type Assigned = Extract<Fact, { kind: "case_assigned" }>

/**
 * The missing assignments: of live open cases without one. A case that already has nudges opened before there was a
 * hold-out; it stays unassigned and counts as treated.
 */
export function assignCases(
  state: CustomerState,
  nudges: readonly Nudge[],
  { companyId, percentage }: { readonly companyId: string; readonly percentage: number },
  now: Instant,
): Assigned[] {
  const isNew = ({ id, status, knownFrom }: CaseState): boolean =>
    status === "open" &&
    knownFrom === undefined &&
    assignmentOf(state, id) === undefined &&
    !nudges.some((nudge) => nudge.caseId === id)
  return state.cases.filter(isNew).map((recoveryCase) => {
    const { id: caseId } = recoveryCase
    const known = assignmentUnderOldId(state, recoveryCase)
    const { arm, percentage: share } = known ?? { arm: armFor(companyId, caseId, percentage), percentage }
    return { kind: "case_assigned", id: `case_assigned:${caseId}`, occurredAt: now, caseId, arm, percentage: share }
  })
}

/**
 * The assignment of this cancellation under an earlier number. Announcements are numbered, and one that arrives late
 * renumbers those after it; an assignment of the subscription since this announcement belongs to it.
 */
function assignmentUnderOldId(state: CustomerState, recoveryCase: CaseState): Assignment | undefined {
  const { kind, subscriptionId, openedAt } = recoveryCase
  if (kind !== "cancellation") return undefined
  const siblings = state.cases.filter((other) => other.kind === kind && other.subscriptionId === subscriptionId)
  return state.outreach.assignments?.findLast(
    ({ caseId, at }) => at >= openedAt && siblings.some(({ id }) => id === caseId),
  )
}
