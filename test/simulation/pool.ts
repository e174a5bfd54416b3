/** Players in processes of their own, each with its own Worker and its own database. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Timing } from "./orders.ts"
import { openStage } from "./stage.ts"

/** Something to do for a player; what it answers depends on the kind. */
export type Job =
  | { readonly kind: "schedules"; readonly from: number; readonly to: number }
  | { readonly kind: "seed"; readonly seed: number }
  | { readonly kind: "orders"; readonly story: number; readonly timing: Timing }
  | { readonly kind: "crashes"; readonly flow: number }
  | { readonly kind: "mutant"; readonly mutant: number }

/**
 * The young generation of a player's heap: an isolate that crashes is garbage of megabytes at once. Code of an isolate runs
 * too seldom to be found worth compiling, and isolates share what is compiled: all of it is, which takes a sixth off.
 */
const PLAYER_FLAGS = ["--max-semi-space-size=64", "--max-old-space-size=1024", "--always-sparkplug"]

const PLAYER = fileURLToPath(new URL("./player-process.ts", import.meta.url))

export interface Pool {
  /** Does a job on the next free player. Rejects with the player's words when it breaks. */
  do<T>(job: Job): Promise<T>
  close(): Promise<void>
}

/** Starts Postgres and so many players. */
export async function openPool(players: number): Promise<Pool> {
  const stage = await openStage(players)
  const children = stage.urls.map((url) =>
    fork(PLAYER, [url], { execArgv: PLAYER_FLAGS, stdio: ["ignore", "inherit", "inherit", "ipc"] }),
  )
  const free = [...children]
  const waiting: ((child: ChildProcess) => void)[] = []
  let failure: Error | null = null

  const take = (): Promise<ChildProcess> => {
    const child = free.shift()
    return child ? Promise.resolve(child) : new Promise((resolve) => waiting.push(resolve))
  }
  const giveBack = (child: ChildProcess): void => {
    const next = waiting.shift()
    if (next) next(child)
    else free.push(child)
  }
  return {
    async do<T>(job: Job): Promise<T> {
      const child = await take()
      if (failure) throw failure
      try {
        return await new Promise<T>((resolve, reject) => {
          const onExit = (code: number | null, signal: string | null): void => {
            failure = new Error(`a player ended with ${code ?? signal} over ${JSON.stringify(job)}`)
            reject(failure)
          }
          child.once("exit", onExit)
          child.once("message", (reply: { readonly result?: T; readonly error?: string }) => {
            child.off("exit", onExit)
            if (reply.error === undefined) resolve(reply.result as T)
            else reject(new Error(reply.error))
          })
          child.send(job)
        })
      } finally {
        giveBack(child)
      }
    },
    async close() {
      await Promise.all(
        children.map(
          (child) =>
            new Promise<void>((resolve) => {
              if (child.exitCode !== null || child.signalCode !== null) return resolve()
              child.once("exit", () => resolve())
              child.disconnect()
            }),
        ),
      )
      await stage.stop()
    },
  }
}
