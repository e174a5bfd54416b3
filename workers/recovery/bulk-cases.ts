/**
 * One action for many cases, each decided by itself: what is refused says why, and the others go on. A dry run decides in
 * the same way and changes nothing.
 */
import { loadStreamOfCase } from "../../db/queries/recovery/cases.ts"
import type { MemberChannel } from "../../shared/domain/settings.ts"
import { findCase } from "../../shared/domain/state.ts"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"
import { closeCase } from "./close-case.ts"
import { type NudgeKey, previewManualNudge, sendManualNudge } from "./nudges/manual-nudge.ts"
import { stateOf } from "./stream-state.ts"

/** Each case takes a few round trips, which the caller waits for. */
export const BULK_CASES_MAX = 50

/** Reading the case and its person twice, switches, one commit with a conflict: then the rest is left to another call. */
const CASE_SUBREQUESTS = 8

export interface BulkRequest {
  readonly action: "nudge" | "close"
  readonly caseIds: readonly string[]
  readonly channel: MemberChannel | null
  readonly key: NudgeKey
  readonly isDryRun: boolean
}

/** `reason` of a refusal, `channel` of a message. */
export interface BulkResult {
  readonly caseId: string
  readonly outcome: "done" | "would_be_done" | "refused" | "not_tried"
  readonly channel: string | null
  readonly reason: string | null
  readonly detail: string | null
}

/** The result for each case, in the order of the request. `not_tried`: too many calls were made; ask for these again. */
export async function actOnCases(
  services: Services,
  companyId: string,
  request: BulkRequest,
): Promise<readonly BulkResult[]> {
  const results: BulkResult[] = []
  for (const caseId of new Set(request.caseIds)) {
    const none = { caseId, channel: null, reason: null, detail: null }
    if (!services.budget.hasRoomFor(CASE_SUBREQUESTS)) {
      results.push({ ...none, outcome: "not_tried" })
      continue
    }
    try {
      const channel = await actOnCase(services, companyId, caseId, request)
      results.push({ ...none, channel, outcome: request.isDryRun ? "would_be_done" : "done" })
    } catch (error) {
      if (!(error instanceof AppError) || error.code === "UNAVAILABLE") throw error
      results.push({ ...none, outcome: "refused", reason: error.reason ?? error.code, detail: error.message })
    }
  }
  return results
}

/** Acts on one case, or decides whether that is possible. The channel of a message; null for a closing. */
async function actOnCase(
  services: Services,
  companyId: string,
  caseId: string,
  { action, channel, key, isDryRun }: BulkRequest,
): Promise<string | null> {
  const stream = await loadStreamOfCase(services.db, companyId, caseId)
  if (stream === null) throw new AppError("NOT_FOUND", "There is no such case.")
  if (action === "nudge") {
    const request = { caseId, channel, key, overrideHoldout: false }
    const nudge = await (isDryRun ? previewManualNudge : sendManualNudge)(services, stream, request)
    return nudge.channel
  }
  if (!isDryRun) await closeCase(services, stream, caseId)
  else if (findCase(stateOf(stream), caseId)?.status !== "open") {
    throw new AppError("CONFLICT", "The case is closed already.", { reason: "case_closed" })
  }
  return null
}
