import { z } from "zod"
import { type Faults, jsonReply, type Reply, type StandInRequest, serve } from "../faults.ts"
import { createEngine, type Engine } from "./engine.ts"
import { RedisError, type RedisReply, Status } from "./reply.ts"
import { keepSnapshots } from "./snapshot.ts"

/** A running local replacement of Upstash Redis, for `new Redis({ url, token })`. */
export type Redis = {
  readonly url: string
  readonly token: string
  /** Writes the snapshot and stops. */
  stop(): Promise<void>
}

export type RedisOptions = {
  /** Default: a free one. */
  readonly port?: number
  /** Requests with another bearer token are answered 401. */
  readonly token: string
  readonly faults: Faults
  /** The clock of expiry, TIME and stream ids, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number
  /** The file in which data survives a restart. */
  readonly snapshotFile?: string | undefined
  /** Called once for every request that reaches the database, so that a test can count round trips. */
  readonly onRequest?: ((request: { readonly commands: number }) => void) | undefined
}

const word = z.union([z.string(), z.number(), z.boolean(), z.null()]).transform(String)
const command = z.array(word).min(1)
const commandList = z.array(command)

/**
 * Serves Upstash's REST protocol over a small Redis of our own: a command, a pipeline or a transaction per request.
 * Commands run in sequence, so transactions and scripts are atomic. Streams have no consumer groups, numbers are exact
 * up to 2^53, and values are text.
 */
export async function startRedis(setup: RedisOptions): Promise<Redis> {
  const { port, token, faults, now = Date.now, snapshotFile, onRequest } = setup
  const engine = createEngine(now)
  const snapshots = snapshotFile === undefined ? undefined : keepSnapshots(engine, snapshotFile)

  const server = await serve(port, (req, res) =>
    faults.intercept("redis", req, res, (body) => {
      try {
        return handleRedis(req, body, { engine, token, onRequest })
      } finally {
        snapshots?.changed()
      }
    }),
  )
  return {
    url: server.url,
    token,
    async stop() {
      await server.stop()
      snapshots?.stop()
    },
  }
}

/** Answers one request, without a server. */
export function handleRedis(
  req: StandInRequest,
  body: Buffer,
  { engine, token, onRequest }: { readonly engine: Engine } & Pick<RedisOptions, "token" | "onRequest">,
): Reply {
  if (req.headers.authorization !== `Bearer ${token}`) {
    return jsonReply({ error: "WRONGPASS invalid or missing auth token" }, 401)
  }
  const write = req.headers["upstash-encoding"] === "base64" ? base64 : plain
  try {
    const work = workOf(req, body)
    onRequest?.({ commands: work.commands.length })
    const result = perform(engine, work, write)
    return jsonReply(result, 200, { "upstash-sync-token": String(engine.revision) })
  } catch (error) {
    if (error instanceof RedisError) return jsonReply({ error: error.message }, 400)
    throw error
  }
}

type Work = { readonly kind: "single" | "pipeline" | "transaction"; readonly commands: readonly string[][] }

function workOf(req: StandInRequest, body: Buffer): Work {
  switch (req.url) {
    case "/pipeline":
      return { kind: "pipeline", commands: parse(commandList, body) }
    case "/multi-exec":
      return { kind: "transaction", commands: parse(commandList, body) }
    default:
      return { kind: "single", commands: [parse(command, body)] }
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, body: Buffer): z.infer<Schema> {
  try {
    return schema.parse(JSON.parse(body.toString("utf8")))
  } catch {
    throw new RedisError("ERR failed to parse the request: expected a command or a list of commands as JSON")
  }
}

type Written = string | number | null | readonly Written[]

function perform(engine: Engine, { kind, commands }: Work, write: (text: string) => string): unknown {
  if (kind === "single") return { result: written(engine.execute(commands[0] ?? []), write) }
  if (kind === "transaction") checkAll(engine, commands)
  return commands.map((argv) => {
    try {
      return { result: written(engine.execute(argv), write) }
    } catch (error) {
      if (error instanceof RedisError) return { error: error.message } // the commands after it still run
      throw error
    }
  })
}

/** A transaction with an invalid command does nothing. */
function checkAll(engine: Engine, commands: readonly string[][]): void {
  try {
    for (const argv of commands) engine.check(argv)
  } catch (error) {
    if (!(error instanceof RedisError)) throw error
    throw new RedisError(`EXECABORT Transaction discarded because of: ${error.message}`)
  }
}

function written(reply: RedisReply, write: (text: string) => string): Written {
  if (reply === null || typeof reply === "number") return reply
  if (typeof reply === "string") return write(reply)
  if (reply instanceof Status) return write(reply.text)
  if (reply instanceof RedisError) return write(reply.message) // an error within a script's list has no other place
  return reply.map((item) => written(item, write))
}

const plain = (text: string): string => text

/** `OK` is not encoded; clients rely on that. */
const base64 = (text: string): string => (text === "OK" ? text : Buffer.from(text, "utf8").toString("base64"))
