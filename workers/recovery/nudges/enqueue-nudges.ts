/** Publishes nudges to QStash for their due times, so that they need not wait for the next run of the scheduler. */
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { type CustomerState, findCase, isDeclineReasonMissing } from "../../../shared/domain/state.ts"
import type { Services } from "../../platform/services.ts"

/**
 * Nudges due within this time are published ahead: when they are planned or postponed, and by `reminders` if they were
 * planned earlier. Longer than the interval of `reminders` plus a late start.
 */
export const PUBLISH_AHEAD_MS = 6 * 60_000

/**
 * An invoice event does not state why the payment failed; the charge's event does, and comes within seconds. What the
 * message asks for, and whether one is sent at all, depends on it.
 */
const REASON_WAIT_MS = 5_000

/** Deliveries per company at a time: channel limits are per company. */
const PARALLELISM_PER_COMPANY = 4

/** QStash stops waiting after this; a nudge job responds earlier, within its own time-outs. */
const DELIVERY_TIMEOUT_SECONDS = 60

/** Nudges of one company for one QStash message. */
export interface NudgeBatch {
  readonly companyId: string
  readonly nudgeIds: readonly string[]
  /** The owner of their leases; null when they are not claimed. */
  readonly owner: string | null
  readonly deduplicationId: string
  /** In the past: at once. */
  readonly notBefore: Date | null
}

/** Publishes nudges; logs and returns false when QStash did not accept them. */
export async function publishNudges(services: Services, batch: NudgeBatch): Promise<boolean> {
  const { config, qstash, log } = services
  const { companyId, nudgeIds, owner, deduplicationId, notBefore } = batch
  try {
    await qstash.publish({
      url: `${config.appUrl}/jobs/nudges`,
      body: { companyId, nudgeIds, owner },
      deduplicationId,
      ...(notBefore !== null && notBefore > services.now() && { notBefore }),
      flowControl: { key: `nudges-${companyId}`, parallelism: PARALLELISM_PER_COMPANY },
      deliveryTimeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
    })
    return true
  } catch (error) {
    log.warn("nudges_enqueue_failed", { companyId, count: nudgeIds.length, error })
    return false
  }
}

/** Publishes the nudges that were just planned and may be due before the next run of `reminders`. */
export async function enqueueNudges(
  services: Services,
  companyId: string,
  nudges: readonly Nudge[],
  state: CustomerState,
): Promise<void> {
  for (const nudge of nudges) {
    const recoveryCase = findCase(state, nudge.caseId)
    const waitMs = nudge.step !== null && recoveryCase && isDeclineReasonMissing(recoveryCase) ? REASON_WAIT_MS : 0
    await enqueueNudge(services, companyId, nudge, waitMs)
  }
}

/**
 * Publishes one planned nudge for its due time, unless that is far away. When QStash is unavailable, or no subrequest is
 * left, nothing is lost: `reminders` and `sweep` find due nudges in the database.
 */
export async function enqueueNudge(services: Services, companyId: string, nudge: Nudge, waitMs = 0): Promise<void> {
  const { budget } = services
  const dueMs = Date.parse(nudge.dueAt)
  const isFarOff = dueMs > services.now().getTime() + PUBLISH_AHEAD_MS
  if (nudge.status !== "planned" || isFarOff || !budget.hasRoomFor(1)) return
  await publishNudges(services, {
    companyId,
    nudgeIds: [nudge.id],
    owner: null,
    deduplicationId: `nudge-${companyId}-${nudge.id}-${dueMs}`,
    notBefore: new Date(dueMs + waitMs),
  })
}
