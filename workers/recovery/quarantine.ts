/** Tells the team of customers in quarantine: once each, for as long as the quarantine lasts. */
import { type NewQuarantine, noteAnnounced, quarantinesToAnnounce } from "../../db/queries/recovery/quarantines.ts"
import type { Message } from "../../shared/channel.ts"
import { safeKey } from "../../shared/crypto/plain-key.ts"
import { renderTeamAlert } from "../../shared/domain/messaging/messages.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, NOTIFICATIONS_SWITCH } from "../platform/switches.ts"

/** Quarantines of one run; the next one is a minute away. */
const ANNOUNCED_MAX = 10

/** Marking one, a message with its repetition, and taking the mark back. */
export const ANNOUNCEMENT_COST = 4

const WORDS: Readonly<Record<NewQuarantine["reason"], string>> = {
  customer_flood: "more events within an hour than are processed; the further ones are kept as dead letters",
  too_many_links: "more objects than are linked to one customer; events with further ones are kept as dead letters",
  state_is_full: "more open cases or subscriptions than are followed",
}

/** Sends what is to be told. Nothing is sent, and nothing lost, while there is no channel or nobody may be notified. */
export async function announceQuarantines(
  services: Services,
  mayGoOn: (cost: number) => Promise<boolean>,
): Promise<number> {
  const { channels, db, log, now } = services
  if (!channels.slack.isConfigured || !(await mayGoOn(1))) return 0
  const allowed = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH)
  if (allowed?.length === 0) return 0
  let announced = 0
  for (const found of await quarantinesToAnnounce(db, now(), ANNOUNCED_MAX, allowed)) {
    if (!(await mayGoOn(ANNOUNCEMENT_COST))) break
    // Marked first: a message that may have been seen is not sent again.
    if (!(await noteAnnounced(db, found, now()))) continue
    const { companyId, customerId, reason, since } = found
    const idempotencyKey = await safeKey(`${companyId}.quarantine.${customerId}.${since.toISOString()}`)
    const outcome = await channels.slack.send(alertOf(found, services.config.appUrl), { idempotencyKey })
    if (outcome.kind === "retry") await noteAnnounced(db, found, null)
    if (outcome.kind === "sent") announced += 1
    log.info("quarantine_announced", { companyId, customerId, reason, outcome: outcome.kind })
  }
  return announced
}

/** Which company, which customer, why, and where to look. */
export function alertOf({ companyId, customerId, reason, since }: NewQuarantine, appUrl: string): Message {
  const path = `${appUrl}/api/customers/${encodeURIComponent(customerId)}`
  const rendered = renderTeamAlert({
    severity: "P2",
    state: "firing",
    title: `Customer ${customerId} of ${companyId} is in quarantine`,
    lines: [
      `why: ${WORDS[reason]}`,
      `since ${since.toISOString()}; no messages are sent to the customer`,
      "it ends a day after the last excess, or with POST …/release",
    ],
    link: path,
  })
  return { to: "", ...rendered, unsubscribeUrl: null }
}
