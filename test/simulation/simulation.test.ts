/**
 * The deployed bundle in a simulated world: every seed is one schedule of scenarios, faults and outages, after which every
 * invariant holds. `npm run simulate` runs more of them than these tests.
 */
import { availableParallelism } from "node:os"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runCrashPoints, runInterleavings, runMutants, runOrders, runRaceMutants, runSchedules } from "./commands.ts"
import type { ScheduleResult } from "./interleavings/explore.ts"
import { RACES } from "./interleavings/races.ts"
import { MUTANTS } from "./mutants/mutant-list.ts"
import { openPool, type Pool } from "./processes/pool.ts"
import type { Run } from "./run.ts"
import { FAULT_KINDS } from "./world/faults.ts"

const WORKERS = availableParallelism()
/** All tests within about five minutes on two processors. */
const SCHEDULES = WORKERS >= 4 ? 2_000 : 1_000
/** Together with the race mutants less than a minute on two idle processors. */
const INTERLEAVINGS = 1_200

let pool: Pool
beforeAll(async () => {
  pool = await openPool(WORKERS)
})
afterAll(() => pool.close())

test("a seed gives the same run every time, in every process, and however isolates start", async () => {
  const seeds = [1, 2, 3, 5, 8, 13, 21, 34]
  const hashOf = async (seed: number, evaluatesModules = false): Promise<string> =>
    (await pool.do<{ readonly run: Run }>({ kind: "seed", seed, evaluatesModules })).run.hash
  for (const seed of seeds) {
    const hashes = await Promise.all([hashOf(seed), hashOf(seed), hashOf(seed, true)])
    expect(new Set(hashes).size, `seed ${seed}`).toBe(1)
  }
  const hashes = await Promise.all(seeds.map((seed) => hashOf(seed)))
  expect(new Set(hashes).size).toBe(seeds.length)
})

test("hundreds of schedules: nothing is lost, nothing is visible twice or too late, no work is left", async () => {
  const tally = await runSchedules(pool, SCHEDULES, 1)
  expect(tally.failed).toEqual([])
  expect(tally.runs).toBe(SCHEDULES)
  for (const kind of FAULT_KINDS) expect(tally.kinds[kind], kind).toBeGreaterThan(SCHEDULES / 10)
  for (const kind of ["outage", "cron_missed", "cron_double", "evicted", "restart", "switch_thrown"]) {
    expect(tally.kinds[kind], kind).toBeGreaterThan(SCHEDULES / 40)
  }
  expect(tally.figures.acknowledged).toBeGreaterThan(5 * SCHEDULES)
  expect(tally.figures.messages).toBeGreaterThan(SCHEDULES)
})

test("every flow ends the same after a crash before or after any of its effects", async () => {
  const reports = await runCrashPoints(pool)
  expect(reports.flatMap(({ faults }) => faults)).toEqual([])
  const withEffects = reports.filter(({ effects }) => effects > 0)
  expect(withEffects.length).toBeGreaterThanOrEqual(8)
  for (const { name, effects, single } of withEffects) expect(single, name).toBe(3 * effects)
  const pairs = reports.find(({ name }) => name === "a nudge is sent")
  expect(pairs?.double).toBeGreaterThan(2 * (pairs?.single ?? 0))
})

test("all orders of every scenario, also within one second, end in one state, and a repeated event changes nothing", async () => {
  const reports = await runOrders(pool)
  expect(reports.flatMap(({ faults }) => faults)).toEqual([])
  const names = new Set(reports.map(({ name }) => name))
  expect(names.size).toBeGreaterThanOrEqual(20)
  expect(reports.filter(({ events, timing }) => events === 6 && timing === "tied").length).toBeGreaterThanOrEqual(6)
})

test("concurrent sessions within database functions lose nothing, wherever they are stopped", async () => {
  const reports = await runInterleavings(pool, { preemptions: 0, random: INTERLEAVINGS })
  expect(reports.flatMap(({ failed }) => failed)).toEqual([])
  expect(reports.map(({ race }) => race).sort()).toEqual(RACES.map(({ name }) => name).sort())
  // Otherwise sessions are not stopped, or never wait for each other.
  for (const { race, stops, schedules } of reports) expect(stops, race).toBeGreaterThan(schedules / 4)
  expect(reports.reduce((sum, { blocked }) => sum + blocked, 0)).toBeGreaterThan(INTERLEAVINGS / 10)
})

test("an interleaving gives the same trace every time", async () => {
  const race = 0
  const schedule = "0 0.1.20>1 1.1.15>0"
  const play = () => pool.do<ScheduleResult>({ kind: "interleaving", race, schedule })
  const [first, second, third] = [await play(), await play(), await play()]
  expect(first.trace.stopped).toBe(2)
  expect(second.trace).toEqual(first.trace)
  expect(third.trace).toEqual(first.trace)
})

describe("a missing guard is noticed", () => {
  test("in the database, whichever it is", async () => {
    const kills = await runRaceMutants(pool)
    expect(kills.filter(({ by }) => by === null)).toEqual([])
  })

  test("in the Worker, whichever it is", async () => {
    const kills = await runMutants(pool)
    expect(kills.filter(({ by }) => by === null)).toEqual([])
    expect(MUTANTS.length).toBeGreaterThanOrEqual(30)
  })
})
