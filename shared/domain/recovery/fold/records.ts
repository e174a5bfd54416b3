/**
 * Records by id that a fold changes. A fold of many facts works on private copies and changes them in place: copying a
 * record for each fact would make a fold quadratic. Everywhere else a change is a copy.
 */
type Entries<T> = Readonly<Record<string, T>>

/** What a fold tracks about a copy that it owns. */
interface Owned {
  /** The same entries, in a form that is fast to iterate. */
  readonly entries: Map<string, unknown>
  readonly isMarked: (entry: unknown) => boolean
  /** How many entries are marked. */
  marked: number
}

const owned = new WeakMap<object, Owned>()

const never = () => false

/**
 * A copy that `withEntry` and `withoutEntries` may change in place. It has no prototype, so any id is a plain key. Entries
 * that are `isMarked` are counted.
 */
export function mutableCopy<T>(record: Entries<T>, isMarked: (entry: T) => boolean = never): Entries<T> {
  const copy: Record<string, T> = Object.create(null)
  const entries = new Map(Object.entries(record))
  let marked = 0
  for (const [id, entry] of entries) {
    copy[id] = entry
    if (isMarked(entry)) marked += 1
  }
  // It is only called with entries of this record.
  owned.set(copy, { entries, isMarked: isMarked as Owned["isMarked"], marked })
  return copy
}

/** The record as an ordinary object, which is not changed any more. */
export const freeze = <T>(record: Entries<T>): Entries<T> => (owned.has(record) ? { ...record } : record)

/** The entries of a record, in no particular order. */
export function entriesOf<T>(record: Entries<T>): Iterable<T> {
  // Its entries came through `mutableCopy` and `withEntry`, which accept only this type.
  return (owned.get(record)?.entries.values() as Iterable<T> | undefined) ?? Object.values(record)
}

/** Whether an entry matches; stops at the first. */
export function hasEntry<T>(record: Entries<T>, matches: (entry: T) => boolean): boolean {
  for (const entry of entriesOf(record)) if (matches(entry)) return true
  return false
}

/** The entries that match, in no particular order. */
export function entriesWhere<T>(record: Entries<T>, matches: (entry: T) => boolean): T[] {
  const found: T[] = []
  for (const entry of entriesOf(record)) if (matches(entry)) found.push(entry)
  return found
}

export const sizeOf = <T>(record: Entries<T>): number => owned.get(record)?.entries.size ?? Object.keys(record).length

/** How many entries are marked: tracked where a fold owns the record, else counted. */
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

/** A copy of a short record with the entry under that id; unchanged where it would exceed `max` entries. */
export function withBoundedEntry<T>(record: Entries<T> | undefined, id: string, entry: T, max: number): Entries<T> {
  if (record === undefined) return { [id]: entry }
  const isFull = !Object.hasOwn(record, id) && Object.keys(record).length >= max
  return isFull ? record : { ...record, [id]: entry }
}

/** The record without the entries of those ids, all of which it has. */
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
