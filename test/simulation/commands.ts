/** What is played as a whole, by however many players: schedules, crash points, orders, mutants. */
import type { FlowReport } from "./crash-points.ts"
import { FLOWS } from "./flows.ts"
import type { RaceReport } from "./interleavings/explore.ts"
import { type KilledRaceMutant, RACE_MUTANTS } from "./interleavings/kill-mutants.ts"
import { RACES } from "./interleavings/races.ts"
import { MUTANTS } from "./mutants/mutant-list.ts"
import { checkMutantLocations, type KilledMutant } from "./mutants/mutants.ts"
import { type OrdersReport, SCENARIOS_WITH_ORDER } from "./orders.ts"
import type { Pool } from "./pool.ts"
import { emptyTally, merge, type RequestCounter } from "./schedules.ts"

/** Hears how far a campaign is. */
export type Listener = (done: number, total: number, more: string) => void

const silent: Listener = () => undefined

/** Schedules of one job: short enough that progress is seen, long enough that handing it over costs nothing. */
const SCHEDULES_PER_JOB = 10
/** Jobs that wait at a player's door; a campaign of a million need not hold a million promises. */
const JOBS_AT_ONCE = 16

/** Plays the schedules of so many seeds. */
export async function runSchedules(pool: Pool, runs: number, from: number, tell = silent): Promise<RequestCounter> {
  const tally = emptyTally()
  const last = from + runs - 1
  let next = from
  const worker = async (): Promise<void> => {
    while (next <= last) {
      const start = next
      next += SCHEDULES_PER_JOB
      const job = { kind: "schedules", from: start, to: Math.min(last, next - 1) } as const
      merge(tally, await pool.do<RequestCounter>(job))
      tell(tally.runs, runs, summary(tally))
    }
  }
  await Promise.all(Array.from({ length: JOBS_AT_ONCE }, worker))
  return tally
}

const summary = ({ failed, figures, kinds }: RequestCounter): string => {
  const faults = Object.values(kinds).reduce((sum, count) => sum + count, 0)
  return `${failed.length} failed, ${figures.effects ?? 0} effects, ${faults} faults of ${Object.keys(kinds).length} kinds`
}

/** Those whose names match the pattern, by their places. */
const placesOf = (names: readonly string[], only: string): number[] =>
  names.flatMap((name, place) => (new RegExp(only).test(name) ? [place] : []))

const guardOf = ({ guard }: { readonly guard: string }): string => guard
const nameOf = ({ name }: { readonly name: string }): string => name

/** Plays every flow whose name matches `only` at every crash point. */
export const runCrashPoints = (pool: Pool, only = "", tell = silent): Promise<FlowReport[]> =>
  each(
    placesOf(FLOWS.map(nameOf), only).map((flow) => () => pool.do<FlowReport>({ kind: "crashes", flow })),
    tell,
    ({ name, single, double }) => `${name}: ${single} single, ${double} double`,
  )

/** Plays every order of every story whose name matches `only`. The longest stories first, so that no player is left alone with one. */
export function runOrders(pool: Pool, only = "", tell = silent): Promise<OrdersReport[]> {
  const jobs = placesOf(SCENARIOS_WITH_ORDER.map(nameOf), only).flatMap((story) =>
    (["apart", "tied"] as const).map((timing) => ({
      events: SCENARIOS_WITH_ORDER[story]?.tellers.length ?? 0,
      job: { kind: "orders", story, timing } as const,
    })),
  )
  jobs.sort((a, b) => b.events - a.events)
  return each(
    jobs.map(
      ({ job }) =>
        () =>
          pool.do<OrdersReport>(job),
    ),
    tell,
    ({ name, timing, orders }) => `${name}, ${timing}: ${orders} orders`,
  )
}

/** Hunts every mutant whose name matches `only`. Throws first when a place of the list is not in the code any more. */
export async function runMutants(pool: Pool, only = "", tell = silent): Promise<KilledMutant[]> {
  for (const mutant of MUTANTS) checkMutantLocations(mutant)
  return each(
    placesOf(MUTANTS.map(guardOf), only).map((mutant) => () => pool.do<KilledMutant>({ kind: "mutant", mutant })),
    tell,
    ({ guard, by }) => `${guard}: ${by ?? "survives"}`,
  )
}

async function each<T>(
  jobs: readonly (() => Promise<T>)[],
  tell: Listener,
  words: (result: T) => string,
): Promise<T[]> {
  let done = 0
  return Promise.all(
    jobs.map(async (job) => {
      const result = await job()
      done += 1
      tell(done, jobs.length, words(result))
      return result
    }),
  )
}

/** Random interleavings of one job. */
const INTERLEAVINGS_PER_JOB = 50

/**
 * Plays every race with each of its schedules of up to so many preemptions, and so many random schedules over all races.
 * One report for each race.
 */
export async function runInterleavings(
  pool: Pool,
  { preemptions, random, only = "" }: { readonly preemptions: number; readonly random: number; readonly only?: string },
  tell = silent,
): Promise<RaceReport[]> {
  const reports = new Map<string, RaceReport>()
  const races = placesOf(RACES.map(nameOf), only)
  const perRace = Math.ceil(random / races.length)
  const jobs = races.flatMap((race) => [
    ...(preemptions === 0
      ? []
      : Array.from({ length: PARTS }, (_part, part) => ({
          ...({ kind: "interleavings", race, part, parts: PARTS, preemptions } as const),
        }))),
    ...Array.from({ length: Math.ceil(perRace / INTERLEAVINGS_PER_JOB) }, (_job, job) => {
      const from = 1 + job * INTERLEAVINGS_PER_JOB
      return {
        kind: "random_interleavings",
        race,
        from,
        to: Math.min(perRace, from + INTERLEAVINGS_PER_JOB - 1),
      } as const
    }),
  ])
  let schedules = 0
  let failed = 0
  await each(
    jobs.map((job) => async () => {
      const report = await pool.do<RaceReport>(job)
      const known = reports.get(report.race)
      if (known === undefined) reports.set(report.race, report)
      else {
        known.schedules += report.schedules
        known.blocked += report.blocked
        known.stops += report.stops
        known.failed.push(...report.failed)
      }
      schedules += report.schedules
      failed += report.failed.length
      return report
    }),
    tell,
    ({ race }) => `${schedules} interleavings, ${failed} failed, ${race}`,
  )
  return [...reports.values()]
}

/** Pieces of the schedules of one race, for players to share. */
const PARTS = 8

/** Hunts the guards that only meet in Postgres, those whose name matches `only`. */
export const runRaceMutants = (pool: Pool, only = "", tell = silent): Promise<KilledRaceMutant[]> =>
  each(
    placesOf(RACE_MUTANTS.map(guardOf), only).map(
      (mutant) => () => pool.do<KilledRaceMutant>({ kind: "race_mutant", mutant }),
    ),
    tell,
    ({ guard, by }) => `${guard}: ${by ?? "survived"}`,
  )
