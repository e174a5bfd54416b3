import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import type { DeadLetter, Message, MessageSpec } from "./message.ts"

/** A schedule: its message, and when it is published. */
export type Schedule = {
  readonly scheduleId: string
  readonly cron: string
  readonly createdAtMs: number
  readonly spec: MessageSpec
  isPaused: boolean
  lastAtMs: number | null
  nextAtMs: number
}

/** A queue delivers in order, `parallelism` at a time. */
export type QueueSettings = { parallelism: number; isPaused: boolean }

/** The state that survives a restart. */
export type QstashState = {
  readonly messages: Map<string, Message>
  readonly dead: Map<string, DeadLetter>
  readonly schedules: Map<string, Schedule>
  readonly queues: Map<string, QueueSettings>
  readonly deduplication: Map<string, { readonly messageId: string; readonly untilMs: number }>
  readonly pausedKeys: Set<string>
  sequence: number
}

/** An empty state. */
export function emptyState(): QstashState {
  return {
    messages: new Map(),
    dead: new Map(),
    schedules: new Map(),
    queues: new Map(),
    deduplication: new Map(),
    pausedKeys: new Set(),
    sequence: 0,
  }
}

type Snapshot = {
  readonly messages: readonly [string, Message][]
  readonly dead: readonly [string, DeadLetter][]
  readonly schedules: readonly [string, Schedule][]
  readonly queues: readonly [string, QueueSettings][]
  readonly deduplication: readonly [string, { messageId: string; untilMs: number }][]
  readonly pausedKeys: readonly string[]
  readonly sequence: number
}

/**
 * Reads a snapshot; an empty state when there is none. Deliveries that were running when it was written are repeated.
 */
export function readState(file: string): QstashState {
  if (!existsSync(file)) return emptyState()
  const saved = JSON.parse(readFileSync(file, "utf8")) as Snapshot // our own file, written by `writeState`
  return {
    messages: new Map(saved.messages),
    dead: new Map(saved.dead),
    schedules: new Map(saved.schedules),
    queues: new Map(saved.queues),
    deduplication: new Map(saved.deduplication),
    pausedKeys: new Set(saved.pausedKeys),
    sequence: saved.sequence,
  }
}

/** Writes a snapshot atomically. */
export function writeState(file: string, state: QstashState): void {
  const snapshot: Snapshot = {
    messages: [...state.messages],
    dead: [...state.dead],
    schedules: [...state.schedules],
    queues: [...state.queues],
    deduplication: [...state.deduplication],
    pausedKeys: [...state.pausedKeys],
    sequence: state.sequence,
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(snapshot))
  renameSync(`${file}.new`, file)
}

/** Many messages in a short time cause one write. */
const SNAPSHOT_EVERY_MS = 1_000

/** Saves `state` to `file` at most once a second after changes, and at once on `flush`. Does nothing without a file. */
export function createSaver(file: string | undefined, state: QstashState): { touch(): void; flush(): void } {
  let timer: NodeJS.Timeout | null = null
  const flush = (): void => {
    if (timer) clearTimeout(timer)
    timer = null
    if (file) writeState(file, state)
  }
  return {
    flush,
    touch() {
      if (!file || timer) return
      timer = setTimeout(flush, SNAPSHOT_EVERY_MS)
      timer.unref()
    },
  }
}
