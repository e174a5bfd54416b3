/** Schedule workers: processes that each have their own Worker and database. */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Timing } from "../orders.ts"
import { openDatabasePool } from "./database-pool.ts"

/** A job for a schedule worker; the answer depends on the kind. */
export type Job =
  | { readonly kind: "schedules"; readonly from: number; readonly to: number }
  /** `evaluatesModules`: every isolate evaluates the Worker's modules itself, as in production. */
  | { readonly kind: "seed"; readonly seed: number; readonly evaluatesModules?: boolean }
  | { readonly kind: "orders"; readonly scenario: number; readonly timing: Timing }
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

/**
 * A large young generation of the heap: a crashed isolate is megabytes of garbage. V8 keeps the async context itself, as it
 * does by default from Node 24 on; Node's hooks run for each promise.
 */
const WORKER_FLAGS = ["--max-semi-space-size=64", "--max-old-space-size=2048", "--experimental-async-context-frame"]

const WORKER_FILE = fileURLToPath(new URL("./schedule-worker-process.ts", import.meta.url))

export interface Pool {
  /** Does a job on the next free worker. Rejects with the worker's error. */
  do<T>(job: Job): Promise<T>
  close(): Promise<void>
}

/** Starts Postgres and the workers. */
export async function openPool(workers: number): Promise<Pool> {
  const databases = await openDatabasePool(workers)
  const children = databases.urls.map((url, place) =>
    fork(WORKER_FILE, [url, databases.interleavingUrls[place] ?? ""], {
      execArgv: WORKER_FLAGS,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    }),
  )
  const free = [...children]
  const waiting: { readonly take: (child: ChildProcess) => void; readonly fail: (error: Error) => void }[] = []
  let failure: Error | null = null
  let isClosing = false
  /** Rejects the job of each busy worker. */
  const busy = new Map<ChildProcess, (error: Error) => void>()

  // Otherwise the job of a worker that has exited, and all queued jobs, would wait forever.
  const failAll = (error: Error): void => {
    failure ??= error
    for (const fail of busy.values()) fail(failure)
    for (const { fail } of waiting.splice(0)) fail(failure)
  }
  for (const child of children) {
    child.on("error", failAll)
    child.on("exit", (code, signal) => {
      if (!isClosing) failAll(new Error(`a worker exited with ${code ?? signal}`))
    })
  }

  const take = (): Promise<ChildProcess> => {
    if (failure) return Promise.reject(failure)
    const child = free.shift()
    return child ? Promise.resolve(child) : new Promise((resolve, fail) => waiting.push({ take: resolve, fail }))
  }
  const release = (child: ChildProcess): void => {
    const next = waiting.shift()
    if (next) next.take(child)
    else free.push(child)
  }
  return {
    async do<T>(job: Job): Promise<T> {
      const child = await take()
      try {
        return await new Promise<T>((resolve, reject) => {
          busy.set(child, (cause) => reject(new Error(`${cause.message}, job ${JSON.stringify(job)}`, { cause })))
          child.once("message", (reply: { readonly result?: T; readonly error?: string }) => {
            if (reply.error === undefined) resolve(reply.result as T)
            else reject(new Error(reply.error))
          })
          child.send(job)
        })
      } finally {
        busy.delete(child)
        release(child)
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
      await databases.stop()
    },
  }
}
