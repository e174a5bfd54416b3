import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import type { DeadMessage, Message, MessageSpec } from "./message.ts"

/** A schedule: the message it makes, and when. */
export type Schedule = {
  readonly scheduleId: string
  readonly cron: string
  readonly createdAtMs: number
  readonly spec: MessageSpec
  isPaused: boolean
  lastAtMs: number | null
  nextAtMs: number
}

/** A queue delivers in order, so many at a time. */
export type QueueSettings = { parallelism: number; isPaused: boolean }

/** All that must survive a restart. */
export type QstashState = {
  readonly messages: Map<string, Message>
  readonly dead: Map<string, DeadMessage>
  readonly schedules: Map<string, Schedule>
  readonly queues: Map<string, QueueSettings>
  readonly deduplication: Map<string, { readonly messageId: string; readonly untilMs: number }>
  readonly pausedKeys: Set<string>
  sequence: number
}

/** A state with nothing in it. */
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
  readonly dead: readonly [string, DeadMessage][]
  readonly schedules: readonly [string, Schedule][]
  readonly queues: readonly [string, QueueSettings][]
  readonly deduplication: readonly [string, { messageId: string; untilMs: number }][]
  readonly pausedKeys: readonly string[]
  readonly sequence: number
}

/** Reads a snapshot; an empty state when there is none. What was being delivered when it was written goes out again. */
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

/** Writes a snapshot, whole or not at all. */
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

/** A burst of messages must not write the file each time. */
const SNAPSHOT_EVERY_MS = 1_000

/** Saves `state` to `file` at most once a second after a change, and at once when asked. Without a file: does nothing. */
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
