/** Closes a payment case without news for a long time, if its ledger confirms it. */
import { type LapsingCase, recordLastNews } from "../../db/queries/recovery/lapsing.ts"
import { loadStream } from "../../db/queries/recovery/stream.ts"
import { lapsedBy, lapseTime, lastNewsAt } from "../../shared/domain/recovery/fold/lapse.ts"
import { type CustomerState, findCase } from "../../shared/domain/state.ts"
import type { Services } from "../platform/services.ts"
import { advance } from "./advance.ts"
import { stateOf } from "./stream-state.ts"

/** Closes the case and returns true if it has lapsed. If its row is older than the ledger, the row is updated instead. */
export async function lapseCase(services: Services, found: LapsingCase): Promise<boolean> {
  const { companyId, customerId, caseId } = found
  const now = services.now()
  const stream = await loadStream(services.db, companyId, customerId, { whole: true })
  const state = stream && stateOf(stream)
  const factsFrom = (current: CustomerState) => {
    const fact = lapsedBy(current, caseId, now.toISOString())
    return fact === null ? [] : [fact]
  }
  if (!stream || !state || factsFrom(state).length === 0) {
    const recoveryCase = state && findCase(state, caseId)
    const isOpen = recoveryCase && lapseTime(state, recoveryCase) !== null
    const last = isOpen ? lastNewsAt(state, recoveryCase) : null
    // If the case is not open in the ledger, its row is checked again after another lapse period.
    await recordLastNews(services.db, found, last === null ? now : new Date(last))
    return false
  }
  await advance(services, stream, { events: [], factIds: [], contactUpdates: [], ownFacts: [], factsFrom })
  return true
}
