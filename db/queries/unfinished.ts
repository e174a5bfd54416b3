/** Events that are to be read once more, and how that went. */
import { and, eq } from "drizzle-orm"
import { type Db, inCompany } from "../client.ts"
import { webhookEvents } from "../schema.ts"
import type { StoredEvent } from "./events.ts"

/** Notes that processing an event failed: it is tried again at `nextAttemptAt`, or, with null, left to a person. */
export async function noteFailure(
  db: Db,
  event: StoredEvent,
  { reason, nextAttemptAt }: { readonly reason: string; readonly nextAttemptAt: Date | null },
): Promise<void> {
  const { companyId, id, receivedAt } = event
  await inCompany(db, companyId, [
    db
      .update(webhookEvents)
      .set({
        status: nextAttemptAt === null ? "dead" : "failed",
        attempts: event.attempts + 1,
        error: reason,
        nextAttemptAt,
      })
      .where(
        and(eq(webhookEvents.companyId, companyId), eq(webhookEvents.id, id), eq(webhookEvents.receivedAt, receivedAt)),
      ),
  ])
}

/** Notes that an event is being tried once more: should that never end, it is not tried again before `nextAttemptAt`. */
export async function noteTry(db: Db, event: StoredEvent, nextAttemptAt: Date): Promise<void> {
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
