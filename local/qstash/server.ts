import { type Faults, jsonReply, type Reply, type StandInRequest, serve } from "../faults.ts"
import { headerOf } from "../loopback.ts"
import type { VirtualClock } from "../time/clock.ts"
import { createEngine, type Engine, type EngineOptions } from "./engine.ts"
import type { Message } from "./message.ts"
import { type ApiRequest, handleRequest, type SigningKeys } from "./routes.ts"
import { isSilent } from "./runner.ts"

/** A running local replacement of Upstash QStash. */
export type Qstash = {
  readonly url: string
  /** Starts deliveries; until then messages are accepted and wait. */
  release(): void
  /** Stops delivering until `release()`, so that the receiver can be stopped first without failed attempts. */
  hold(): void
  /** When the next message is due, without schedules. */
  nextDueAt(): Date | null
  /** The first slot at or after `instant` of the schedule with this id or whose destination path ends with it. */
  slotOf(name: string, instant: Date): Date | null
  /** Publishes the schedules that are due and on, although heartbeats may not be live. */
  fireSchedules(): void
  /** Whether Cron Triggers must take over a schedule with this cron, because it is on and QStash delivers nothing. */
  isMissed(cron: string): boolean
  /** Starts every due message, and those of due schedules while heartbeats are live. */
  fireDue(): Promise<void>
  /** Resolves when no delivery is running and no due one can start. */
  idle(): Promise<void>
  /** Deletes messages, dead letters and deduplication, and restores the initial signing keys; schedules stay. */
  clear(): void
  /** Aborts deliveries and saves; the aborted ones are repeated after the next start. */
  stop(): Promise<void>
}

/** The options of the local replacement. */
export type QstashOptions = {
  readonly clock: VirtualClock
  readonly faults: Faults
  readonly heartbeats?: EngineOptions["heartbeats"]
  readonly token: string
  readonly currentSigningKey: string
  readonly nextSigningKey: string
  readonly port?: number
  /** The file for its state between runs; without it nothing is kept. */
  readonly stateFile?: string | undefined
  /** Signs with the next key, as after a rotation that the receiver does not know of. */
  readonly signWith?: "current" | "next"
  readonly onRequest?: () => void
  readonly onDelivery?: () => void
  /** For tests of at-least-once delivery: the number of extra deliveries of this attempt at the same time. */
  readonly duplicates?: (message: Message) => number
}

/** Starts the local replacement. It delivers to this machine only, and nothing before `release()`. */
export async function startQstash(options: QstashOptions): Promise<Qstash> {
  const { clock, faults } = options
  const keys: SigningKeys = { current: options.currentSigningKey, next: options.nextSigningKey }
  const engine = createEngine({
    clock,
    faults,
    heartbeats: options.heartbeats,
    signingKey: () => (options.signWith === "next" ? keys.next : keys.current),
    stateFile: options.stateFile,
    duplicates: options.duplicates,
    onDelivery: options.onDelivery,
  })
  const server = await serve(options.port, (req, res) => {
    return faults.intercept("qstash", req, res, (body): Reply => {
      options.onRequest?.()
      return handleQstash(req, body, { engine, clock, keys, token: options.token })
    })
  })
  return {
    url: server.url,
    release: engine.runner.release,
    hold: engine.runner.hold,
    nextDueAt: engine.runner.nextDueAt,
    slotOf: (name, instant) => slotOf(engine, name, instant),
    isMissed: (cron) => isSilent(faults) && engine.scheduler.isOn(cron),
    fireSchedules: engine.scheduler.fireDue,
    async fireDue() {
      engine.runner.fireDue()
    },
    idle: engine.runner.idle,
    clear() {
      engine.clear()
      keys.current = options.currentSigningKey
      keys.next = options.nextSigningKey
    },
    async stop() {
      await server.stop()
      await engine.stop()
    },
  }
}

/** Answers one request, without a server. */
export function handleQstash(
  req: StandInRequest,
  body: Buffer,
  { token, ...world }: Parameters<typeof handleRequest>[1] & { readonly token: string },
): Reply {
  if (headerOf(req, "authorization") !== `Bearer ${token}`) return jsonReply({ error: "unauthorized" }, 401)
  return handleRequest(callOf(req.method ?? "GET", req.url ?? "/", new Headers(flat(req.headers)), body), world)
}

function slotOf(engine: Engine, name: string, instant: Date): Date | null {
  for (const schedule of engine.state.schedules.values()) {
    const isMeant = schedule.scheduleId === name || new URL(schedule.spec.url).pathname.endsWith(`/${name}`)
    if (isMeant && !schedule.isPaused) return engine.scheduler.slotAtOrAfter(schedule, instant)
  }
  return null
}

/** The URL is kept unparsed: a destination in its path must not be normalised, and includes its query. */
function callOf(method: string, rawUrl: string, headers: Headers, body: Buffer): ApiRequest {
  const [path = "/"] = rawUrl.split("?", 1)
  return { method, rawUrl, path, query: new URLSearchParams(rawUrl.slice(path.length)), headers, body }
}

function flat(headers: NodeJS.Dict<string | string[]>): [string, string][] {
  return Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : (value ?? "")])
}
