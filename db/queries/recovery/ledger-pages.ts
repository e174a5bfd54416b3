/**
 * Facts of a customer, page by page. A ledger of any length is read in answers of bounded size and folded as it is read, so
 * that what is held in memory is one page and a state.
 *
 * Facts may be committed between two pages. One that belongs after the last page read is in a later one; one that belongs
 * before it is in none, and its writer, who has recorded it with an unfinished event, reads the ledger as a whole and
 * commits over whatever was committed meanwhile. See docs/CONCURRENCY.md.
 */
import { sql } from "drizzle-orm"
import type { Fact, LedgerPosition, ProviderName } from "../../../shared/domain/facts.ts"
import { type DroppedCase, newlyDropped } from "../../../shared/domain/recovery/fold/bounds.ts"
import { fold } from "../../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges.ts"
import { type CustomerState, EMPTY_STATE } from "../../../shared/domain/state.ts"
import { type Db, databaseFailure, inCompany } from "../../client.ts"
import { type FactJson, factsFrom } from "../platform/fact-json.ts"

export interface CustomerRef {
  readonly id: string
  readonly provider: ProviderName
  readonly providerCustomerId: string
  readonly version: number
}

/** What one statement reads of a customer: all that folding, deciding and writing needs, and the first page of the facts. */
export interface StreamReading {
  readonly companyId: string
  readonly customer: CustomerRef
  /** The state as it is stored, which the projections show; null: nothing was folded yet. */
  readonly snapshot: CustomerState | null
  /** True when `facts` begin with the ledger, false when they begin after the snapshot. */
  readonly isWhole: boolean
  /** In ledger order. */
  readonly facts: readonly Fact[]
  /** Where the next page of facts begins; null: these are all. `readRest` reads on. */
  readonly next: LedgerPosition | null
  readonly nudges: readonly Nudge[]
  readonly companyName: string
  /** The company's own settings as stored; null: defaults. */
  readonly settings: unknown
  readonly sealedContact: Uint8Array | null
  readonly wrappedDataKey: Uint8Array | null
}

/** A stream with all of its facts: those of the last page as they are, those of the pages before folded. */
export interface Stream extends StreamReading {
  readonly next: null
  /** Null: there was one page. */
  readonly earlier: Folded | null
}

/** What pages of facts came to. */
export interface Folded {
  readonly state: CustomerState
  readonly dropped: readonly DroppedCase[]
}

/** A page with the states before and after it. */
export interface FoldedPage {
  readonly before: CustomerState
  readonly facts: readonly Fact[]
  readonly state: CustomerState
}

/** Readers that meet a writer on the way begin anew; so often, and then they give up. */
const READINGS_MAX = 4

/** The state that the facts of a reading are folded onto. */
export const baseOf = ({ isWhole, snapshot, earlier }: StreamReading & { readonly earlier: Folded | null }) =>
  earlier?.state ?? (isWhole ? EMPTY_STATE : (snapshot ?? EMPTY_STATE))

/**
 * The reading with its further pages, one round trip each; where there are none, nothing is asked. `visit` sees each page
 * but the last. Throws (`databaseFailure(error) === "stale_version"`) when the customer has moved on since the reading:
 * read again.
 */
export async function readRest(
  db: Db,
  reading: StreamReading,
  visit: (page: FoldedPage) => void = () => {},
): Promise<Stream> {
  const { companyId, customer, isWhole, snapshot } = reading
  let { facts, next } = reading
  let earlier: Folded | null = null
  while (next !== null) {
    const before = baseOf({ ...reading, earlier })
    const dropped: DroppedCase[] = [...(earlier?.dropped ?? [])]
    const state = fold(facts, before, dropped)
    earlier = { state, dropped: newlyDropped(snapshot ?? EMPTY_STATE, dropped) }
    visit({ before, facts, state })
    const [result] = await inCompany(db, companyId, [
      db.execute<{ page: FactPageJson }>(
        sql`select read_facts(${customer.id}, ${customer.version}, ${isWhole}, ${JSON.stringify(next)}::jsonb) as page`,
      ),
    ])
    const page = result.rows[0]?.page
    if (!page) throw new Error("read_facts answered nothing")
    facts = factsFrom(page.facts)
    next = page.next
  }
  return { ...reading, facts, next: null, earlier }
}

/**
 * What `read` reads, with its further pages; begins anew where the customer has moved on meanwhile. `first` was read
 * already.
 */
export async function readWhole<T extends StreamReading>(
  db: Db,
  read: () => Promise<T | null>,
  first?: T,
): Promise<(T & Stream) | null> {
  for (let readings = 1; ; readings++) {
    const reading = readings === 1 && first ? first : await read()
    if (reading === null) return null
    try {
      return { ...reading, ...(await readRest(db, reading)) }
    } catch (error) {
      if (databaseFailure(error) !== "stale_version" || readings === READINGS_MAX) throw error
    }
  }
}

interface FactPageJson {
  readonly facts: readonly FactJson[]
  readonly next: LedgerPosition | null
}
