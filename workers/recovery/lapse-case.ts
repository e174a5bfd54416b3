/** A payment case of which nothing was heard for long: looked at in the ledger, and closed. */
import { type LapsingCase, noteLastNews } from "../../db/queries/recovery/lapsing.ts"
import { loadStream } from "../../db/queries/recovery/stream.ts"
import { lapsedBy, lapseTime, lastNewsAt } from "../../shared/domain/recovery/fold/lapse.ts"
import { type CustomerState, findCase } from "../../shared/domain/state.ts"
import type { Services } from "../platform/services.ts"
import { advance, stateOf } from "./advance.ts"

/** Whether the case has lapsed now. One whose row knew less than the ledger is not looked at again before it may. */
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
    // A row that shows a case which the ledger does not have open is looked at again when it would lapse from now on.
    await noteLastNews(services.db, found, last === null ? now : new Date(last))
    return false
  }
  await advance(services, stream, { events: [], factIds: [], contactWords: [], ownFacts: [], factsFrom })
  return true
}
