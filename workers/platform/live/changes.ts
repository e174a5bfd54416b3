/**
 * The stream of a company's changes in Redis, as its readers use it. It exists while a page reads it, and three minutes longer,
 * so that a reader that connects again continues where it was. Entries have ids, kinds and statuses only.
 */
import * as z from "zod"
import type { CaseChange } from "../../../shared/domain/recovery/case-changes.ts"
import type { Services } from "../services.ts"
import { rememberWatching, WATCHED_KEY } from "./watching.ts"

/** A connection lasts two minutes; the browser reconnects within seconds. */
const KEEP_SECONDS = 180

/** More than a reader that is away for a minute has to know: it loads its page again. */
const CHANGES_MAX = 200
export const CHANGES_TRIM = { type: "MAXLEN", comparison: "~", threshold: CHANGES_MAX } as const

export const changesKey = (companyId: string): string => `live:changes:${companyId}`

/** Ids of Redis' streams. */
const POSITION = /^\d{1,15}-\d{1,10}$/

export interface Beginning {
  /** The id of the entry after which the reader continues. */
  readonly position: string
  /** There was no stream before. Isolates start to write changes only after their flags cache expires, within seconds. */
  readonly isNew: boolean
}

const begun = z.tuple([z.number(), z.unknown(), z.string(), z.unknown()])

/** Begins to read, after `lastPosition` if that is one. Throws when Redis does not answer. */
export async function beginReading(
  { redis, now }: Services,
  companyId: string,
  lastPosition: string | null,
): Promise<Beginning> {
  const key = changesKey(companyId)
  const pipeline = redis.pipeline()
  pipeline.exists(key)
  pipeline.set(WATCHED_KEY, "1", { ex: KEEP_SECONDS })
  pipeline.xadd(key, "*", { reader: "new" }, { trim: CHANGES_TRIM })
  pipeline.expire(key, KEEP_SECONDS)
  const [present, , position] = begun.parse(await pipeline.exec())
  rememberWatching(true, now().getTime())
  return {
    position: lastPosition !== null && POSITION.test(lastPosition) ? lastPosition : position,
    isNew: present === 0,
  }
}

/** What Redis answers: for each key its entries, of which each has fields and values in turn. */
const answer = z.lazy(() =>
  z
    .array(z.tuple([z.string(), z.array(z.tuple([z.string(), z.array(z.string())]))]))
    .nullish()
    .transform((streams) => streams?.[0]?.[1] ?? []),
)

const change = z.object({
  caseId: z.string(),
  kind: z.enum(["payment", "cancellation", "at_risk"]),
  status: z.enum(["open", "recovered", "lost", "reversed"]),
}) satisfies z.ZodType<CaseChange>

export interface ReadChanges {
  readonly position: string
  readonly changes: readonly CaseChange[]
}

/** The changes after a position. Throws when Redis does not answer. */
export async function readChanges({ redis }: Services, companyId: string, position: string): Promise<ReadChanges> {
  const entries = answer.parse(await redis.xread(changesKey(companyId), position, { count: CHANGES_MAX }))
  return {
    position: entries.at(-1)?.[0] ?? position,
    changes: entries.flatMap(([, fields]) => change.safeParse(objectOf(fields)).data ?? []),
  }
}

const objectOf = (fields: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(fields.flatMap((name, place) => (place % 2 === 0 ? [[name, fields[place + 1] ?? ""]] : [])))
