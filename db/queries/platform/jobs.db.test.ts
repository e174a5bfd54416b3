import { expect, test } from "vitest"
import { useDatabase } from "../../../test/support/database.ts"
import { beginJobRun, endJobRun, extendJobRunLease, setJobPaused } from "./jobs.ts"

const { db } = useDatabase()

const at = (minute: number, second = 0) => new Date(Date.UTC(2026, 9, 5, 12, minute, second))
const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

/** A run for the slot of a minute; null: a person asked for it. */
const begin = (n: number, slot: number | null, now: Date, leaseMinutes = 2) =>
  beginJobRun(db, {
    id: id(n),
    job: "sweep",
    source: "cron",
    owner: `owner ${n}`,
    slot: slot === null ? null : at(slot),
    now,
    until: new Date(now.getTime() + leaseMinutes * 60_000),
  })

const end = (n: number, now: Date) =>
  endJobRun(db, id(n), { finishedAt: now, outcome: "finished", error: null, details: {} })

test("a slot is run once, whichever heartbeat comes first", async () => {
  expect(await begin(1, 0, at(0))).toMatchObject({ refused: null, replaced: 0 })
  expect(await end(1, at(0, 30))).toBe(true)
  expect(await begin(2, 0, at(0, 40))).toEqual({ refused: "already_run" })
  expect(await begin(3, 1, at(1))).toMatchObject({ refused: null })
})

test("one run at a time, also one that a person asked for", async () => {
  await begin(1, 0, at(0))
  expect(await begin(2, 1, at(1))).toEqual({ refused: "already_running" })
  expect(await begin(3, null, at(1))).toEqual({ refused: "already_running" })
})

test("a run whose lease has expired is replaced, its number is lower, and it can neither go on nor end", async () => {
  const first = await begin(1, 0, at(0))
  const second = await begin(2, 3, at(3))
  expect(second).toMatchObject({ refused: null, replaced: 1 })
  if (first.refused !== null || second.refused !== null) throw new Error("both should run")
  expect(second.fence).toBeGreaterThan(first.fence)
  expect(await extendJobRunLease(db, id(1), at(3), at(5))).toBe(false)
  expect(await end(1, at(3))).toBe(false)
  expect(await extendJobRunLease(db, id(2), at(4), at(6))).toBe(true)
})

test("a paused job runs for nobody until it is resumed", async () => {
  const change = { reason: "maintenance", by: "admin", at: at(0) }
  await setJobPaused(db, "sweep", { ...change, isPaused: true })
  expect(await begin(1, 0, at(0))).toEqual({ refused: "paused" })
  expect(await begin(2, null, at(0))).toEqual({ refused: "paused" })
  await setJobPaused(db, "sweep", { ...change, isPaused: false })
  expect(await begin(3, 0, at(0))).toMatchObject({ refused: null })
})
