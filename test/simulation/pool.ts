/** Players in processes of their own, each with its own Worker and its own database. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { openDatabasePool } from "./database-pool.ts"
import type { Timing } from "./orders.ts"

/** Something to do for a player; what it answers depends on the kind. */
export type Job =
  | { readonly kind: "schedules"; readonly from: number; readonly to: number }
  | { readonly kind: "seed"; readonly seed: number }
  | { readonly kind: "orders"; readonly story: number; readonly timing: Timing }
  | { readonly kind: "crashes"; readonly flow: number }
  | { readonly kind: "mutant"; readonly mutant: number }
  | {
      readonly kind: "interleavings"
      readonly race: number
      readonly part: number
      readonly parts: number
      readonly preemptions: number
    }
  | { readonly kind: "random_interleavings"; readonly race: number; readonly from: number; readonly to: number }
  | { readonly kind: "interleaving"; readonly race: number; readonly schedule: string }
  | { readonly kind: "race_mutant"; readonly mutant: number }

/** The young generation of a player's heap: an isolate that crashes is garbage of megabytes at once. */
const PLAYER_FLAGS = ["--max-semi-space-size=64", "--max-old-space-size=2048"]

const PLAYER = fileURLToPath(new URL("./schedule-worker-process.ts", import.meta.url))

export interface Pool {
  /** Does a job on the next free player. Rejects with the player's words when it breaks. */
  do<T>(job: Job): Promise<T>
  close(): Promise<void>
}

/** Starts Postgres and so many players. */
export async function openPool(players: number): Promise<Pool> {
  const stage = await openDatabasePool(players)
  const children = stage.urls.map((url, place) =>
    fork(PLAYER, [url, stage.arenaUrls[place] ?? ""], {
      execArgv: PLAYER_FLAGS,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    }),
  )
  const free = [...children]
  const waiting: { readonly take: (child: ChildProcess) => void; readonly fail: (error: Error) => void }[] = []
  let failure: Error | null = null
  let isClosing = false
  /** Breaks the job of each player that is at work. */
  const atWork = new Map<ChildProcess, (error: Error) => void>()

  // A player that is gone would leave its job, and all that waits for it, waiting for ever.
  const giveUp = (error: Error): void => {
    failure ??= error
    for (const fail of atWork.values()) fail(failure)
    for (const { fail } of waiting.splice(0)) fail(failure)
  }
  for (const child of children) {
    child.on("error", giveUp)
    child.on("exit", (code, signal) => {
      if (!isClosing) giveUp(new Error(`a player ended with ${code ?? signal}`))
    })
  }

  const take = (): Promise<ChildProcess> => {
    if (failure) return Promise.reject(failure)
    const child = free.shift()
    return child ? Promise.resolve(child) : new Promise((resolve, fail) => waiting.push({ take: resolve, fail }))
  }
  const giveBack = (child: ChildProcess): void => {
    const next = waiting.shift()
    if (next) next.take(child)
    else free.push(child)
  }
  return {
    async do<T>(job: Job): Promise<T> {
      const child = await take()
      try {
        return await new Promise<T>((resolve, reject) => {
          atWork.set(child, (cause) => reject(new Error(`${cause.message}, over ${JSON.stringify(job)}`, { cause })))
          child.once("message", (reply: { readonly result?: T; readonly error?: string }) => {
            if (reply.error === undefined) resolve(reply.result as T)
            else reject(new Error(reply.error))
          })
          child.send(job)
        })
      } finally {
        atWork.delete(child)
        giveBack(child)
      }
    },
    async close() {
      isClosing = true
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
