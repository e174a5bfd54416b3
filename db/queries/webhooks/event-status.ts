/** Events that are to be read once more, and how that went. */
import { and, eq } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { webhookEvents } from "../../schema.ts"
import type { StoredEvent } from "./events.ts"

/** How a try of an event ended. */
export interface EventFailure {
  readonly reason: string
  /** How many tries count so far. */
  readonly attempts: number
  /** When it is tried again; null: it is left to a person. */
  readonly nextAttemptAt: Date | null
}

/** Notes that processing an event failed. */
export async function recordFailure(
  db: Db,
  event: StoredEvent,
  { reason, attempts, nextAttemptAt }: EventFailure,
): Promise<void> {
  const { companyId, id, receivedAt } = event
  await inCompany(db, companyId, [
    db
      .update(webhookEvents)
      .set({
        status: nextAttemptAt === null ? "dead" : "failed",
        attempts,
        error: reason,
        nextAttemptAt,
      })
      .where(
        and(eq(webhookEvents.companyId, companyId), eq(webhookEvents.id, id), eq(webhookEvents.receivedAt, receivedAt)),
      ),
  ])
}

/** Notes that an event is being tried once more: should that never end, it is not tried again before `nextAttemptAt`. */
export async function recordAttempt(db: Db, event: StoredEvent, nextAttemptAt: Date): Promise<void> {
  const { companyId, id, receivedAt } = event
  await inCompany(db, companyId, [
    db
      .update(webhookEvents)
      .set({ attempts: event.attempts + 1, nextAttemptAt })
      .where(
        and(eq(webhookEvents.companyId, companyId), eq(webhookEvents.id, id), eq(webhookEvents.receivedAt, receivedAt)),
      ),
  ])
}

/** Puts aside an event that was to be processed when processing was switched off; it is drained once that is on again. */
export async function holdEvent(
  db: Db,
  companyId: string,
  { id, receivedAt }: { readonly id: string; readonly receivedAt: string },
): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(webhookEvents)
      .set({ status: "held", nextAttemptAt: null })
      .where(
        and(
          eq(webhookEvents.companyId, companyId),
          eq(webhookEvents.id, id),
          eq(webhookEvents.receivedAt, new Date(receivedAt)),
          eq(webhookEvents.status, "received"),
        ),
      ),
  ])
}
