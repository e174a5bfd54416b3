/** A player: does the jobs of the pool one after the other, until the pool lets go of it. */
import { bundle } from "./bundle.ts"
import { crashEverywhere } from "./crash-points.ts"
import { Database } from "./database.ts"
import { FLOWS } from "./flows.ts"
import { Arena, exhaust, scheduleOf, wander } from "./interleavings/explore.ts"
import { huntRace, RACE_MUTANTS } from "./interleavings/hunt.ts"
import { RACES } from "./interleavings/races.ts"
import { MUTANTS } from "./mutant-list.ts"
import { hunt, RealWorker } from "./mutants.ts"
import { allOrders, ORDERED } from "./orders.ts"
import { makePlayer } from "./player.ts"
import type { Job } from "./pool.ts"
import { play } from "./run.ts"
import { count, emptyTally, shrink } from "./schedules.ts"

const [, , url = "", arenaUrl = ""] = process.argv
const database = await Database.connect(url)
const built = await bundle()
const player = makePlayer(built)
const parts = { database, player }
const real = new RealWorker(parts, built.libraries)

/** Opened when the first interleaving is played, and anew after a mutant has changed the functions. */
let arena: Arena | null = null
async function currentArena(): Promise<Arena> {
  arena ??= await Arena.open(arenaUrl)
  return arena
}

async function closeArena(): Promise<void> {
  await arena?.close()
  arena = null
}

/** A promise of the Worker that nobody looks after is a fault of whatever is being played. */
const unhandled: string[] = []
process.on("unhandledRejection", (reason) => {
  unhandled.push(reason instanceof Error ? (reason.stack ?? reason.message) : String(reason))
})

async function perform(job: Job): Promise<unknown> {
  switch (job.kind) {
    case "schedules": {
      const tally = emptyTally()
      for (let seed = job.from; seed <= job.to; seed++) {
        const run = await play(seed, parts)
        count(tally, withUnhandled(run))
      }
      return tally
    }
    case "seed": {
      const run = withUnhandled(await play(job.seed, parts))
      const smallest = run.violations.length === 0 ? run : await shrink(run, parts)
      return { run, smallest }
    }
    case "orders":
      return allOrders(itemOf(ORDERED, job.story), job.timing, parts)
    case "crashes": {
      const report = await crashEverywhere(itemOf(FLOWS, job.flow), parts)
      return { ...report, faults: [...report.faults, ...unhandledSoFar()] }
    }
    case "interleavings": {
      const { preemptions, part, parts } = job
      const limits = { preemptions, part, parts, isEnough: () => false }
      return exhaust(await currentArena(), itemOf(RACES, job.race), limits)
    }
    case "random_interleavings": {
      const seeds = Array.from({ length: job.to - job.from + 1 }, (_, place) => job.from + place)
      return wander(await currentArena(), itemOf(RACES, job.race), seeds)
    }
    case "interleaving":
      return (await currentArena()).play(itemOf(RACES, job.race), scheduleOf(job.schedule))
    case "race_mutant": {
      await closeArena()
      return huntRace(arenaUrl, itemOf(RACE_MUTANTS, job.mutant))
    }
    case "mutant": {
      const kill = await hunt(itemOf(MUTANTS, job.mutant), real)
      // A broken Worker may well leave promises unhandled.
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
  void Promise.all([database.close(), closeArena()]).finally(() => process.exit(0))
})
