/**
 * Flags in Redis: one key each, as JSON, and a marker which shows that absent flags were never set. A change also adds
 * its audit entry to a list, until the entry is stored in Postgres.
 */
import * as z from "zod"
import { FLAG_NAMES, type FlagName, type FlagValue } from "../domain/flags.ts"
import type { RedisFlags, SetFlag, SetFlags } from "./flags.ts"

const MARKER = "flags:filled"
const PENDING = "flags:pending"
const keyOf = (name: FlagName): string => `flag:${name}`

/** A flag's value, as in both stores. */
export const flagValue = z.lazy(() =>
  z.object({
    enabled: z.boolean(),
    percentage: z.number().min(0).max(100),
    allow: z.array(z.string()),
    deny: z.array(z.string()),
  }),
) satisfies z.ZodType<FlagValue>

const setFlag = z.lazy(() =>
  z.object({
    value: flagValue,
    revision: z.number(),
    changeId: z.string(),
    updatedAt: z.string(),
    updatedBy: z.string(),
    reason: z.string().nullable(),
  }),
) satisfies z.ZodType<SetFlag>

const flagChange = z.lazy(() =>
  z.object({
    id: z.uuid(),
    name: z.enum(FLAG_NAMES),
    before: flagValue.nullable(),
    after: flagValue,
    who: z.string(),
    why: z.string().nullable(),
    at: z.string(),
    revision: z.number(),
  }),
)

/** One change of one flag: who, what and why. `before` is null when the flag was not set. */
export type FlagChange = z.infer<typeof flagChange>

/** The flag after a change. */
export const applyFlagChange = (change: FlagChange): SetFlag => ({
  value: change.after,
  revision: change.revision,
  changeId: change.id,
  updatedAt: change.at,
  updatedBy: change.who,
  reason: change.why,
})

/** The Redis commands that flags need. */
export interface FlagRedis {
  mget<Values extends unknown[]>(...keys: string[]): Promise<Values>
  eval(script: string, keys: string[], args: string[]): Promise<unknown>
  lrange(key: string, start: number, end: number): Promise<string[]>
  lrem(key: string, count: number, element: string): Promise<unknown>
}

/** The flags in Redis, in one round trip. */
export async function readFlagsInRedis(redis: Pick<FlagRedis, "mget">): Promise<RedisFlags> {
  const [marker, ...values] = await redis.mget<unknown[]>(MARKER, ...FLAG_NAMES.map(keyOf))
  const set: Partial<Record<FlagName, SetFlag>> = {}
  let isComplete = marker !== null && marker !== undefined
  for (const [index, name] of FLAG_NAMES.entries()) {
    const text = values[index]
    if (text === null || text === undefined) continue
    const flag = parsed(setFlag, text)
    if (flag === null) isComplete = false
    else set[name] = flag
  }
  return { set, isComplete }
}

/** Writes a flag unless Redis has a newer one: compare and set is atomic, so the order of writers does not matter. */
const SET_IF_NEWER = `
local function set_if_newer(key, text)
  local new, present = cjson.decode(text), redis.call("GET", key)
  local is_json, old = pcall(cjson.decode, present or "")
  if is_json and type(old) == "table" and type(old.revision) == "number" and
    (old.revision > new.revision or (old.revision == new.revision and old.changeId >= new.changeId)) then
    return 0
  end
  redis.call("SET", key, text)
  return 1
end
`

const SAVE = `${SET_IF_NEWER}
redis.call("RPUSH", KEYS[2], ARGV[2])
return set_if_newer(KEYS[1], ARGV[1])`

const FILL = `${SET_IF_NEWER}
local written = 0
for index = 2, #KEYS do written = written + set_if_newer(KEYS[index], ARGV[index]) end
redis.call("SET", KEYS[1], ARGV[1])
return written`

/** Writes a change and its audit entry, both or neither. Throws when Redis does not accept it. */
export async function saveChangeInRedis(redis: FlagRedis, change: FlagChange): Promise<void> {
  const texts = [JSON.stringify(applyFlagChange(change)), JSON.stringify(change)]
  await redis.eval(SAVE, [keyOf(change.name), PENDING], texts)
}

/** Writes the flags that Redis lacks or has older, and marks it as complete. */
export async function restoreRedisFlags(redis: FlagRedis, set: SetFlags): Promise<void> {
  const present = FLAG_NAMES.flatMap((name) =>
    set[name] ? [{ key: keyOf(name), text: JSON.stringify(set[name]) }] : [],
  )
  await redis.eval(FILL, [MARKER, ...present.map(({ key }) => key)], ["1", ...present.map(({ text }) => text)])
}

/** An audit entry that may not be in Postgres yet; `change` is null when the entry is not ours. */
export interface PendingChange {
  readonly text: string
  readonly change: FlagChange | null
}

/** Changes whose audit entry may not be in Postgres yet, oldest first. */
export const pendingChanges = async (redis: FlagRedis, max: number): Promise<readonly PendingChange[]> =>
  (await redis.lrange(PENDING, 0, max - 1)).map((text) => ({ text, change: parsed(flagChange, text) }))

/** Removes an audit entry that is in Postgres, with duplicates from writes whose reply was lost. */
export const removePending = (redis: FlagRedis, text: string): Promise<unknown> => redis.lrem(PENDING, 0, text)

/** The text of a change's pending audit entry. */
export const pendingKey = (change: FlagChange): string => JSON.stringify(change)

function parsed<Schema extends z.ZodType>(schema: Schema, text: unknown): z.output<Schema> | null {
  if (typeof text !== "string") return null
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null // not JSON
  }
}
