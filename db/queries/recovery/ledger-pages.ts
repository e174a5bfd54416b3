/**
 * Facts of a customer, page by page. A ledger of any length is read in results of bounded size and folded page by page, so
 * that memory holds one page and a state.
 *
 * Facts may be committed between two pages. A fact that belongs after the last page read is on a later page. One that
 * belongs before it is on none: its writer, who has recorded it with an unfinished event, reads the whole ledger and commits
 * over any commit made in between. See docs/CONCURRENCY.md.
 */
import { sql } from "drizzle-orm"
import type { Fact, LedgerPosition, ProviderName } from "../../../shared/domain/facts.ts"
import { type DroppedCase, newlyDropped } from "../../../shared/domain/recovery/fold/bounds.ts"
import { fold } from "../../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import { takeBack, type Undo, type UndoableState } from "../../../shared/domain/recovery/undo.ts"
import { type CustomerState, EMPTY_STATE } from "../../../shared/domain/state.ts"
import { type Db, databaseFailure, inCompany } from "../../client.ts"
import { type FactJson, factsFrom } from "../platform/fact-json.ts"

export interface CustomerRef {
  readonly id: string
  readonly provider: ProviderName
  readonly providerCustomerId: string
  readonly version: number
}

/** What one statement reads of a customer: all that fold, decide and commit need, with the first page of facts. */
export interface StreamReading {
  readonly companyId: string
  readonly customer: CustomerRef
  /** The stored state, which the projections contain; null: nothing was folded yet. */
  readonly snapshot: CustomerState | null
  /** True when `facts` start at the beginning of the ledger, false when they start after the snapshot. */
  readonly isWhole: boolean
  /** `facts` start with the snapshot's last instant: one of them belongs before its position. */
  readonly isFromInstant: boolean
  /** What takes the facts of the snapshot's last instant back; null: not known. */
  readonly undo: Undo | null
  /** In ledger order. */
  readonly facts: readonly Fact[]
  /** Where the next page of facts starts; null: these are all. `readRest` reads it. */
  readonly next: LedgerPosition | null
  readonly nudges: readonly Nudge[]
  readonly companyName: string
  /** The company's own settings as stored; null: defaults. */
  readonly settings: unknown
  readonly sealedContact: Uint8Array | null
  readonly wrappedDataKey: Uint8Array | null
}

/** A stream with all its facts: those of the last page as a list, those of earlier pages folded. */
export interface Stream extends StreamReading {
  readonly next: null
  /** Null: there is only one page. */
  readonly earlier: Folded | null
}

/** The result of folding pages of facts. */
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

/** How often a reading is started when a writer interferes, before it fails. */
const READINGS_MAX = 4

/** The state that the facts of a reading are folded onto. */
export const baseOf = (reading: StreamReading & { readonly earlier: Folded | null }): CustomerState =>
  undoableBaseOf(reading).state

/** The state that the facts of a reading are folded onto, with what takes its last instant back. */
export function undoableBaseOf({
  isWhole,
  isFromInstant,
  snapshot,
  undo,
  earlier,
}: StreamReading & { readonly earlier: Folded | null }): UndoableState {
  if (earlier !== null) return { state: earlier.state, undo: null }
  if (isWhole || snapshot === null) return { state: EMPTY_STATE, undo: null }
  if (!isFromInstant) return { state: snapshot, undo }
  if (undo === null) throw new Error("a reading from an instant has what takes it back")
  return { state: takeBack(snapshot, undo), undo: null }
}

/**
 * The reading with its further pages, one round trip each. `visit` gets each page but the last. Throws
 * (`databaseFailure(error) === "stale_version"`) when the customer has changed since the reading: read again.
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
    if (!page) throw new Error("read_facts returned nothing")
    facts = factsFrom(page.facts)
    next = page.next
  }
  return { ...reading, facts, next: null, earlier }
}

/**
 * What `read` reads, with its further pages; starts again when the customer has changed in between. `first` is a reading
 * that already exists.
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
