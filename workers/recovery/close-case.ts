/** Manual closing of a case: it counts as lost, and a later payment does not recover it. */
import type { Stream } from "../../db/queries/recovery/ledger-pages.ts"
import { findCase } from "../../shared/domain/state.ts"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"
import { advance } from "./advance.ts"
import { stateOf } from "./stream-state.ts"

/** Closes an open case; one that was closed manually before stays as it is. Throws CONFLICT when it closed otherwise. */
export async function closeCase(services: Services, stream: Stream, caseId: string): Promise<void> {
  const state = stateOf(stream)
  const recoveryCase = findCase(state, caseId)
  if (!recoveryCase) throw new AppError("NOT_FOUND", "There is no such case.")
  if (recoveryCase.closeReason === "closed_by_operator") return
  if (recoveryCase.status !== "open") {
    throw new AppError("CONFLICT", "The case is closed already.", { reason: "case_closed" })
  }
  // Not before the last fact of the ledger: a provider's clock may be ahead of ours.
  const now = services.now().toISOString()
  const last = state.position?.occurredAt ?? now
  const occurredAt = last > now ? last : now
  const id = `case_closed_by_operator:${caseId}:${occurredAt}`
  await advance(services, stream, {
    events: [],
    factIds: [],
    contactUpdates: [],
    ownFacts: [{ kind: "case_closed_by_operator", id, occurredAt, caseId, note: null }],
  })
}
