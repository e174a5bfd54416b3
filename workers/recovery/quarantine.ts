/** Notifies the team of customers in quarantine: once per quarantine. */
import { type NewQuarantine, quarantinesToAnnounce, recordAnnouncement } from "../../db/queries/recovery/quarantines.ts"
import type { Message } from "../../shared/channel.ts"
import { safeKey } from "../../shared/crypto/plain-key.ts"
import { renderTeamAlert } from "../../shared/domain/messaging/messages.ts"
import type { Services } from "../platform/services.ts"
import { enabledCompanies, NOTIFICATIONS_SWITCH } from "../platform/switches.ts"

/** Notifications per run; the next run is a minute later. */
const ANNOUNCED_MAX = 10
/** More than that are read, since those of companies without Slack stay pending. */
const LISTED_MAX = 200

/** Marking one, a message with its retry, and removing the mark. */
export const ANNOUNCEMENT_SUBREQUESTS = 4

const REASON_TEXTS: Readonly<Record<NewQuarantine["reason"], string>> = {
  customer_flood: "more events within an hour than are processed; the further ones are kept as dead letters",
  too_many_links: "more objects than are linked to one customer; events with further ones are kept as dead letters",
  state_is_full: "more open cases or subscriptions than are followed",
}

/** Sends pending notifications. While there is no channel or notifications are off, they stay pending. */
export async function announceQuarantines(
  services: Services,
  hasBudget: (subrequests: number) => Promise<boolean>,
): Promise<number> {
  const { db, log, now } = services
  if (!(await hasBudget(1))) return 0
  const allowed = await enabledCompanies(services, await services.flags({ isFreshNeeded: true }), NOTIFICATIONS_SWITCH)
  if (allowed?.length === 0) return 0
  let announced = 0
  for (const found of await quarantinesToAnnounce(db, now(), LISTED_MAX, allowed)) {
    if (announced === ANNOUNCED_MAX) break
    if (!(await hasBudget(ANNOUNCEMENT_SUBREQUESTS))) break
    const { slack } = await services.channelsFor(found.companyId)
    if (!slack.isConfigured) continue
    // Marked first, so that a message that may have been delivered is not sent again.
    if (!(await recordAnnouncement(db, found, now()))) continue
    const { companyId, customerId, reason, since } = found
    const idempotencyKey = await safeKey(`${companyId}.quarantine.${customerId}.${since.toISOString()}`)
    const outcome = await slack.send(alertOf(found, services.config.appUrl), { idempotencyKey })
    if (outcome.kind === "retry") await recordAnnouncement(db, found, null)
    if (outcome.kind === "sent") announced += 1
    log.info("quarantine_announced", { companyId, customerId, reason, outcome: outcome.kind })
  }
  return announced
}

/** The alert: company, customer, reason and link. */
export function alertOf({ companyId, customerId, reason, since }: NewQuarantine, appUrl: string): Message {
  const path = `${appUrl}/api/customers/${encodeURIComponent(customerId)}`
  const rendered = renderTeamAlert({
    severity: "P2",
    state: "firing",
    title: `Customer ${customerId} of ${companyId} is in quarantine`,
    lines: [
      `why: ${REASON_TEXTS[reason]}`,
      `since ${since.toISOString()}; no messages are sent to the customer`,
      "it ends a day after the last excess, or with POST …/release",
    ],
    link: path,
  })
  return { to: "", ...rendered, unsubscribeUrl: null }
}
