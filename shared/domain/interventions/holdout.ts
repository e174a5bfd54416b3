/**
 * The hold-out: which cases are left alone, so that what the nudges bring can be measured. A case is drawn once, when it
 * is first decided about, and the draw is a fact; the percentage of another day changes nothing about it.
 */
import type { Arm, Fact, Instant } from "../facts.ts"
import { bucketOfKey } from "../flags.ts"
import type { Nudge } from "../recovery/nudges.ts"
import { type Assignment, assignmentOf, type CaseState, type CustomerState } from "../state.ts"

/** More than half held out would cost more than it teaches: the interval is narrowest at half. */
export const HOLDOUT_PERCENTAGE_MAX = 50

/** Buckets of `bucketOfKey` in one percent. */
const BUCKETS_PER_PERCENT = 100

/** The arm of a case at a percentage: a function of company and case alone, so that deciding twice is deciding once. */
export const armFor = (companyId: string, caseId: string, percentage: number): Arm =>
  bucketOfKey(`holdout:${companyId}:${caseId}`) < percentage * BUCKETS_PER_PERCENT ? "held_out" : "treated"

type Assigned = Extract<Fact, { kind: "case_assigned" }>

/**
 * The draws that are missing: of live open cases without one. A case that has nudges already opened before there was a
 * hold-out; it has no draw, and counts as treated.
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
    const known = isAssignedUnderOldId(state, recoveryCase)
    const draw = known ?? { arm: armFor(companyId, caseId, percentage), percentage }
    const { arm, percentage: share } = draw
    return { kind: "case_assigned", id: `case_assigned:${caseId}`, occurredAt: now, caseId, arm, percentage: share }
  })
}

/**
 * The draw that this leaving had under another number. Announcements are counted, and one that is told late renumbers
 * those after it; what was drawn for the subscription since this one was announced was drawn for it.
 */
function isAssignedUnderOldId(state: CustomerState, recoveryCase: CaseState): Assignment | undefined {
  const { kind, subscriptionId, openedAt } = recoveryCase
  if (kind !== "cancellation") return undefined
  const siblings = state.cases.filter((other) => other.kind === kind && other.subscriptionId === subscriptionId)
  return state.outreach.assignments?.findLast(
    ({ caseId, at }) => at >= openedAt && siblings.some(({ id }) => id === caseId),
  )
}
