/** Hands nudges that are due at once to QStash, so that nobody waits for the next run of the scheduler. */
import type { Nudge } from "../../shared/domain/nudges.ts"
import { type CustomerState, findCase, isReasonMissing } from "../../shared/domain/state.ts"
import type { Services } from "../services.ts"

/** Nudges due within one interval of the `reminders` job are sent off right away; later ones the job will find. */
const AT_ONCE_WITHIN_MS = 5 * 60_000

/**
 * An invoice event does not say why the payment failed; the charge's event does, and comes within seconds. What is to be
 * asked of the member, and whether to say anything at all, hangs on it.
 */
const REASON_WAIT_MS = 5_000

/** Deliveries to one company at a time: its channels' limits are its own. */
export const PARALLELISM_PER_COMPANY = 4

/** A nudge job answers within its own time-outs; QStash gives up waiting after this. */
export const DELIVERY_TIMEOUT_SECONDS = 60

/**
 * Publishes the nudges that are due now or very soon. When QStash is away, or no call is left, nothing is lost:
 * `reminders` and `sweep` find what is due in the database.
 */
export async function enqueueNudges(
  services: Services,
  companyId: string,
  nudges: readonly Nudge[],
  state: CustomerState,
): Promise<void> {
  const { budget, config, qstash, log } = services
  const now = services.now()
  const soon = new Date(now.getTime() + AT_ONCE_WITHIN_MS).toISOString()
  for (const nudge of nudges) {
    if (nudge.status !== "planned" || nudge.dueAt > soon || !budget.hasRoomFor(1)) continue
    const recoveryCase = findCase(state, nudge.caseId)
    const waitMs = nudge.step !== null && recoveryCase && isReasonMissing(recoveryCase) ? REASON_WAIT_MS : 0
    const notBefore = new Date(Date.parse(nudge.dueAt) + waitMs)
    try {
      await qstash.publish({
        url: `${config.appUrl}/jobs/nudges`,
        body: { companyId, nudgeIds: [nudge.id], owner: null },
        deduplicationId: `nudge-${companyId}-${nudge.id}-${Date.parse(nudge.dueAt)}`,
        ...(notBefore > now && { notBefore }),
        flowControl: { key: `nudges-${companyId}`, parallelism: PARALLELISM_PER_COMPANY },
        deliveryTimeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
      })
    } catch (error) {
      log.warn("nudge_not_enqueued", { companyId, nudgeId: nudge.id, error })
    }
  }
}
