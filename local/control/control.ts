import type { IncomingMessage, ServerResponse } from "node:http"
import { z } from "zod"
import type { Mailbox } from "../channels/mailbox.ts"
import { FAULT_MODES, FAULT_TARGETS, type Faults, jsonReply, type Listening, type Reply, serve } from "../faults.ts"
import { headerOf, isLoopbackUrl } from "../loopback.ts"
import type { OwnKeys } from "../own-key.ts"
import { DurationError, type VirtualClock } from "../time/clock.ts"
import type { Heartbeats } from "../time/heartbeats.ts"
import { type AdvanceResult, AdvanceTimeout } from "./advance.ts"
import type { Stats } from "./stats.ts"

/** The parts that the control server controls. */
export type ControlParts = {
  readonly clock: VirtualClock
  readonly faults: Faults
  readonly mailbox: Mailbox
  readonly stats: Stats
  readonly heartbeats: Heartbeats
  /** Moves time by an ISO 8601 duration and resolves when all due work is done. */
  readonly advance: (duration: string) => Promise<AdvanceResult>
  /** Resolves when all due work is done. */
  readonly settle: () => Promise<void>
  /** Empties the world. */
  readonly reset: () => Promise<void>
  /** The addresses of the world's servers, by name. */
  readonly addresses?: () => Readonly<Record<string, string>>
  /** A company's own keys at the local replacements, for accounts of this name. */
  readonly ownKeys?: (name: string) => OwnKeys
  /** Default 8788; 0 for a free one. */
  readonly port?: number
}

/** The documented port. */
export const CONTROL_PORT = 8788

/** The request is invalid; answered 400 with this message. */
class BadInput extends Error {}

const advanceRequest = z.strictObject({ advance: z.string() })
const faultRequest = z.strictObject({ target: z.enum(FAULT_TARGETS), mode: z.enum(FAULT_MODES) })
const ownKeysRequest = z.strictObject({ account: z.string().regex(/^\w{1,32}$/) })
const heartbeatsRequest = z.strictObject({ running: z.union([z.literal("live"), z.array(z.string())]) })

/** Control requests are a line of JSON. */
const BODY_BYTES_MAX = 64 * 1024

/** Starts the control server, on the loopback interface only: mailbox, clock, faults, heartbeats, own keys, stats and reset. */
export function startControl(parts: ControlParts): Promise<Listening> {
  /** Moves and resets are serialized: each waits for the world to be idle. */
  let last: Promise<unknown> = Promise.resolve()
  function serialize<T>(act: () => Promise<T>): Promise<T> {
    const result = last.then(act, act)
    last = result.catch(() => {})
    return result
  }

  const routes = createRoutes(parts, serialize)

  async function answer(req: IncomingMessage): Promise<Reply> {
    if (!isLocalRequest(req)) return jsonReply({ error: "only pages of this machine may control it" }, 403)
    const path = (req.url ?? "/").split("?", 1)[0] ?? "/"
    const known = Object.hasOwn(routes, path) ? routes[path] : undefined
    if (!known) return jsonReply({ error: `no such path: ${path}` }, 404)
    const act = Object.hasOwn(known, req.method ?? "") ? known[req.method ?? ""] : undefined
    if (!act)
      return jsonReply({ error: `${req.method} is not for ${path}` }, 404, { allow: Object.keys(known).join(", ") })
    try {
      return jsonReply(await act(await readBody(req)))
    } catch (cause) {
      return refusalOf(cause)
    }
  }

  return serve(parts.port ?? CONTROL_PORT, async (req: IncomingMessage, res: ServerResponse) => {
    const { status, headers, body } = await answer(req)
    res.writeHead(status, headers).end(body)
  })
}

type Act = (body: string) => unknown
type Routes = Readonly<Record<string, Readonly<Record<string, Act>>>>

function createRoutes(
  { clock, faults, mailbox, stats, heartbeats, advance, settle, reset, addresses = () => ({}), ownKeys }: ControlParts,
  serialize: <T>(act: () => Promise<T>) => Promise<T>,
): Routes {
  const modes = () => Object.fromEntries(FAULT_TARGETS.map((target) => [target, faults.mode(target)]))
  return {
    "/": { GET: () => ({ addresses: addresses() }) },
    "/mailbox": {
      GET: () => ({ messages: mailbox.messages, calls: mailbox.calls }),
      DELETE() {
        mailbox.clear()
        return { messages: [], calls: [] }
      },
    },
    "/clock": {
      GET: () => ({ now: clock.now().toISOString(), offsetMs: clock.offsetMs() }),
      async POST(body) {
        const request = read(advanceRequest, body)
        const { now, pending } = await serialize(() => advance(request.advance))
        return { now: now.toISOString(), ...(pending === null ? {} : { pending }) }
      },
    },
    "/faults": {
      GET: modes,
      POST(body) {
        const { target, mode } = read(faultRequest, body)
        faults.set(target, mode)
        return modes()
      },
    },
    "/heartbeats": {
      GET: () => ({ running: heartbeats.running() }),
      POST(body) {
        heartbeats.set(read(heartbeatsRequest, body).running)
        return { running: heartbeats.running() }
      },
    },
    "/own-keys": {
      POST: (body) => ownKeys?.(read(ownKeysRequest, body).account) ?? {},
    },
    "/settle": {
      async POST() {
        await serialize(settle)
        return { now: clock.now().toISOString() }
      },
    },
    "/stats": {
      GET: () => stats.all(),
      DELETE() {
        stats.clear()
        return stats.all()
      },
    },
    "/reset": {
      async POST() {
        await serialize(reset)
        return { now: clock.now().toISOString() }
      },
    },
  }
}

function read<T>(schema: z.ZodType<T>, body: string): T {
  const parsed = schema.safeParse(parseJson(body))
  if (parsed.success) return parsed.data
  throw new BadInput(parsed.error.issues.map(({ path, message }) => [...path, message].join(": ")).join("; "))
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new BadInput("body is not JSON", { cause })
  }
}

function refusalOf(cause: unknown): Reply {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (cause instanceof BadInput || cause instanceof DurationError) return jsonReply({ error: message }, 400)
  if (cause instanceof AdvanceTimeout) return jsonReply({ error: message }, 504)
  return jsonReply({ error: message }, 500)
}

/** A page of another site in a browser can reach this port too; it must not control the world. */
function isLocalRequest(req: IncomingMessage): boolean {
  const origin = headerOf(req, "origin")
  return origin === null || (URL.canParse(origin) && isLoopbackUrl(new URL(origin)))
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES_MAX) throw new BadInput("body is too large")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}
