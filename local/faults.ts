import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"

/** The external services that can be made to fail. */
export const FAULT_TARGETS = [
  "postgres",
  "redis",
  "qstash",
  "email",
  "sms",
  "push",
  "dm",
  "slack",
  "stripe-api",
  "whop-api",
  "openrouter",
] as const
export type FaultTarget = (typeof FAULT_TARGETS)[number]

/**
 * How a target fails. What matters to a caller is whether the effect happened:
 *
 * | mode  | effect    | what the client sees                                                   |
 * | ----- | --------- | ---------------------------------------------------------------------- |
 * | down  | no        | connection reset for our own stores, HTTP 503 for channels and providers |
 * | slow  | yes, late | the usual answer after `SLOW_MS`                                       |
 * | error | no        | HTTP 500 at once                                                       |
 * | hang  | no        | nothing, until the client gives up or the mode changes                 |
 * | drop  | yes       | connection reset: the effect happened and its answer was lost          |
 * | off   | yes       | the usual answer                                                       |
 */
export const FAULT_MODES = ["down", "slow", "error", "hang", "drop", "off"] as const
export type FaultMode = (typeof FAULT_MODES)[number]

/** The parts of a request, besides its body, that a local replacement reads. `url` is the path with its query. */
export type StandInRequest = Pick<IncomingMessage, "method" | "url" | "headers">

/** An HTTP answer as a value, so that a fault can drop it after the effect has happened. */
export type Reply = {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** The fault switches that all local replacements of one world share. */
export type Faults = {
  /** Sets the mode of `target`. Requests that hang because of the former mode are reset. */
  set(target: FaultTarget, mode: FaultMode): void
  /** The mode of `target`; `off` when none was set. */
  mode(target: FaultTarget): FaultMode
  /** Sets every target to `off`; returns whether a fault was set since the last time. */
  clear(): boolean
  /** The requests begun so far, and how many are in progress, without hanging ones. */
  activity(): { readonly begun: number; readonly underWay: number }
  /**
   * Answers one request according to the mode of `target`. `perform` gets the whole body, performs the effect and
   * returns the answer; it is not called when the mode allows no effect. The mode is read once, after the body has
   * arrived (for `down`, before). Never rejects: an error of `perform` becomes HTTP 500 with its message as text.
   */
  intercept(
    target: FaultTarget,
    req: IncomingMessage,
    res: ServerResponse,
    perform: (body: Buffer) => Promise<Reply> | Reply,
  ): Promise<void>
}

/** Longer than the Worker's time-outs for its stores, shorter than those of tests. */
export const SLOW_MS = 3_000

/** Neon's limit for one request, the largest of the replaced services. */
const BODY_BYTES_MAX = 64 * 1024 * 1024

/** Longer than any client keeps an idle connection: closing one while it sends would be an unintended fault. */
const KEEP_ALIVE_MS = 65_000

/** In production these are reached directly; when they are down, nothing answers 503. */
const RESETS_WHEN_DOWN: ReadonlySet<FaultTarget> = new Set(["postgres", "redis", "qstash"])

/** A JSON answer. `status` defaults to 200. */
export function jsonReply(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) }
}

/** A plain text answer. */
export function textReply(text: string, status: number): Reply {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: text }
}

/**
 * Creates switches, all `off`. `slowMs` shortens the delay of `slow` for tests. `onTurnedAway` is called for each
 * request that has no effect because of a fault.
 */
export function createFaults({
  slowMs = SLOW_MS,
  onTurnedAway = () => {},
}: {
  readonly slowMs?: number
  readonly onTurnedAway?: (target: FaultTarget) => void
} = {}): Faults {
  const modes = new Map<FaultTarget, FaultMode>()
  const hanging = new Map<FaultTarget, Set<IncomingMessage>>()
  let begun = 0
  let underWay = 0
  let wasSet = false

  const modeOf = (target: FaultTarget): FaultMode => modes.get(target) ?? "off"

  function set(target: FaultTarget, mode: FaultMode): void {
    const changed = modeOf(target) !== mode
    modes.set(target, mode)
    if (!changed) return
    wasSet = true
    for (const req of hanging.get(target) ?? []) cutOff(req)
    hanging.delete(target)
  }

  function keepHanging(target: FaultTarget, req: IncomingMessage): void {
    const requests = hanging.get(target) ?? new Set()
    hanging.set(target, requests.add(req))
    req.socket.once("close", () => requests.delete(req))
  }

  async function answerUnder(
    mode: FaultMode,
    { target, req, res }: { target: FaultTarget; req: IncomingMessage; res: ServerResponse },
    perform: () => Promise<Reply>,
  ): Promise<void> {
    if (mode === "down" || mode === "error" || mode === "hang") onTurnedAway(target)
    switch (mode) {
      case "down":
        return RESETS_WHEN_DOWN.has(target) ? cutOff(req) : send(res, textReply(`${target} is unavailable`, 503))
      case "error":
        return send(res, textReply(`${target} failed`, 500))
      case "hang":
        return keepHanging(target, req)
      case "drop":
        await perform()
        return cutOff(req)
      case "slow":
        await sleep(slowMs)
        return send(res, await perform())
      case "off":
        return send(res, await perform())
      default:
        return mode satisfies never
    }
  }

  const intercept: Faults["intercept"] = async (target, req, res, perform) => {
    if (modeOf(target) === "down" && RESETS_WHEN_DOWN.has(target)) {
      onTurnedAway(target)
      return cutOff(req)
    }
    const body = await readBody(req)
    if (body === "aborted") return
    if (body === "too_large") return send(res, textReply("request body too large", 413))
    await answerUnder(modeOf(target), { target, req, res }, async () => {
      try {
        return await perform(body)
      } catch (cause) {
        return textReply(cause instanceof Error ? cause.message : String(cause), 500)
      }
    })
  }

  return {
    set,
    mode: modeOf,
    clear() {
      for (const target of FAULT_TARGETS) set(target, "off")
      const result = wasSet
      wasSet = false
      return result
    },
    activity: () => ({ begun, underWay }),
    async intercept(target, req, res, perform) {
      begun += 1
      underWay += 1
      try {
        await intercept(target, req, res, perform)
      } finally {
        underWay -= 1
      }
    },
  }
}

/** The address of a local server, and how to stop it. */
export type Listening = { readonly port: number; readonly url: string; stop(): Promise<void> }

/**
 * Serves `handle` over HTTP on 127.0.0.1, by default on a free port. Rejects when the port is taken. `stop` closes open
 * connections, so that a hanging request does not delay it.
 */
export async function serve(
  port: number | undefined,
  handle: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
): Promise<Listening> {
  const server = createServer((req, res) => void handle(req, res))
  server.keepAliveTimeout = KEEP_ALIVE_MS
  await new Promise<void>((done, fail) => {
    server.once("error", fail)
    server.listen(port ?? 0, "127.0.0.1", done)
  })
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("not listening on a TCP port")
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    stop: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

/** A reset, not an orderly close, which a client could take for an empty answer. */
function cutOff(req: IncomingMessage): void {
  req.socket.resetAndDestroy()
}

function send(res: ServerResponse, reply: Reply): void {
  if (res.destroyed) return // the client disconnected; the effect remains
  res.writeHead(reply.status, { ...reply.headers, "content-length": Buffer.byteLength(reply.body) })
  res.end(reply.body)
}

async function readBody(req: IncomingMessage): Promise<Buffer | "aborted" | "too_large"> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size <= BODY_BYTES_MAX) chunks.push(chunk)
    }
  } catch {
    return "aborted"
  }
  return size > BODY_BYTES_MAX ? "too_large" : Buffer.concat(chunks)
}
