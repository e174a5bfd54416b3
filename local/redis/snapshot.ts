import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { z } from "zod"
import { float, floatText } from "./arguments.ts"
import type { Engine } from "./engine.ts"
import type { Entry, Value } from "./store.ts"

/** The most that is lost when the process is killed. */
const SAVE_EVERY_MS = 1_000

/** Stores a database in a file. */
export type Snapshots = {
  /** To be called after a possible change, which is written within a second. */
  changed(): void
  /** Writes unsaved changes and stops. */
  stop(): void
}

/** Loads `file` into the engine if it exists, and keeps it updated. Throws when the file cannot be read. */
export function keepSnapshots(engine: Engine, file: string): Snapshots {
  if (existsSync(file)) {
    for (const { key, value, expiresAtMs } of load(file)) engine.store.put(key, unpack(value), expiresAtMs)
  }
  let savedRevision = engine.revision
  let timer: NodeJS.Timeout | undefined

  function save(): void {
    timer = undefined
    if (engine.revision === savedRevision) return
    savedRevision = engine.revision
    mkdirSync(dirname(file), { recursive: true })
    // Written to another file and renamed: a kill in between leaves the former file intact.
    writeFileSync(`${file}.new`, JSON.stringify(engine.store.entries().map(pack)))
    renameSync(`${file}.new`, file)
  }

  return {
    changed() {
      if (engine.revision !== savedRevision) timer ??= setTimeout(save, SAVE_EVERY_MS).unref()
    },
    stop() {
      clearTimeout(timer)
      save()
    },
  }
}

/** JSON has no maps, sets and infinite scores. */
const savedValue = z.discriminatedUnion("type", [
  z.object({ type: z.literal("string"), text: z.string() }),
  z.object({ type: z.literal("hash"), fields: z.array(z.tuple([z.string(), z.string()])) }),
  z.object({ type: z.literal("list"), items: z.array(z.string()) }),
  z.object({ type: z.literal("set"), members: z.array(z.string()) }),
  z.object({ type: z.literal("zset"), scores: z.array(z.tuple([z.string(), z.string()])) }),
  z.object({
    type: z.literal("stream"),
    entries: z.array(z.object({ id: z.object({ ms: z.number(), seq: z.number() }), fields: z.array(z.string()) })),
    lastId: z.object({ ms: z.number(), seq: z.number() }),
  }),
])
type SavedValue = z.infer<typeof savedValue>
const savedEntries = z.array(z.object({ key: z.string(), value: savedValue, expiresAtMs: z.number().optional() }))

function load(file: string): z.infer<typeof savedEntries> {
  try {
    return savedEntries.parse(JSON.parse(readFileSync(file, "utf8")))
  } catch (cause) {
    throw new Error(`the Redis snapshot ${file} cannot be read; delete it to start empty`, { cause })
  }
}

function pack({ key, value, expiresAtMs }: Entry): object {
  return { key, value: packValue(value), expiresAtMs }
}

function packValue(value: Value): SavedValue | Value {
  switch (value.type) {
    case "hash":
      return { type: "hash", fields: [...value.fields] }
    case "set":
      return { type: "set", members: [...value.members] }
    case "zset":
      return { type: "zset", scores: [...value.scores].map(([member, score]) => [member, floatText(score)]) }
    default:
      return value
  }
}

function unpack(value: SavedValue): Value {
  switch (value.type) {
    case "hash":
      return { type: "hash", fields: new Map(value.fields) }
    case "set":
      return { type: "set", members: new Set(value.members) }
    case "zset":
      return { type: "zset", scores: new Map(value.scores.map(([member, score]) => [member, float(score)])) }
    default:
      return value
  }
}
