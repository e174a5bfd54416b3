/** The outcome of attempts to process stored webhook events. */
import { and, eq, inArray } from "drizzle-orm"
import { type Db, inCompany } from "../../client.ts"
import { webhookEvents } from "../../schema.ts"
import type { StoredEvent } from "./events.ts"

/** How a failed attempt to process an event ended. */
export interface EventFailure {
  readonly reason: string
  /** Attempts counted so far. */
  readonly attempts: number
  /** When it is retried; null: never, the event becomes a dead letter. */
  readonly nextAttemptAt: Date | null
}

/** Records that processing an event failed. */
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

/** Counts an attempt before it starts: should it never end, the next one is not before `nextAttemptAt`. */
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

/** Marks a received event as held because processing is switched off; it is processed once that is on again. */
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

/** Holds all events of a company that are not processed: it was closed. They are processed once it is open again. */
export async function holdUnfinishedEvents(db: Db, companyId: string): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(webhookEvents)
      .set({ status: "held", nextAttemptAt: null })
      .where(and(eq(webhookEvents.companyId, companyId), inArray(webhookEvents.status, ["received", "failed"]))),
  ])
}
