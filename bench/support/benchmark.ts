/** The frame of every benchmark: a directory for its data, and an end that leaves no process behind. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { BenchmarkReport } from "./report.ts"

/** One benchmark of `npm run bench`. */
export interface Benchmark {
  readonly name: string
  /** A line about it, and a line for each of its options. */
  readonly help: string
  /** Measures. With `isQuick`, for seconds only: to see that it works, not for figures. */
  run(args: string[], isQuick: boolean): Promise<BenchmarkReport>
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

export interface Stoppable {
  stop(): Promise<void>
}

/** Starts in an empty directory, works, and stops and removes everything, also after an error or Ctrl-C. */
export async function withStarted<T extends Stoppable, Result>(
  start: (dataDir: string) => Promise<T>,
  work: (started: T) => Promise<Result>,
): Promise<Result> {
  const dataDir = join(ROOT, ".local", `bench-${process.pid}`)
  const starting = start(dataDir)
  const cleanUp = async (): Promise<void> => {
    await starting.then(({ stop }) => stop()).catch(() => {}) // what failed to start has stopped itself
    rmSync(dataDir, { recursive: true, force: true })
  }
  const end = (): void => void cleanUp().then(() => process.exit(1))
  for (const signal of SIGNALS) process.once(signal, end)
  try {
    return await work(await starting)
  } finally {
    for (const signal of SIGNALS) process.off(signal, end)
    await cleanUp()
  }
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const

/** Tells what is being measured. */
export const progress = (text: string): void => void process.stderr.write(`${text}\n`)

/** An option that is a positive number. */
export function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} takes a positive number`)
  return value
}
