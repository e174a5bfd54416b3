/**
 * Records by id that a fold changes. A fold of many facts works on copies that nobody else can see, and changes them in
 * place: copying a record for each fact would cost as much as the record is long. Everywhere else a change is a copy.
 */
type Entries<T> = Readonly<Record<string, T>>

/** What a fold knows of a copy that it owns. */
interface Owned {
  /** The same entries, in a form that is quick to go through. */
  readonly entries: Map<string, unknown>
  readonly isMarked: (entry: unknown) => boolean
  /** How many entries are marked. */
  marked: number
}

const owned = new WeakMap<object, Owned>()

const nothing = () => false

/**
 * A copy that `withEntry` and `withoutEntries` may change in place. It has no prototype, so any id is a plain key. Entries
 * that are `isMarked` are counted.
 */
export function mutableCopy<T>(record: Entries<T>, isMarked: (entry: T) => boolean = nothing): Entries<T> {
  const copy: Record<string, T> = Object.create(null)
  const entries = new Map(Object.entries(record))
  let marked = 0
  for (const [id, entry] of entries) {
    copy[id] = entry
    if (isMarked(entry)) marked += 1
  }
  // Only entries of this record are ever given to it.
  owned.set(copy, { entries, isMarked: isMarked as Owned["isMarked"], marked })
  return copy
}

/** The record as an ordinary object that nobody changes any more. */
export const freeze = <T>(record: Entries<T>): Entries<T> => (owned.has(record) ? { ...record } : record)

/** The entries of a record, in no order. */
export function entriesOf<T>(record: Entries<T>): Iterable<T> {
  // Its entries came through `own` and `withEntry`, which take this type only.
  return (owned.get(record)?.entries.values() as Iterable<T> | undefined) ?? Object.values(record)
}

/** Whether an entry fits; looks no further than the first. */
export function hasEntry<T>(record: Entries<T>, fits: (entry: T) => boolean): boolean {
  for (const entry of entriesOf(record)) if (fits(entry)) return true
  return false
}

/** The entries that fit, in no order. */
export function entriesWhere<T>(record: Entries<T>, fits: (entry: T) => boolean): T[] {
  const found: T[] = []
  for (const entry of entriesOf(record)) if (fits(entry)) found.push(entry)
  return found
}

/** How many entries a record has. */
export const sizeOf = <T>(record: Entries<T>): number => owned.get(record)?.entries.size ?? Object.keys(record).length

/** How many entries are marked: known where a fold owns the record, else counted. */
export const markedIn = <T>(record: Entries<T>, isMarked: (entry: T) => boolean): number =>
  owned.get(record)?.marked ?? Object.values(record).filter(isMarked).length

/** The record with the entry under that id. */
export function withEntry<T>(record: Entries<T>, id: string, entry: T): Entries<T> {
  const own = owned.get(record)
  if (own === undefined) return { ...record, [id]: entry }
  if (own.isMarked(entry)) own.marked += 1
  if (own.entries.has(id) && own.isMarked(own.entries.get(id))) own.marked -= 1
  own.entries.set(id, entry)
  ;(record as Record<string, T>)[id] = entry
  return record
}

/** A copy of a short record with the entry under that id; as it is where the entry would be one more than `max`. */
export function withFew<T>(record: Entries<T> | undefined, id: string, entry: T, max: number): Entries<T> {
  if (record === undefined) return { [id]: entry }
  const isOneMore = !Object.hasOwn(record, id) && Object.keys(record).length >= max
  return isOneMore ? record : { ...record, [id]: entry }
}

/** The record without the entries of those ids, which it has. */
export function withoutEntries<T>(record: Entries<T>, ids: readonly string[]): Entries<T> {
  const own = owned.get(record)
  const rest: Record<string, T> = own === undefined ? { ...record } : (record as Record<string, T>)
  for (const id of ids) {
    if (own?.isMarked(own.entries.get(id))) own.marked -= 1
    own?.entries.delete(id)
    delete rest[id]
  }
  return rest
}
