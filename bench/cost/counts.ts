/** What an event, a nudge and an idle minute need, counted on the local world (`npm run cost -- --measure`). */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { z } from "zod"

const FILE = fileURLToPath(new URL("./counts.json", import.meta.url))

const operations = z.object({
  /** Requests to the Worker. */
  workerRequests: z.number(),
  workerCpuMs: z.number(),
  postgresCpuMs: z.number(),
  postgresTrips: z.number(),
  redisCommands: z.number(),
  /** Messages that QStash delivered. */
  qstashMessages: z.number(),
  /** From Postgres to the Worker. */
  egressBytes: z.number(),
  /** Of tables and indexes. */
  storedBytes: z.number(),
  /** Of the write-ahead log, which a restore to a moment reads. */
  historyBytes: z.number(),
})

/** The operations of one thing that happens. */
export type Operations = z.infer<typeof operations>

export const EVENT_KINDS = ["known", "new", "failed"] as const
export type EventKind = (typeof EVENT_KINDS)[number]

const counts = z.object({
  measuredOn: z.iso.date(),
  machine: z.string(),
  /** One event each: of a known customer, of a customer not seen before, and a failed payment of one not seen before. */
  events: z.record(z.enum(EVENT_KINDS), operations),
  /** One nudge that is sent. */
  nudge: operations,
  /** One run of each scheduled job with nothing to do, by its name. */
  idleJobs: z.record(z.string(), operations),
})

export type Counts = z.infer<typeof counts>

/** The counts of the last measurement. */
export const readCounts = (): Counts => counts.parse(JSON.parse(readFileSync(FILE, "utf8")))

/** Replaces the counts. */
export const writeCounts = (measured: Counts): void => writeFileSync(FILE, `${JSON.stringify(measured, null, 2)}\n`)
