import { NeonDbError } from "@neondatabase/serverless"
import { DrizzleQueryError, sql } from "drizzle-orm"
import { afterEach, describe, expect, test, vi } from "vitest"
import { type Db, databaseFailure, groupingBatches, inCompany, isDatabaseUnavailable, makeDb } from "./client.ts"

const failed = (code: string): NeonDbError => Object.assign(new NeonDbError("refused"), { code })

test.each([
  ["57014", "canceled", true], // statement_timeout
  ["55P03", "canceled", true], // lock_timeout
  ["25P03", "canceled", true], // idle_in_transaction_session_timeout
  ["57P01", "outcome_unknown", true],
  ["08006", "outcome_unknown", true],
  ["53300", "outcome_unknown", true],
  ["40P01", "conflict", false],
  ["23505", "conflict", false],
  ["CS001", "stale_version", false],
  ["CS002", "lost_lease", false],
  ["42501", "rejected", false],
])("SQLSTATE %s means %s", (code, failure, isAway) => {
  expect(databaseFailure(failed(code))).toBe(failure)
  expect(isDatabaseUnavailable(failed(code))).toBe(isAway)
  const wrapped = new DrizzleQueryError("select 1", [], failed(code))
  expect(databaseFailure(wrapped)).toBe(failure)
  expect(isDatabaseUnavailable(wrapped)).toBe(isAway)
})

test("an error without a Postgres code leaves the outcome unknown", () => {
  expect(databaseFailure(new NeonDbError("no answer"))).toBe("outcome_unknown")
  expect(isDatabaseUnavailable(new TypeError("a bug of ours"))).toBe(false)
})

describe("the time limit of a call", () => {
  const TIMEOUT_MS = 2_000
  const ANSWER = { command: "SELECT", rowCount: 1, fields: [{ name: "one", dataTypeID: 23 }], rows: [["1"]] }
  const client = () =>
    makeDb({
      url: "postgresql://u:p@database.test/d",
      fetchEndpoint: "http://database.test/sql",
      timeoutMs: TIMEOUT_MS,
    })

  afterEach(() => {
    vi.unstubAllGlobals()
    vi.useRealTimers()
  })

  test("ends a call without an answer, and leaves its outcome unknown", async () => {
    vi.useFakeTimers()
    const unanswered = (_: unknown, { signal }: RequestInit) =>
      new Promise<Response>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)))
    vi.stubGlobal("fetch", unanswered)
    const result = client()
      .execute(sql`select 1 as one`)
      .catch((error: unknown) => error)
    let isOver = false
    void result.then(() => {
      isOver = true
    })
    await vi.advanceTimersByTimeAsync(TIMEOUT_MS - 1)
    expect(isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(databaseFailure(await result)).toBe("outcome_unknown")
    expect(isDatabaseUnavailable(await result)).toBe(true)
  })

  test("does not end one whose answer has arrived while the isolate was busy", async () => {
    const timers: (() => void)[] = []
    vi.stubGlobal("setTimeout", (callback: () => void) => timers.push(callback))
    vi.stubGlobal("clearTimeout", () => timers.splice(0))
    let answer = (_: Response) => {}
    vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => (answer = resolve)))
    const result = client()
      .execute<{ one: number }>(sql`select 1 as one`)
      .then(({ rows }) => rows)
    await new Promise((resolve) => setImmediate(resolve))
    // The limit is over, and the event loop comes to the timer before the answer.
    timers.shift()?.()
    answer(new Response(JSON.stringify(ANSWER)))
    expect(await result).toEqual([{ one: 1 }])
    expect(timers).toEqual([])
  })
})

/** A client that keeps the batches it is sent; a statement is its own result. */
function recordingDb() {
  const sent: (readonly unknown[])[] = []
  const batch = async (statements: readonly unknown[]) => {
    sent.push(statements)
    if (statements.includes("fails")) throw new Error("refused")
    return statements
  }
  return { sent, db: { batch, execute: () => "enter" } as unknown as Db }
}

/** What `inCompany` takes as a statement. */
const statement = (name: string) => name as unknown as Parameters<typeof inCompany>[2][number]

test("batches that are asked for at once go in one round trip, and each gets its own results", async () => {
  const { sent, db } = recordingDb()
  const grouping = groupingBatches(db)
  const results = await Promise.all([
    inCompany(grouping, "a", [statement("1"), statement("2")]),
    Promise.resolve().then(() => inCompany(grouping, "b", [statement("3")])),
  ])
  expect(results).toEqual([["1", "2"], ["3"]])
  expect(sent).toEqual([["enter", "1", "2", "enter", "3"]])
  expect(await inCompany(grouping, "a", [statement("4")])).toEqual(["4"])
  expect(sent).toHaveLength(2)
})

test("a failure is that of all batches of the round trip, and of no later one", async () => {
  const { db } = recordingDb()
  const grouping = groupingBatches(db)
  const outcomes = await Promise.allSettled([
    inCompany(grouping, "a", [statement("1")]),
    inCompany(grouping, "a", [statement("fails")]),
  ])
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"])
  expect(await inCompany(grouping, "a", [statement("2")])).toEqual(["2"])
})
