/** Whole runs on all schedule workers: schedules, crash points, orders, mutants, interleavings. */
import type { FlowReport } from "./crash-points.ts"
import { FLOWS } from "./flows.ts"
import type { RaceReport } from "./interleavings/explore.ts"
import { type KilledRaceMutant, RACE_MUTANTS } from "./interleavings/kill-mutants.ts"
import { RACES } from "./interleavings/races.ts"
import { MUTANTS } from "./mutants/mutant-list.ts"
import { checkMutantLocations, type KilledMutant } from "./mutants/mutants.ts"
import { type OrdersReport, SCENARIOS_WITH_ORDER } from "./orders.ts"
import type { Pool } from "./processes/pool.ts"
import { emptyTally, merge, type RequestCounter } from "./schedules.ts"

/** Receives the progress of a command. */
export type OnProgress = (done: number, total: number, more: string) => void

const noProgress: OnProgress = () => undefined

/** Schedules of one job: few enough to show progress, enough to make the messages between processes negligible. */
const SCHEDULES_PER_JOB = 10
/** Jobs that are queued at once; a million schedules need not be a million promises. */
const JOBS_MAX = 16

/** Runs the schedules of `runs` seeds. */
export async function runSchedules(
  pool: Pool,
  runs: number,
  from: number,
  onProgress = noProgress,
): Promise<RequestCounter> {
  const tally = emptyTally()
  const last = from + runs - 1
  let next = from
  const worker = async (): Promise<void> => {
    while (next <= last) {
      const start = next
      next += SCHEDULES_PER_JOB
      const job = { kind: "schedules", from: start, to: Math.min(last, next - 1) } as const
      merge(tally, await pool.do<RequestCounter>(job))
      onProgress(tally.runs, runs, summary(tally))
    }
  }
  await Promise.all(Array.from({ length: JOBS_MAX }, worker))
  return tally
}

const summary = ({ failed, figures, kinds }: RequestCounter): string => {
  const faults = Object.values(kinds).reduce((sum, count) => sum + count, 0)
  return `${failed.length} failed, ${figures.effects ?? 0} effects, ${faults} faults of ${Object.keys(kinds).length} kinds`
}

/** Positions of the names that match the pattern. */
const placesOf = (names: readonly string[], only: string): number[] =>
  names.flatMap((name, place) => (new RegExp(only).test(name) ? [place] : []))

const guardOf = ({ guard }: { readonly guard: string }): string => guard
const nameOf = ({ name }: { readonly name: string }): string => name

/** Runs every flow whose name matches `only` at every crash point. */
export const runCrashPoints = (pool: Pool, only = "", onProgress = noProgress): Promise<FlowReport[]> =>
  each(
    placesOf(FLOWS.map(nameOf), only).map((flow) => () => pool.do<FlowReport>({ kind: "crashes", flow })),
    onProgress,
    ({ name, single, double }) => `${name}: ${single} single, ${double} double`,
  )

/** Runs every order of every scenario whose name matches `only`; the longest first, so that none runs alone at the end. */
export function runOrders(pool: Pool, only = "", onProgress = noProgress): Promise<OrdersReport[]> {
  const jobs = placesOf(SCENARIOS_WITH_ORDER.map(nameOf), only).flatMap((scenario) =>
    (["apart", "tied"] as const).map((timing) => ({
      events: SCENARIOS_WITH_ORDER[scenario]?.writers.length ?? 0,
      job: { kind: "orders", scenario, timing } as const,
    })),
  )
  jobs.sort((a, b) => b.events - a.events)
  return each(
    jobs.map(
      ({ job }) =>
        () =>
          pool.do<OrdersReport>(job),
    ),
    onProgress,
    ({ name, timing, orders }) => `${name}, ${timing}: ${orders} orders`,
  )
}

/** Tests every mutant whose name matches `only`. Throws first if a place in the list is not in the code any more. */
export async function runMutants(pool: Pool, only = "", onProgress = noProgress): Promise<KilledMutant[]> {
  for (const mutant of MUTANTS) checkMutantLocations(mutant)
  return each(
    placesOf(MUTANTS.map(guardOf), only).map((mutant) => () => pool.do<KilledMutant>({ kind: "mutant", mutant })),
    onProgress,
    ({ guard, by }) => `${guard}: ${by ?? "survives"}`,
  )
}

async function each<T>(
  jobs: readonly (() => Promise<T>)[],
  onProgress: OnProgress,
  textOf: (result: T) => string,
): Promise<T[]> {
  let done = 0
  return Promise.all(
    jobs.map(async (job) => {
      const result = await job()
      done += 1
      onProgress(done, jobs.length, textOf(result))
      return result
    }),
  )
}

/** Random interleavings per job. */
const INTERLEAVINGS_PER_JOB = 50

/**
 * Runs every race in all schedules of up to `preemptions` preemptions, and `random` schedules over all races. One report per
 * race.
 */
export async function runInterleavings(
  pool: Pool,
  { preemptions, random, only = "" }: { readonly preemptions: number; readonly random: number; readonly only?: string },
  onProgress = noProgress,
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
    onProgress,
    ({ race }) => `${schedules} interleavings, ${failed} failed, ${race}`,
  )
  return [...reports.values()]
}

/** Parts into which the schedules of one race are divided. */
const PARTS = 8

/** Tests the mutants of guards within Postgres whose name matches `only`. */
export const runRaceMutants = (pool: Pool, only = "", onProgress = noProgress): Promise<KilledRaceMutant[]> =>
  each(
    placesOf(RACE_MUTANTS.map(guardOf), only).map(
      (mutant) => () => pool.do<KilledRaceMutant>({ kind: "race_mutant", mutant }),
    ),
    onProgress,
    ({ guard, by }) => `${guard}: ${by ?? "survived"}`,
  )
