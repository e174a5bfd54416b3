/**
 * The work of a function as the number of blocks that it executes: functions, branches and loop bodies, as V8 counts them.
 * Unlike a time it is the same on every machine, so that a small input shows how the work grows. What built-in functions do
 * within one call, such as copying a list, is not counted.
 */
import { Session } from "node:inspector/promises"
import { setFlagsFromString } from "node:v8"

export interface BlockCounter {
  /** How many blocks of the sources a run of `work` executes. */
  readonly blocksOf: (work: () => void) => Promise<number>
  readonly stop: () => void
}

/** Counts in the sources whose URL contains `source`; only those that are imported later. */
export async function countBlocks(source: string): Promise<BlockCounter> {
  // Calls that the compiler inlines are not counted.
  setFlagsFromString("--no-opt")
  setFlagsFromString("--no-maglev")
  const session = new Session()
  session.connect()
  await session.post("Profiler.enable")
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true })
  return {
    async blocksOf(work) {
      await session.post("Profiler.takePreciseCoverage") // sets the counts to zero
      work()
      const { result } = await session.post("Profiler.takePreciseCoverage")
      return result
        .filter(({ url }) => url.includes(source))
        .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
        .reduce((sum, { count }) => sum + count, 0)
    },
    stop: () => session.disconnect(),
  }
}
