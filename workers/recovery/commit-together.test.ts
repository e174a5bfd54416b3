import { describe, expect, test } from "vitest"
import type { Stream } from "../../db/queries/recovery/ledger-pages.ts"
import type { Fact } from "../../shared/domain/facts.ts"
import { EMPTY_STATE } from "../../shared/domain/state.ts"
import { mergeSteps, type ReadyStep } from "./commit-together.ts"

const NOW = "2026-03-01T10:00:00.000Z"

const fact = (id: string): Fact => ({ kind: "customer_seen", id, occurredAt: NOW, hasPhone: false })

const readingOf = (
  facts: readonly string[],
  { customer = "ann", version = 1, isWhole = false }: { customer?: string; version?: number; isWhole?: boolean } = {},
): Stream => ({
  companyId: "acme",
  customer: { id: customer, provider: "stripe", providerCustomerId: customer, version },
  snapshot: null,
  isWhole,
  isFromInstant: false,
  undo: null,
  facts: facts.map(fact),
  next: null,
  earlier: null,
  nudges: [],
  companyName: "Acme",
  settings: null,
  sealedContact: null,
  wrappedDataKey: null,
})

/** A step that is to finish one event with these facts. */
const stepOf = (stream: Stream, event: string, factIds: readonly string[]): ReadyStep => ({
  reading: stream,
  complete: { stream, reached: [] },
  work: { events: [{ id: event, receivedAt: NOW }], factIds, contactUpdates: [], ownFacts: [] },
  commit: {
    key: { companyId: "acme", customerId: stream.customer.id, provider: "stripe", providerCustomerId: "" },
    expectedVersion: stream.customer.version,
    now: NOW,
    state: EMPTY_STATE,
    undo: null,
    projected: EMPTY_STATE,
    dropped: [],
    facts: [],
    nudges: [],
    contact: null,
    processedEvents: [],
  },
  planned: [],
  state: EMPTY_STATE,
})

/** The events of each merged step, the one whose reading is used first. */
const merged = (...steps: readonly ReadyStep[]) =>
  mergeSteps(steps).map((group) => group.map(({ work }) => work.events[0]?.id))

test("steps of different customers stay apart", () => {
  const [ann, bob] = [readingOf(["a"]), readingOf(["b"], { customer: "bob" })]
  expect(merged(stepOf(ann, "one", ["a"]), stepOf(bob, "two", ["b"]))).toEqual([["one"], ["two"]])
})

test("steps from one reading are one", () => {
  const ann = readingOf(["a", "b"])
  expect(merged(stepOf(ann, "one", ["a"]), stepOf(ann, "two", ["b"]))[0]?.toSorted()).toEqual(["one", "two"])
})

describe("steps from two readings of a customer", () => {
  test("are one over the later reading, in whatever order they come", () => {
    const [earlier, later] = [readingOf(["a"]), readingOf(["a", "b"])]
    const [one, two] = [stepOf(earlier, "one", ["a"]), stepOf(later, "two", ["b"])]
    expect(merged(one, two)).toEqual([["two", "one"]])
    expect(merged(two, one)).toEqual([["two", "one"]])
  })

  test("are not one where the customer has changed in between", () => {
    const [earlier, later] = [readingOf(["a"]), readingOf(["a", "b"], { version: 2 })]
    expect(merged(stepOf(earlier, "one", ["a"]), stepOf(later, "two", ["b"]))).toEqual([["two"]])
  })

  test("are not one where neither includes the other's facts", () => {
    const [whole, later] = [readingOf(["a"], { isWhole: true }), readingOf(["b"])]
    expect(merged(stepOf(whole, "one", ["a"]), stepOf(later, "two", ["b"]))).toEqual([["two"]])
  })

  test("are not one where an event without facts needed the whole ledger: facts that it linked may be missing", () => {
    const [whole, later] = [readingOf(["joined"], { isWhole: true }), readingOf(["b"])]
    expect(merged(stepOf(whole, "one", []), stepOf(later, "two", ["b"]))).toEqual([["two"]])
    const laterWhole = readingOf(["b"], { isWhole: true })
    expect(merged(stepOf(whole, "one", []), stepOf(laterWhole, "two", ["b"]))).toEqual([["two"]])
  })

  test("are one where an event without facts needed nothing of the ledger", () => {
    const [earlier, later] = [readingOf([]), readingOf(["b"])]
    expect(merged(stepOf(earlier, "one", []), stepOf(later, "two", ["b"]))).toEqual([["two", "one"]])
  })

  test("are one where a late fact is in a later whole reading", () => {
    const [earlier, later] = [readingOf(["a"], { isWhole: true }), readingOf(["a", "b"], { isWhole: true })]
    expect(merged(stepOf(earlier, "one", ["a"]), stepOf(later, "two", ["b"]))).toEqual([["two", "one"]])
  })

  test("are written as the larger group when they cannot all be one", () => {
    const [other, later] = [readingOf(["z"], { isWhole: true }), readingOf(["a", "b"])]
    const steps = [stepOf(later, "one", ["a"]), stepOf(later, "two", ["b"]), stepOf(other, "three", ["z"])]
    expect(merged(...steps)[0]?.toSorted()).toEqual(["one", "two"])
  })
})
