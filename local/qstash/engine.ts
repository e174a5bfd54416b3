import { createHash, randomBytes } from "node:crypto"
import type { Faults } from "../faults.ts"
import type { VirtualClock } from "../time/clock.ts"
import { createHeartbeats, type Heartbeats } from "../time/heartbeats.ts"
import { type Attempt, callbackBody, deliver, headerLists, isNonRetryable } from "./delivery.ts"
import type { CallbackSpec, DeadLetter, Message, MessageSpec } from "./message.ts"
import { defaultRetryDelayMs, evaluateRetryDelayMs, requestedRetryDelayMs } from "./retry-delay.ts"
import { createRunner, type Runner } from "./runner.ts"
import { createScheduler, type Scheduler } from "./scheduler.ts"
import { createSaver, emptyState, type QstashState, readState } from "./state.ts"

/** One line of the message log. */
export type QstashEvent = {
  readonly time: number
  readonly messageId: string
  readonly url: string
  readonly state: "CREATED" | "ACTIVE" | "RETRY" | "DELIVERED" | "ERROR" | "FAILED" | "CANCELED"
  readonly error?: string
}

/** The queue, without its HTTP interface. */
export type Engine = {
  readonly state: QstashState
  readonly events: readonly QstashEvent[]
  readonly runner: Runner
  readonly scheduler: Scheduler
  /** Accepts a message; a duplicate within the window gets the first one's id. */
  accept(spec: MessageSpec): { readonly messageId: string; readonly isDuplicate: boolean }
  /** Drops a waiting message. A running attempt finishes, and its result is ignored. */
  cancel(messageId: string): boolean
  /** Sends a dead letter again, with a new id. Null when there is none. */
  redrive(dlqId: string): string | null
  /** To be called after a change of the state: saves it and starts due messages. */
  changed(): void
  /** Deletes all messages; schedules stay. */
  clear(): void
  stop(): Promise<void>
}

/** The options of an engine. */
export type EngineOptions = {
  readonly clock: VirtualClock
  readonly faults: Faults
  /** By default live. */
  readonly heartbeats?: Heartbeats | undefined
  /** The current signing key. */
  readonly signingKey: () => string
  readonly stateFile?: string | undefined
  /** For tests of at-least-once delivery: the number of extra deliveries of this attempt at the same time. */
  readonly duplicates?: ((message: Message) => number) | undefined
  readonly onDelivery?: (() => void) | undefined
  /** How and when messages are delivered; by default with `fetch` and real timers. */
  readonly deliver?: typeof deliver | undefined
  readonly makeRunner?: typeof createRunner | undefined
}

/** The documented window; after it the same id is a new message. */
const DEDUPLICATION_MS = 10 * 60 * 1_000
const EVENTS_MAX = 1_000

/** Creates the queue. Nothing is delivered before `runner.release()`. */
export function createEngine(options: EngineOptions): Engine {
  const {
    clock,
    heartbeats = createHeartbeats(),
    deliver: deliverMessage = deliver,
    makeRunner = createRunner,
  } = options
  const state = options.stateFile ? readState(options.stateFile) : emptyState()
  const saver = createSaver(options.stateFile, state)
  const events: QstashEvent[] = []
  const nowMs = (): number => clock.now().getTime()

  function log(message: Message, kind: QstashEvent["state"], error?: string): void {
    events.push({
      time: nowMs(),
      messageId: message.messageId,
      url: message.url,
      state: kind,
      ...(error ? { error } : {}),
    })
    if (events.length > EVENTS_MAX) events.shift()
  }

  function enter(spec: MessageSpec): Message {
    const createdAtMs = nowMs()
    const message: Message = {
      ...spec,
      messageId: newId("msg"),
      sequence: ++state.sequence,
      createdAtMs,
      dueAtMs: spec.notBeforeMs ?? createdAtMs + spec.delayMs,
      retried: 0,
    }
    state.messages.set(message.messageId, message)
    log(message, "CREATED")
    changed()
    return message
  }

  function sendCallback(callback: CallbackSpec | null, message: Message, attempt: Attempt, dlqId: string | null): void {
    if (!callback) return
    enter({
      ...callback,
      bodyBase64: Buffer.from(JSON.stringify(callbackBody(message, attempt, dlqId))).toString("base64"),
      notBeforeMs: null,
      deduplicationId: null,
      callback: null,
      failureCallback: null,
      flowControlKey: null,
      parallelism: null,
      queueName: null,
      scheduleId: message.scheduleId,
      label: message.label,
    })
  }

  function moveToDeadLetters(message: Message, attempt: Attempt): void {
    const dead: DeadLetter = {
      ...message,
      dlqId: newId("dlq"),
      responseStatus: attempt.status,
      responseHeaders: headerLists(attempt.headers),
      responseBodyBase64: attempt.body.toString("base64"),
    }
    state.messages.delete(message.messageId)
    state.dead.set(dead.dlqId, dead)
    log(message, "FAILED", attempt.error ?? `status ${attempt.status}`)
    sendCallback(message.failureCallback, message, attempt, dead.dlqId)
  }

  function scheduleRetry(message: Message, attempt: Attempt): void {
    const delayMs =
      requestedRetryDelayMs(attempt.headers, clock.now()) ??
      (message.retryDelayExpression === null
        ? defaultRetryDelayMs(message.retried + 1)
        : evaluateRetryDelayMs(message.retryDelayExpression, message.retried))
    state.messages.set(message.messageId, { ...message, retried: message.retried + 1, dueAtMs: nowMs() + delayMs })
    log(message, "RETRY", attempt.error ?? `status ${attempt.status}`)
  }

  async function attemptOnce(message: Message, signal: AbortSignal): Promise<void> {
    log(message, "ACTIVE")
    options.onDelivery?.()
    const attempt = await deliverMessage(message, { clock, signingKey: options.signingKey(), signal })
    if (signal.aborted || !state.messages.has(message.messageId)) return // stopped or canceled: the result is ignored
    sendCallback(message.callback, message, attempt, null)
    if (attempt.status >= 200 && attempt.status < 300) {
      state.messages.delete(message.messageId)
      log(message, "DELIVERED")
    } else if (isNonRetryable(attempt) || message.retried >= message.maxRetries) {
      moveToDeadLetters(message, attempt)
    } else {
      scheduleRetry(message, attempt)
    }
    saver.touch()
  }

  async function attemptWithDuplicates(message: Message, signal: AbortSignal): Promise<void> {
    const extra = Array.from({ length: options.duplicates?.(message) ?? 0 }, () =>
      deliverMessage(message, { clock, signingKey: options.signingKey(), signal }),
    )
    await Promise.all([attemptOnce(message, signal), ...extra])
  }

  const scheduler = createScheduler({ state, clock, heartbeats, publish: enter })
  const runner = makeRunner({ state, clock, faults: options.faults, scheduler, attempt: attemptWithDuplicates })
  heartbeats.onChange(runner.wake)

  function changed(): void {
    saver.touch()
    runner.wake()
  }

  return {
    state,
    events,
    runner,
    scheduler,
    changed,
    accept(spec) {
      if (spec.deduplicationId === null) return { messageId: enter(spec).messageId, isDuplicate: false }
      deleteExpired(state, nowMs())
      const known = state.deduplication.get(spec.deduplicationId)
      if (known) return { messageId: known.messageId, isDuplicate: true }
      const { messageId } = enter(spec)
      state.deduplication.set(spec.deduplicationId, { messageId, untilMs: nowMs() + DEDUPLICATION_MS })
      return { messageId, isDuplicate: false }
    },
    cancel(messageId) {
      const message = state.messages.get(messageId)
      if (!message) return false
      state.messages.delete(messageId)
      log(message, "CANCELED")
      changed()
      return true
    },
    redrive(dlqId) {
      const dead = state.dead.get(dlqId)
      if (!dead) return null
      state.dead.delete(dlqId)
      const { dlqId: _id, responseStatus: _s, responseHeaders: _h, responseBodyBase64: _b, ...message } = dead
      return enter({ ...message, delayMs: 0, notBeforeMs: null }).messageId
    },
    clear() {
      runner.abort()
      state.messages.clear()
      state.dead.clear()
      state.deduplication.clear()
      state.pausedKeys.clear()
      events.length = 0
      changed()
    },
    async stop() {
      await runner.stop()
      saver.flush()
    },
  }
}

/** The content-based deduplication id of a message. */
export function contentId(spec: MessageSpec): string {
  const content = JSON.stringify([spec.url, spec.bodyBase64, Object.entries(spec.headers).toSorted()])
  return `content:${createHash("sha256").update(content).digest("hex")}`
}

function deleteExpired(state: QstashState, nowMs: number): void {
  for (const [id, { untilMs }] of state.deduplication) if (untilMs <= nowMs) state.deduplication.delete(id)
}

/** An id in QStash's form: a prefix and a random part. */
export const newId = (prefix: "msg" | "dlq" | "scd"): string => `${prefix}_${randomBytes(16).toString("base64url")}`
