/**
 * `/dashboard/changes`: what changes in the company's cases, as server-sent events, for pages that show them. Upstash's REST
 * interface cannot wait for an entry, so the stream is read every few seconds; it ends after two minutes, and the browser connects
 * again with the id of the last event. The cost is bounded by the number of readings, of streams and by the length of the stream.
 */
import { Hono } from "hono"
import type { CaseChange } from "../../shared/domain/recovery/case-changes.ts"
import { textStream } from "../../shared/text-stream.ts"
import { AppError } from "../platform/errors.ts"
import { requirePermission } from "../platform/http/auth.ts"
import { enforceCompanyLimit } from "../platform/limits/companies.ts"
import { changeStreamsLimit } from "../platform/limits/limits.ts"
import { type Beginning, beginReading, type ReadChanges, readChanges } from "../platform/live/changes.ts"
import type { DashboardEnv } from "./page.tsx"

/** A page shows a change within some seconds. */
const READ_EVERY_MS = 4_000

/** Two minutes. An invocation has fifty subrequests on the free plan. */
const READINGS_MAX = 30

/** Isolates that did not write changes until now do by then: flags, with which they learn it, are that old at most. */
const READINGS_UNTIL_WRITTEN = 3

/** One command, and its one retry. */
const READING_SUBREQUESTS = 2

const RECONNECT_MS = 3_000

export const changes = new Hono<DashboardEnv>().get("/", async (c) => {
  const services = c.get("services")
  const { principal } = c.get("viewer")
  const { companyId } = principal
  requirePermission(principal, "cases:read")
  await enforceCompanyLimit(c, changeStreamsLimit, companyId)
  const beginning = await beginReading(services, companyId, c.req.header("last-event-id") ?? null).catch((cause) => {
    throw new AppError("UNAVAILABLE", "Changes cannot be read at the moment.", { reason: "redis_away", cause })
  })
  const events = changeEvents(beginning, {
    read: (position) => readChanges(services, companyId, position).catch(() => null),
    mayRead: () => services.budget.hasRoomFor(READING_SUBREQUESTS),
    pause: () => new Promise((resolve) => setTimeout(resolve, READ_EVERY_MS)),
  })
  return c.body(textStream(events), 200, { "content-type": "text/event-stream" })
})

interface Reading {
  /** Null when Redis did not answer. */
  readonly read: (position: string) => Promise<ReadChanges | null>
  readonly mayRead: () => boolean
  readonly pause: () => Promise<unknown>
}

/** The events of one connection. An event without changes means that any case may have changed. */
export async function* changeEvents({ position, isNew }: Beginning, use: Reading): AsyncGenerator<string> {
  yield `retry: ${RECONNECT_MS}\nid: ${position}\n\n`
  let last = position
  for (let reading = 1; reading <= READINGS_MAX; reading++) {
    await use.pause()
    if (!use.mayRead()) return
    const read = await use.read(last)
    if (isNew && reading === READINGS_UNTIL_WRITTEN) yield eventOf(read?.position ?? last, [])
    else if (read !== null && read.changes.length > 0) yield eventOf(read.position, read.changes)
    // Shows whether the browser is still there.
    else yield ":\n\n"
    last = read?.position ?? last
  }
}

const eventOf = (position: string, found: readonly CaseChange[]): string =>
  `id: ${position}\ndata: ${JSON.stringify(found)}\n\n`
