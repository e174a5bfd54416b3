/**
 * The deployable in a simulated world: every seed is one schedule of stories, faults and outages that ends with everything
 * healed and every invariant holding. What `npm run simulate` plays for longer is played here in a fixed measure.
 */
import { availableParallelism } from "node:os"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { runCrashPoints, runInterleavings, runMutants, runOrders, runRaceMutants, runSchedules } from "./commands.ts"
import type { ScheduleResult } from "./interleavings/explore.ts"
import { RACES } from "./interleavings/races.ts"
import { MUTANTS } from "./mutants/mutant-list.ts"
import { openPool, type Pool } from "./pool.ts"
import type { Run } from "./run.ts"
import { FAULT_KINDS } from "./world/faults.ts"

const PLAYERS = availableParallelism()
/** All of it within five minutes: two processors play five schedules a second. `npm run simulate` plays more. */
const SCHEDULES = PLAYERS >= 4 ? 2_000 : 400
/** They and what is missing without a guard take less than a minute of two idle processors. */
const INTERLEAVINGS = 1_200

let pool: Pool
beforeAll(async () => {
  pool = await openPool(PLAYERS)
})
afterAll(() => pool.close())

test("a seed is played the same way every time, in every process", async () => {
  const seeds = [1, 2, 3, 5, 8, 13, 21, 34]
  for (const seed of seeds) {
    const runs = await Promise.all(
      Array.from({ length: 3 }, () => pool.do<{ readonly run: Run }>({ kind: "seed", seed })),
    )
    expect(new Set(runs.map(({ run }) => run.hash)).size, `seed ${seed}`).toBe(1)
  }
  const hashes = await Promise.all(seeds.map((seed) => pool.do<{ readonly run: Run }>({ kind: "seed", seed })))
  expect(new Set(hashes.map(({ run }) => run.hash)).size).toBe(seeds.length)
})

test("hundreds of schedules: nothing is lost, nothing is visible twice or too late, everything comes to rest", async () => {
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

test("killed before and after every effect of every flow, everything ends the same", async () => {
  const reports = await runCrashPoints(pool)
  expect(reports.flatMap(({ faults }) => faults)).toEqual([])
  const struck = reports.filter(({ effects }) => effects > 0)
  expect(struck.length).toBeGreaterThanOrEqual(8)
  for (const { name, effects, single } of struck) expect(single, name).toBe(3 * effects)
  const pairs = reports.find(({ name }) => name === "a nudge is sent")
  expect(pairs?.double).toBeGreaterThan(2 * (pairs?.single ?? 0))
})

test("all orders of every story, with and without ties, end in one state, and a repeated event changes none", async () => {
  const reports = await runOrders(pool)
  expect(reports.flatMap(({ faults }) => faults)).toEqual([])
  const stories = new Set(reports.map(({ name }) => name))
  expect(stories.size).toBeGreaterThanOrEqual(20)
  expect(reports.filter(({ events, timing }) => events === 6 && timing === "tied").length).toBeGreaterThanOrEqual(6)
})

test("sessions that meet within the functions of the database lose nothing, wherever they are stopped", async () => {
  const reports = await runInterleavings(pool, { preemptions: 0, random: INTERLEAVINGS })
  expect(reports.flatMap(({ failed }) => failed)).toEqual([])
  expect(reports.map(({ race }) => race).sort()).toEqual(RACES.map(({ name }) => name).sort())
  // Otherwise they are not stopped, or never wait for each other.
  for (const { race, stops, schedules } of reports) expect(stops, race).toBeGreaterThan(schedules / 4)
  expect(reports.reduce((sum, { blocked }) => sum + blocked, 0)).toBeGreaterThan(INTERLEAVINGS / 10)
})

test("an interleaving is played the same way every time", async () => {
  const race = 0
  const schedule = "0 0.1.20>1 1.1.15>0"
  const play = () => pool.do<ScheduleResult>({ kind: "interleaving", race, schedule })
  const [first, second, third] = [await play(), await play(), await play()]
  expect(first.trace.stopped).toBe(2)
  expect(second.trace).toEqual(first.trace)
  expect(third.trace).toEqual(first.trace)
})

describe("without one of its guards", () => {
  test("the database is found out, whichever it is", async () => {
    const kills = await runRaceMutants(pool)
    expect(kills.filter(({ by }) => by === null)).toEqual([])
  })

  test("the Worker is found out, whichever it is", async () => {
    const kills = await runMutants(pool)
    expect(kills.filter(({ by }) => by === null)).toEqual([])
    expect(MUTANTS.length).toBeGreaterThanOrEqual(30)
  })
})
