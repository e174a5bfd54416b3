/** Hands nudges to QStash, each for the moment it is due, so that nobody waits for the next run of the scheduler. */
import type { Nudge } from "../../shared/domain/recovery/nudges.ts"
import { type CustomerState, findCase, isDeclineReasonMissing } from "../../shared/domain/state.ts"
import type { Services } from "../platform/services.ts"

/**
 * Nudges due within this time are handed over ahead: by whoever plans or postpones them, and by `reminders` for what was
 * planned before. Longer than the time between two runs of `reminders` and a late start of the second.
 */
export const PUBLISH_AHEAD_MS = 6 * 60_000

/**
 * An invoice event does not say why the payment failed; the charge's event does, and comes within seconds. What is to be
 * asked of the member, and whether to say anything at all, hangs on it.
 */
const REASON_WAIT_MS = 5_000

/** Deliveries to one company at a time: its channels' limits are its own. */
const PARALLELISM_PER_COMPANY = 4

/** A nudge job answers within its own time-outs; QStash gives up waiting after this. */
const DELIVERY_TIMEOUT_SECONDS = 60

/** Nudges of one company for one message of QStash. */
export interface NudgeBatch {
  readonly companyId: string
  readonly nudgeIds: readonly string[]
  /** Who claimed them; null when they are free. */
  readonly owner: string | null
  readonly deduplicationId: string
  /** A moment that has passed means at once. */
  readonly notBefore: Date | null
}

/** Publishes nudges; false, with a line in the log, when QStash did not take them. */
export async function publishNudges(services: Services, handover: NudgeBatch): Promise<boolean> {
  const { config, qstash, log } = services
  const { companyId, nudgeIds, owner, deduplicationId, notBefore } = handover
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

/** Publishes the nudges that were just planned and are due before a run of `reminders` is sure to see them. */
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
 * Publishes one planned nudge for its due time, unless that is far off. When QStash is away, or no call is left, nothing is
 * lost: `reminders` and `sweep` find what is due in the database.
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
