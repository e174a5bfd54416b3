/**
 * Reminders of a case that closed and is open again: its voided invoice was reissued, or a waived one is owed again.
 * Messages that were suppressed only because the case had closed continue, at the distance of their steps.
 */
import type { Instant } from "../../facts.ts"
import { isToMember, mayHaveBeenDelivered, type Nudge } from "./nudges.ts"

const DAY_MS = 86_400_000

/** True for a message that cannot have been delivered, and that only the end of its case stopped. */
const isStoppedByEnd = ({ status, reason, attempts, sentAt, step }: Nudge): boolean =>
  status === "suppressed" && reason === "case_closed" && attempts === 0 && sentAt === null && step !== null

/** The messages of an open case to plan again, with their new due times. */
export function resumedAfterEnd(ofCase: readonly Nudge[], now: Instant): readonly Nudge[] {
  const stopped = ofCase.filter(isStoppedByEnd).sort((a, b) => (a.step ?? 0) - (b.step ?? 0))
  const delivered = ofCase.filter((nudge) => nudge.step !== null && isToMember(nudge) && mayHaveBeenDelivered(nudge))
  let before = delivered
    .map(({ step, sentAt, dueAt }) => ({ step: step ?? 0, at: sentAt ?? dueAt }))
    .sort((a, b) => (a.at < b.at ? -1 : 1))
    .at(-1)
  return stopped.flatMap((nudge) => {
    const step = nudge.step ?? 0
    if (nudge.channel === "slack")
      return [{ ...nudge, status: "planned", reason: null, dueAt: latest(nudge.dueAt, now) }]
    // A later step was delivered already.
    if (before !== undefined && before.step > step) return []
    const spaced = before === undefined ? now : daysAfter(before.at, step - before.step)
    const dueAt = [nudge.dueAt, now, spaced].reduce(latest)
    before = { step, at: dueAt }
    return [{ ...nudge, status: "planned", reason: null, dueAt }]
  })
}

const latest = (a: Instant, b: Instant): Instant => (a > b ? a : b)

const daysAfter = (at: Instant, days: number): Instant => new Date(Date.parse(at) + days * DAY_MS).toISOString()
