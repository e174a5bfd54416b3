/**
 * What we did, and how the member responded. Lists are sorted and keep the newest entries, so that these facts may come in
 * any order and number.
 */
import type { Fact } from "../../facts.ts"
import type { Click, Outreach } from "../../state.ts"

type OutreachFact = Extract<
  Fact,
  {
    kind:
      | "case_assigned"
      | "variant_assigned"
      | "nudge_planned"
      | "nudge_suppressed"
      | "nudge_failed"
      | "nudge_sent"
      | "link_clicked"
      | "opted_out"
      | "incentive_applied"
  }
>

/**
 * How many of each the state keeps. Attribution needs the last week, incentives the last period, and assignments the cases
 * of the state: at most 200.
 */
export const OUTREACH_BOUNDS = { assignments: 300, variants: 300, sent: 200, clickDays: 100, incentives: 50 } as const

/** Outreach after one more fact; planned, suppressed and failed nudges are in the ledger only. */
export function applyOutreach(outreach: Outreach, fact: OutreachFact): Outreach {
  switch (fact.kind) {
    case "case_assigned": {
      const { id, caseId, arm, percentage, occurredAt: at } = fact
      const assignment = { id, caseId, arm, percentage, at }
      const assignments = insert(outreach.assignments ?? [], assignment, OUTREACH_BOUNDS.assignments)
      return inOrder({ ...outreach, assignments })
    }
    case "variant_assigned": {
      const { id, caseId, experimentId, variant, occurredAt: at } = fact
      const assignment = { id, caseId, experimentId, variant, at }
      const variants = insert(outreach.variants ?? [], assignment, OUTREACH_BOUNDS.variants)
      return inOrder({ ...outreach, variants })
    }
    case "nudge_planned":
    case "nudge_suppressed":
    case "nudge_failed":
      return outreach
    case "nudge_sent": {
      const message = { id: fact.id, caseId: fact.caseId, channel: fact.channel, at: fact.occurredAt }
      return { ...outreach, sent: insert(outreach.sent, message, OUTREACH_BOUNDS.sent) }
    }
    case "link_clicked": {
      const click = { id: fact.id, caseId: fact.caseId, at: fact.occurredAt }
      return { ...outreach, clicks: insertClick(outreach.clicks, click) }
    }
    case "incentive_applied": {
      const applied = { id: fact.id, caseId: fact.caseId, incentive: fact.incentive, at: fact.occurredAt }
      return { ...outreach, incentives: insert(outreach.incentives, applied, OUTREACH_BOUNDS.incentives) }
    }
    case "opted_out": {
      const isKnownEarlier = outreach.optedOutAt !== null && outreach.optedOutAt < fact.occurredAt
      return { ...outreach, optedOutAt: isKnownEarlier ? outreach.optedOutAt : fact.occurredAt }
    }
  }
}

/** The fields that may be absent come last, in one order: the order of arrival does not change the stored bytes. */
const inOrder = ({ assignments, variants, ...always }: Outreach): Outreach => ({
  ...always,
  ...(assignments && { assignments }),
  ...(variants && { variants }),
})

function insert<T extends { readonly id: string; readonly at: string }>(
  list: readonly T[],
  item: T,
  max: number,
): readonly T[] {
  if (list.some((present) => present.id === item.id)) return list
  const place = list.findLastIndex((entry) => entry.at < item.at || (entry.at === item.at && entry.id < item.id))
  return list.toSpliced(place + 1, 0, item).slice(-max)
}

/** By day and case, not by time: an entry that was dropped as the oldest must not return with a later click. */
const dayOf = ({ at, caseId }: Click): string => `${at.slice(0, "2026-03-02".length)}|${caseId}`

function insertClick(clicks: readonly Click[], click: Click): readonly Click[] {
  const day = dayOf(click)
  const place = clicks.findLastIndex((entry) => dayOf(entry) <= day)
  const known = place < 0 ? undefined : clicks[place]
  return known !== undefined && dayOf(known) === day
    ? clicks.with(place, merged(known, click)).slice(-OUTREACH_BOUNDS.clickDays)
    : clicks.toSpliced(place + 1, 0, click).slice(-OUTREACH_BOUNDS.clickDays)
}

/** The clicks of one day as one: the id and time of the last, and the time of the first if there are several. */
function merged(known: Click, click: Click): Click {
  const isLater = click.at > known.at || (click.at === known.at && click.id > known.id)
  const { id, caseId, at } = isLater ? click : known
  const times = [known.firstAt ?? known.at, click.at]
  const firstAt = times.reduce((first, time) => (time < first ? time : first))
  return { id, caseId, at, ...(firstAt !== at && { firstAt }) }
}
