/** What we did, and how the member answered. Lists are kept sorted, so that these facts may come in any order. */
import type { Fact } from "../facts.ts"
import type { Outreach } from "../state.ts"

type OutreachFact = Extract<
  Fact,
  {
    kind:
      | "case_assigned"
      | "nudge_planned"
      | "nudge_suppressed"
      | "nudge_failed"
      | "nudge_sent"
      | "link_clicked"
      | "opted_out"
      | "incentive_applied"
  }
>

/** Outreach after one more fact of it; plans and refusals leave no trace in the state, they stand in the ledger. */
export function applyOutreach(outreach: Outreach, fact: OutreachFact): Outreach {
  switch (fact.kind) {
    case "case_assigned": {
      const { id, caseId, arm, percentage, occurredAt: at } = fact
      return { ...outreach, assignments: insert(outreach.assignments ?? [], { id, caseId, arm, percentage, at }) }
    }
    case "nudge_planned":
    case "nudge_suppressed":
    case "nudge_failed":
      return outreach
    case "nudge_sent": {
      const touch = { id: fact.id, caseId: fact.caseId, channel: fact.channel, at: fact.occurredAt }
      return { ...outreach, sent: insert(outreach.sent, touch) }
    }
    case "link_clicked": {
      const click = { id: fact.id, caseId: fact.caseId, at: fact.occurredAt }
      return { ...outreach, clicks: insert(outreach.clicks, click) }
    }
    case "incentive_applied": {
      const applied = { id: fact.id, caseId: fact.caseId, incentive: fact.incentive, at: fact.occurredAt }
      return { ...outreach, incentives: insert(outreach.incentives, applied) }
    }
    case "opted_out": {
      const earlier = outreach.optedOutAt !== null && outreach.optedOutAt < fact.occurredAt
      return { ...outreach, optedOutAt: earlier ? outreach.optedOutAt : fact.occurredAt }
    }
  }
}

function insert<T extends { readonly id: string; readonly at: string }>(list: readonly T[], item: T): readonly T[] {
  if (list.some((present) => present.id === item.id)) return list
  const key = (entry: T) => `${entry.at}|${entry.id}`
  return [...list, item].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}
