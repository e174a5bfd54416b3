/** A schedule worker: does the jobs of the pool one after the other, until the pool disconnects. */

import { crashEverywhere } from "../crash-points.ts"
import { FLOWS } from "../flows.ts"
import { exploreAllSchedules, exploreRandomSchedules, ScheduleRunner, scheduleOf } from "../interleavings/explore.ts"
import { killRaceMutant, RACE_MUTANTS } from "../interleavings/kill-mutants.ts"
import { RACES } from "../interleavings/races.ts"
import { MUTANTS } from "../mutants/mutant-list.ts"
import { killMutant, RealWorker } from "../mutants/mutants.ts"
import { exploreOrders, SCENARIOS_WITH_ORDER } from "../orders.ts"
import { type RunParts, runSchedule } from "../run.ts"
import { count, emptyTally, shrink } from "../schedules.ts"
import { AppBundler, bundleLibraries } from "../world/bundle.ts"
import { Database } from "../world/database.ts"
import { loadPackages, makeScheduleWorker, type ScheduleWorker } from "../world/schedule-worker.ts"
import type { Job } from "./pool.ts"

const [, , url = "", interleavingUrl = ""] = process.argv
const database = await Database.connect(url)
const bundler = await AppBundler.open()
const built = await bundler.bundle()
const packages = loadPackages(await bundleLibraries(built.packages))
const scheduleWorker = makeScheduleWorker(built.app, packages)
const parts = { database, scheduleWorker }
const real = new RealWorker(parts, packages, bundler)

/** Opened for the first interleaving, and again after a mutant has changed the functions. */
let scheduleRunner: ScheduleRunner | null = null
async function currentScheduleRunner(): Promise<ScheduleRunner> {
  scheduleRunner ??= await ScheduleRunner.open(interleavingUrl)
  return scheduleRunner
}

async function closeScheduleRunner(): Promise<void> {
  await scheduleRunner?.close()
  scheduleRunner = null
}

let evaluating: ScheduleWorker | null = null
function partsOfProduction(): RunParts {
  evaluating ??= makeScheduleWorker(built.app, packages, { evaluatesModules: true })
  return { database, scheduleWorker: evaluating }
}

/** An unhandled rejection of the Worker is a fault of the current run. */
const unhandled: string[] = []
process.on("unhandledRejection", (reason) => {
  unhandled.push(reason instanceof Error ? (reason.stack ?? reason.message) : String(reason))
})

async function perform(job: Job): Promise<unknown> {
  switch (job.kind) {
    case "schedules": {
      const tally = emptyTally()
      for (let seed = job.from; seed <= job.to; seed++) {
        const run = await runSchedule(seed, parts)
        count(tally, withUnhandled(run))
      }
      return tally
    }
    case "seed": {
      const run = withUnhandled(await runSchedule(job.seed, job.evaluatesModules ? partsOfProduction() : parts))
      const smallest = run.violations.length === 0 ? run : await shrink(run, parts)
      return { run, smallest }
    }
    case "orders":
      return exploreOrders(itemOf(SCENARIOS_WITH_ORDER, job.scenario), job.timing, parts)
    case "crashes": {
      const report = await crashEverywhere(itemOf(FLOWS, job.flow), parts)
      return { ...report, faults: [...report.faults, ...unhandledSoFar()] }
    }
    case "interleavings": {
      const { preemptions, part, parts } = job
      const limits = { preemptions, part, parts, isEnough: () => false }
      return exploreAllSchedules(await currentScheduleRunner(), itemOf(RACES, job.race), limits)
    }
    case "random_interleavings": {
      const seeds = Array.from({ length: job.to - job.from + 1 }, (_, place) => job.from + place)
      return exploreRandomSchedules(await currentScheduleRunner(), itemOf(RACES, job.race), seeds)
    }
    case "interleaving":
      return (await currentScheduleRunner()).play(itemOf(RACES, job.race), scheduleOf(job.schedule))
    case "race_mutant": {
      await closeScheduleRunner()
      return killRaceMutant(interleavingUrl, itemOf(RACE_MUTANTS, job.mutant))
    }
    case "mutant": {
      const kill = await killMutant(itemOf(MUTANTS, job.mutant), real)
      // A mutant may cause unhandled rejections.
      unhandledSoFar()
      return kill
    }
  }
}

function itemOf<T>(list: readonly T[], place: number): T {
  const item = list[place]
  if (item === undefined) throw new Error(`there is no item ${place}`)
  return item
}

const unhandledSoFar = (): string[] => unhandled.splice(0).map((reason) => `I0 an unhandled rejection: ${reason}`)

function withUnhandled<T extends { readonly violations: readonly string[] }>(run: T): T {
  const words = unhandledSoFar()
  return words.length === 0 ? run : { ...run, violations: [...run.violations, ...words] }
}

process.on("message", (job: Job) => {
  perform(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) =>
      process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
})
process.on("disconnect", () => {
  void Promise.all([database.close(), closeScheduleRunner(), bundler.close()]).finally(() => process.exit(0))
})
