/**
 * Loads: webhooks sent from a process of their own, so that the sender neither competes with the local replacements for one
 * event loop nor is counted with them.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { EventSource } from "./events.ts"

/**
 * How requests follow each other. `closed`: each connection sends its next when the last was answered. `open`: they are due
 * at a rate, whether or not earlier ones were answered. `burst`: all are due at once.
 */
export type Pattern =
  | { readonly kind: "closed"; readonly connections: number; readonly seconds: number }
  | { readonly kind: "open"; readonly perSecond: number; readonly seconds: number }
  | { readonly kind: "burst"; readonly count: number; readonly connections: number }

export interface Load {
  readonly url: string
  readonly pattern: Pattern
  readonly source: EventSource
  readonly secret: string
  /** Makes the ids of this load different from those of every other. */
  readonly tag: string
}

export interface LoadResult {
  /** From the moment a request was due to its answer. */
  readonly latenciesMs: readonly number[]
  /** Until the last answer. */
  readonly elapsedMs: number
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<string, number>>
  /** CPU time of the sender. */
  readonly cpuMs: number
}

const SENDER = fileURLToPath(new URL("./sender.ts", import.meta.url))

/** Sends a load. Rejects when a request gets no answer. */
export function sendLoad(load: Load): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = fork(SENDER, { serialization: "advanced", stdio: ["ignore", "ignore", "inherit", "ipc"] })
    const kill = (): void => void child.kill("SIGKILL")
    process.once("exit", kill)
    child.once("message", (result) => resolve(result as LoadResult))
    child.once("error", reject)
    child.once("exit", () => {
      process.off("exit", kill)
      reject(new Error("the sender ended without a result"))
    })
    child.send(load)
  })
}
