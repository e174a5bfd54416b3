/** When a person may be contacted: quiet hours and frequency caps. Pure. */
import type { Instant } from "../../facts.ts"
import type { CompanySettings } from "../../settings.ts"
import { type ContactState, type Person, SINGLE_CUSTOMER } from "./contact-context.ts"
import { isToMember, mayHaveBeenDelivered, type Nudge, timeOf } from "./nudges.ts"
import { isTimeZone, nextAllowed } from "./quiet-hours.ts"

const HOUR_MS = 3_600_000

/**
 * The first moment from `at` on when this channel may be used. Where the member's zone is unknown or invalid, the company's
 * zone applies to channels that make a sound; an e-mail does not disturb and is sent at once.
 */
export function nextContactTime(
  at: Instant,
  channel: Nudge["channel"],
  { profile }: Pick<ContactState, "profile">,
  settings: CompanySettings,
  person: Person = SINGLE_CUSTOMER,
): Instant {
  const profiles = [profile, ...person.others.map(({ state }) => state.profile)]
  const ownZone = profiles.map(({ timeZone }) => timeZone).find((zone) => zone !== null && isTimeZone(zone)) ?? null
  const isMailWithoutZone = ownZone === null && channel === "email"
  if (channel === "slack" || isMailWithoutZone || settings.quietHours === null) return at
  return nextAllowed(at, settings.quietHours, ownZone ?? settings.timeZone)
}

/** When the frequency caps next allow a message; null: now. */
export function frequencyCapUntil(others: readonly Nudge[], settings: CompanySettings, now: Instant): Instant | null {
  const sentTimes = others
    .filter((other) => isToMember(other) && mayHaveBeenDelivered(other))
    .map((other) => Date.parse(timeOf(other, now)))
    .sort((a, b) => b - a)
  const freeTimes = settings.frequencyCaps.map((cap) => {
    const oldestThatCounts = sentTimes[cap.max - 1]
    return oldestThatCounts === undefined ? 0 : oldestThatCounts + cap.hours * HOUR_MS
  })
  const freeAt = Math.max(0, ...freeTimes)
  return freeAt > Date.parse(now) ? new Date(freeAt).toISOString() : null
}
