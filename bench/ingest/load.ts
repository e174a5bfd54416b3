/**
 * The sender, in a thread of its own so that it does not compete with the local replacements for one event loop. Each connection
 * sends its next request when the last one was answered, and ends with an answer, so that no request is cut off.
 */
import { parentPort, Worker, workerData } from "node:worker_threads"
import autocannon from "autocannon"
import { eventMaker, signatureOf } from "./events.ts"
import type { Scenario } from "./scenarios.ts"

export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly scenario: Scenario
  readonly secret: string
  /** Makes the ids of this load different from those of every other. */
  readonly tag: string
}

export interface LoadResult {
  readonly latenciesMs: readonly number[]
  readonly elapsedMs: number
  /** How many answers had each status. */
  readonly statuses: Readonly<Record<string, number>>
}

/** A request that takes longer fails the measurement. */
const TIMEOUT_SECONDS = 10

/** Enough that no customer has two events within a second, whose order would be undefined. */
const KNOWN_CUSTOMERS = 1_000

/** Sends the load from a new thread. Rejects when a request gets no answer. */
export function sendLoad(load: Load): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: load })
    thread.once("message", (result: LoadResult) => {
      resolve(result)
      void thread.terminate()
    })
    thread.once("error", reject)
    thread.once("exit", () => reject(new Error("the sender ended without a result")))
  })
}

function send({ url, connections, seconds, scenario, secret, tag }: Load): Promise<LoadResult> {
  const bodyOf = nextBody(scenario, tag)

  const setupRequest = (request: autocannon.Request): autocannon.Request => {
    const body = bodyOf()
    const signature = signatureOf(body, scenario.isSigned ? secret : "whsec_another_secret")
    return { ...request, body, headers: { "content-type": "application/json", "stripe-signature": signature } }
  }

  return new Promise((resolve, reject) => {
    const latenciesMs: number[] = []
    const statuses: Record<string, number> = {}
    const startedAt = performance.now()
    let running = connections
    autocannon({
      url,
      connections,
      duration: seconds + TIMEOUT_SECONDS,
      timeout: TIMEOUT_SECONDS,
      requests: [{ method: "POST", path: "/api/webhooks/stripe", setupRequest }],
    })
      .on("response", (client, status, _bytes, durationMs) => {
        latenciesMs.push(durationMs)
        statuses[status] = (statuses[status] ?? 0) + 1
        const elapsedMs = performance.now() - startedAt
        if (elapsedMs < seconds * 1000) return
        client.responseMax = 1 // it has made more requests already, so it ends with this answer
        if (--running === 0) resolve({ latenciesMs, elapsedMs, statuses })
      })
      .on("reqError", reject)
  })
}

function nextBody({ type, ids }: Scenario, tag: string): () => string {
  const bodyOf = eventMaker(type)
  let serial = 0
  const same = bodyOf(tag, tag)
  if (ids === "same") return () => same
  return () => {
    const tail = `${tag}${(serial++).toString(36)}`
    return bodyOf(tail, ids === "known" ? `known${serial % KNOWN_CUSTOMERS}` : tail)
  }
}

if (parentPort !== null && workerData !== null) parentPort.postMessage(await send(workerData as Load))
