import { describe, expect, test } from "vitest"
import {
  entriesOf,
  entriesWhere,
  freeze,
  hasEntry,
  markedIn,
  mutableCopy,
  sizeOf,
  withBoundedEntry,
  withEntry,
  withoutEntries,
} from "./records.ts"

const isEven = (value: number) => value % 2 === 0
const record = { a: 1, b: 2, c: 4 }

describe.each([
  ["an ordinary record", (entries: Readonly<Record<string, number>>) => ({ ...entries })],
  ["a copy that a fold owns", (entries: Readonly<Record<string, number>>) => mutableCopy(entries, isEven)],
])("%s", (_, make) => {
  test("has its entries, their number, and the number of marked ones", () => {
    const given = make(record)
    expect([...entriesOf(given)].sort()).toEqual([1, 2, 4])
    expect(entriesWhere(given, isEven).sort()).toEqual([2, 4])
    expect(hasEntry(given, (value) => value === 4)).toBe(true)
    expect(hasEntry(given, (value) => value === 3)).toBe(false)
    expect(sizeOf(given)).toBe(3)
    expect(markedIn(given, isEven)).toBe(2)
    expect(sizeOf(make({}))).toBe(0)
    expect(markedIn(make({}), isEven)).toBe(0)
  })

  test.each([
    ["a new entry that is marked", "d", 6, { ...record, d: 6 }, 3],
    ["a new entry that is not marked", "d", 7, { ...record, d: 7 }, 2],
    ["a marked entry instead of one that is not", "a", 8, { a: 8, b: 2, c: 4 }, 3],
    ["an entry that is not marked instead of a marked one", "b", 9, { a: 1, b: 9, c: 4 }, 1],
    ["a marked entry instead of a marked one", "b", 8, { a: 1, b: 8, c: 4 }, 2],
  ])("takes %s", (_name, id, entry, entries, marked) => {
    const changed = withEntry(make(record), id, entry)
    expect(freeze(changed)).toEqual(entries)
    expect([...entriesOf(changed)].sort()).toEqual(Object.values(entries).sort())
    expect(sizeOf(changed)).toBe(Object.keys(entries).length)
    expect(markedIn(changed, isEven)).toBe(marked)
  })

  test("loses entries by their ids", () => {
    const rest = withoutEntries(make(record), ["a", "b"])
    expect(freeze(rest)).toEqual({ c: 4 })
    expect([...entriesOf(rest)]).toEqual([4])
    expect(sizeOf(rest)).toBe(1)
    expect(markedIn(rest, isEven)).toBe(1)
  })
})

test("an ordinary record is not changed: the change is a copy", () => {
  const given = { ...record }
  expect(withEntry(given, "d", 6)).not.toBe(given)
  expect(withoutEntries(given, ["a"])).not.toBe(given)
  expect(given).toEqual(record)
  expect(freeze(given)).toBe(given)
})

test("a copy that a fold owns is changed in place, and what is frozen is not changed any more", () => {
  const own = mutableCopy(record)
  expect(withEntry(own, "d", 6)).toBe(own)
  expect(withoutEntries(own, ["a"])).toBe(own)
  const frozen = freeze(own)
  withEntry(own, "e", 8)
  expect(frozen).toEqual({ b: 2, c: 4, d: 6 })
  expect(record).toEqual({ a: 1, b: 2, c: 4 })
  expect(markedIn(own, isEven)).toBe(0)
})

test("a bounded record takes new entries up to its bound, and changes those that it has beyond it", () => {
  const one = withBoundedEntry<number>(undefined, "a", 1, 2)
  const two = withBoundedEntry(one, "b", 2, 2)
  expect(two).toEqual({ a: 1, b: 2 })
  expect(withBoundedEntry(two, "c", 3, 2)).toBe(two)
  expect(withBoundedEntry(two, "a", 5, 2)).toEqual({ a: 5, b: 2 })
})
