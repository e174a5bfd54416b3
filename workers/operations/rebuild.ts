/**
 * Compares the stored states of customers with their ledgers, folded from the beginning, and corrects them. A case that
 * is found this way and opened too long ago gets no nudges: its first message would present old news as new.
 */

import { loadCustomersWithLedger } from "../../db/queries/operations/rebuild.ts"
import { readWhole, type StreamReading } from "../../db/queries/recovery/ledger-pages.ts"
import { startStream } from "../../db/queries/recovery/stream.ts"
import { type Difference, differencesOf } from "../../shared/domain/recovery/compare-states.ts"
import { EMPTY_STATE } from "../../shared/domain/state.ts"
import { CONFLICT_RETRY_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"
import { advance } from "../recovery/advance.ts"
import { stateOf } from "../recovery/stream-state.ts"

/** A customer whose stored state differs from the ledger. */
export interface RebuildDifference {
  readonly customerId: string
  readonly differences: readonly Difference[]
  /** The customer has unfinished events; processing them corrects the state. */
  readonly isPending: boolean
  readonly isApplied: boolean
}

/** `next`: the customer after whom the next page starts; null on the last page. */
export interface RebuildPage {
  readonly checked: number
  readonly differing: readonly RebuildDifference[]
  readonly next: string | null
}

/** Compares the next customers of a company and, with `apply`, stores the states of their ledgers. Safe to repeat. */
export async function rebuildPage(
  services: Services,
  companyId: string,
  {
    after,
    limit,
    apply,
    noNudgesBefore,
  }: {
    readonly after: string | null
    readonly limit: number
    readonly apply: boolean
    /** Cases that opened before this moment get no nudges. */
    readonly noNudgesBefore: Date
  },
): Promise<RebuildPage> {
  const { budget, db, log } = services
  const read = await loadCustomersWithLedger(db, companyId, { after, limit })
  const differing: RebuildDifference[] = []
  let checked = 0
  for (const { stream, isPending } of read) {
    const customerId = stream.customer.id
    const whole = await readWhole(db, () => startStream(db, companyId, customerId, { whole: true }), stream)
    const differences = whole ? differencesOf(whole.snapshot ?? EMPTY_STATE, stateOf(whole)) : []
    const isApplied = apply && !isPending && differences.length > 0
    if (isApplied) {
      // The rest of the page waits for the next request.
      if (checked > 0 && !budget.hasRoomFor(1 + CONFLICT_RETRY_SUBREQUESTS)) break
      await advance(services, stream, workOf(noNudgesBefore))
    }
    checked += 1
    if (differences.length === 0) continue
    differing.push({ customerId, differences, isPending, isApplied })
    if (!isPending) log.warn("state_differs", { companyId, customerId, count: differences.length })
  }
  const isLast = checked === read.length && read.length < limit
  return { checked, differing, next: isLast ? null : lastOf(read.slice(0, checked)) }
}

const workOf = (noNudgesBefore: Date) => ({
  events: [],
  factIds: [],
  contactUpdates: [],
  ownFacts: [],
  noNudgesBefore: noNudgesBefore.toISOString(),
})

const lastOf = (read: readonly { readonly stream: StreamReading }[]): string | null =>
  read.at(-1)?.stream.customer.id ?? null
