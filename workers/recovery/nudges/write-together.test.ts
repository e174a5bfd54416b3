import { afterEach, beforeEach, expect, test, vi } from "vitest"
import type { Stream } from "../../../db/queries/recovery/ledger-pages.ts"
import { EMPTY_STATE } from "../../../shared/domain/state.ts"
import { createBudget } from "../../platform/outbound/budget.ts"
import type { Services } from "../../platform/services.ts"
import { GroupWrites } from "./write-together.ts"

const NOW = new Date("2026-03-01T10:00:00Z")

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

interface Outcome {
  readonly lost?: readonly string[]
  readonly error?: Error & { readonly code?: string }
}

/** A group whose commits end like this; `calls` are the customers of each. */
function groupOf(members: number, outcome: (customers: readonly string[], call: number) => Outcome = () => ({})) {
  const calls: (readonly string[])[] = []
  const query = async (_: string, parameters: readonly unknown[]) => {
    const customers = parameters[2] as readonly string[]
    calls.push(customers)
    const { lost = [], error } = outcome(customers, calls.length)
    if (error) throw error
    return lost.map((customer_id) => ({ customer_id, failure: "stale_version" }))
  }
  const log = { warn: () => undefined }
  const services = { db: { $client: { query } }, log, now: () => NOW, budget: createBudget(50) } as unknown as Services
  return { writes: new GroupWrites(services, "acme", members), calls }
}

const streamOf = (customer: string, version: number) =>
  ({
    companyId: "acme",
    customer: { id: customer, provider: "stripe", providerCustomerId: customer, version },
  }) as Stream

/** Writes a step of a customer; the result is the version that it was decided from. */
const write = (writes: GroupWrites, customer: string) =>
  writes.write({
    first: streamOf(customer, 1),
    decide: async ({ customer: { version } }) => ({
      commit: {
        key: { companyId: "acme", customerId: customer, provider: "stripe", providerCustomerId: customer },
        expectedVersion: version,
        ...{ now: NOW.toISOString(), state: EMPTY_STATE, undo: null, projected: EMPTY_STATE, dropped: [] },
        ...{ facts: [], nudges: [], contact: null, processedEvents: [] },
      },
      result: version,
      changes: () => [],
    }),
    reload: async () => streamOf(customer, 2),
    held: null,
  })

const refused = Object.assign(new Error("refused"), { code: "23514" })

test("writes of all members are one commit", async () => {
  const { writes, calls } = groupOf(3)
  expect(await Promise.all(["ann", "bob", "eve"].map((customer) => write(writes, customer)))).toEqual([1, 1, 1])
  expect(calls).toEqual([["ann", "bob", "eve"]])
})

test("a member that has left is not waited for", async () => {
  const { writes, calls } = groupOf(3)
  const written = Promise.all([write(writes, "ann"), write(writes, "bob")])
  writes.leave()
  expect(await written).toEqual([1, 1])
  expect(calls).toEqual([["ann", "bob"]])
})

test("a member is waited for at most half a second", async () => {
  const { writes, calls } = groupOf(3)
  const written = Promise.all([write(writes, "ann"), write(writes, "bob")])
  await vi.advanceTimersByTimeAsync(499)
  expect(calls).toEqual([])
  await vi.advanceTimersByTimeAsync(1)
  expect(await written).toEqual([1, 1])
  expect(calls).toEqual([["ann", "bob"]])
})

test("a customer that has changed is read again and written alone", async () => {
  const { writes, calls } = groupOf(2, (_, call) => (call === 1 ? { lost: ["bob"] } : {}))
  const written = Promise.all([write(writes, "ann"), write(writes, "bob")])
  await vi.runAllTimersAsync()
  expect(await written).toEqual([1, 2])
  expect(calls).toEqual([["ann", "bob"], ["bob"]])
})

test("of two nudges of a customer the second is decided after the first was written", async () => {
  const { writes, calls } = groupOf(3)
  const written = Promise.all([write(writes, "ann"), write(writes, "ann"), write(writes, "bob")])
  await vi.runAllTimersAsync()
  expect(await written).toEqual([1, 2, 1])
  expect(calls).toEqual([["ann", "bob"], ["ann"]])
})

test("when a commit is refused each is written alone, and only the one that cannot be written fails", async () => {
  const { writes, calls } = groupOf(3, (customers) => (customers.includes("bob") ? { error: refused } : {}))
  const written = await Promise.allSettled(["ann", "bob", "eve"].map((customer) => write(writes, customer)))
  expect(written).toEqual([
    { status: "fulfilled", value: 1 },
    { status: "rejected", reason: refused },
    { status: "fulfilled", value: 1 },
  ])
  expect(calls).toEqual([["ann", "bob", "eve"], ["ann"], ["bob"], ["eve"]])
})

test("a commit without an answer is made once more, one that was refused is not", async () => {
  const unknown = groupOf(1, (_, call) => (call === 1 ? { error: new Error("no answer") } : {}))
  expect(await write(unknown.writes, "ann")).toBe(1)
  expect(unknown.calls).toEqual([["ann"], ["ann"]])
  const { writes, calls } = groupOf(1, () => ({ error: refused }))
  await expect(write(writes, "ann")).rejects.toBe(refused)
  expect(calls).toEqual([["ann"]])
})

test("a commit of unknown outcome that was made after all is not made twice", async () => {
  const { writes, calls } = groupOf(2, (customers, call) => {
    if (call === 1) return { error: new Error("no answer") }
    return call <= 3 ? { lost: customers } : {}
  })
  const written = Promise.all([write(writes, "ann"), write(writes, "bob")])
  await vi.runAllTimersAsync()
  expect(await written).toEqual([2, 2])
  expect(calls.slice(0, 3)).toEqual([["ann", "bob"], ["ann"], ["bob"]])
  // Each pauses by chance before it reads again.
  expect(calls.slice(3).sort()).toEqual([["ann"], ["bob"]])
})
