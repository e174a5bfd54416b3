/**
 * Records by id that a fold changes. A fold of many facts works on copies that nobody else can see, and changes them in
 * place: copying a record for each fact would cost as much as the record is long. Everywhere else a change is a copy.
 */
type Entries<T> = Readonly<Record<string, T>>

/** Copies that a fold owns, with how many entries they have. */
const owned = new WeakMap<object, number>()

/** A copy that `withEntry` and `withoutEntries` may change in place. It has no prototype, so any id is a plain key. */
export function own<T>(record: Entries<T>): Entries<T> {
  const copy: Record<string, T> = Object.create(null)
  const entries = Object.entries(record)
  for (const [id, entry] of entries) copy[id] = entry
  owned.set(copy, entries.length)
  return copy
}

/** The record as an ordinary object that nobody changes any more. */
export const release = <T>(record: Entries<T>): Entries<T> => (owned.has(record) ? { ...record } : record)

/** How many entries a record has. */
export const sizeOf = <T>(record: Entries<T>): number => owned.get(record) ?? Object.keys(record).length

/** The record with the entry under that id. */
export function withEntry<T>(record: Entries<T>, id: string, entry: T): Entries<T> {
  const size = owned.get(record)
  if (size === undefined) return { ...record, [id]: entry }
  if (!Object.hasOwn(record, id)) owned.set(record, size + 1)
  ;(record as Record<string, T>)[id] = entry
  return record
}

/** The record without the entries of those ids, which it has. */
export function withoutEntries<T>(record: Entries<T>, ids: readonly string[]): Entries<T> {
  const size = owned.get(record)
  const rest: Record<string, T> = size === undefined ? { ...record } : (record as Record<string, T>)
  for (const id of ids) delete rest[id]
  if (size !== undefined) owned.set(record, size - ids.length)
  return rest
}
