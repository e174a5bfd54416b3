/** The sender's process: takes one load, sends it, and answers with its result. */
import { Agent, request } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import autocannon from "autocannon"
import { type EventRequest, nextRequest } from "./events.ts"
import type { Load, LoadResult, Pattern } from "./load.ts"

const PATH = "/api/webhooks/stripe"

/** A request that takes longer fails the measurement. */
const TIMEOUT_SECONDS = 30

/** Requests of an open load under way at once; more wait here, and their latency counts from when they were due. */
const OPEN_CONNECTIONS = 128

/** How often an open load looks for requests that are due. */
const TICK_MS = 2

type Sent = Omit<LoadResult, "cpuMs">
type Of<Kind extends Pattern["kind"]> = Extract<Pattern, { kind: Kind }>

function send({ url, pattern, source, secret, tag }: Load): Promise<Sent> {
  const next = nextRequest(source, tag, secret)
  switch (pattern.kind) {
    case "closed":
      return sendClosed(url, pattern, next)
    case "open":
      return sendOpen(url, pattern, next)
    case "burst":
      return sendBurst(url, pattern, next)
  }
}

const headersOf = ({ signature }: EventRequest) => ({
  "content-type": "application/json",
  "stripe-signature": signature,
})

/** Ends each connection with an answer, so that no request is cut off. */
function sendClosed(url: string, { connections, seconds }: Of<"closed">, next: () => EventRequest): Promise<Sent> {
  const setupRequest = (template: autocannon.Request): autocannon.Request => {
    const event = next()
    return { ...template, body: event.body, headers: headersOf(event) }
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
      requests: [{ method: "POST", path: PATH, setupRequest }],
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

async function sendOpen(url: string, { perSecond, seconds }: Of<"open">, next: () => EventRequest): Promise<Sent> {
  const client = createClient(url, OPEN_CONNECTIONS)
  const total = Math.round(perSecond * seconds)
  for (let sent = 0; sent < total; await sleep(TICK_MS)) {
    const due = Math.min(total, Math.floor((client.elapsedMs() * perSecond) / 1000))
    for (; sent < due; sent++) client.post(next(), (sent * 1000) / perSecond)
  }
  return client.ended()
}

/** All requests are made before the first is sent, so that their making is not measured. */
async function sendBurst(url: string, { count, connections }: Of<"burst">, next: () => EventRequest): Promise<Sent> {
  const events = Array.from({ length: count }, next)
  const client = createClient(url, connections)
  for (const event of events) client.post(event, 0)
  return client.ended()
}

/** Sends requests over up to `connections` kept connections; times are those since its creation. */
function createClient(url: string, connections: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const startedAt = performance.now()
  const elapsedMs = (): number => performance.now() - startedAt
  const latenciesMs: number[] = []
  const statuses: Record<string, number> = {}
  const running = new Set<Promise<void>>()

  const answerTo = (event: EventRequest): Promise<number> =>
    new Promise((resolve, reject) => {
      const options = { method: "POST", agent, timeout: TIMEOUT_SECONDS * 1000, headers: headersOf(event) }
      const post = request(new URL(PATH, url), options, (response) => {
        response.once("end", () => resolve(response.statusCode ?? 0)).once("error", reject)
        response.resume()
      })
      post.once("timeout", () => post.destroy(new Error("no answer in time"))).once("error", reject)
      post.end(event.body)
    })

  return {
    elapsedMs,
    post(event: EventRequest, dueAtMs: number): void {
      const answered = answerTo(event).then((status) => {
        latenciesMs.push(elapsedMs() - dueAtMs)
        statuses[status] = (statuses[status] ?? 0) + 1
        running.delete(answered)
      })
      running.add(answered)
    },
    async ended(): Promise<Sent> {
      await Promise.all(running)
      const result = { latenciesMs, elapsedMs: elapsedMs(), statuses }
      agent.destroy()
      return result
    },
  }
}

process.once("message", async (load: Load) => {
  const before = process.cpuUsage()
  const sent = await send(load)
  const { user, system } = process.cpuUsage(before)
  process.send?.({ ...sent, cpuMs: (user + system) / 1_000 } satisfies LoadResult, () => process.exit(0))
})
