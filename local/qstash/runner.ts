import type { FaultMode, Faults } from "../faults.ts"
import type { VirtualClock } from "../time/clock.ts"
import type { Message } from "./message.ts"
import type { Scheduler } from "./scheduler.ts"
import type { QstashState } from "./state.ts"

/** Decides which messages to deliver now, and when to check again. */
export type Runner = {
  /** Starts deliveries. Until then messages wait, so that the receiver can be started first. */
  release(): void
  /** Aborts deliveries and starts none until `release`, which repeats the aborted ones. */
  hold(): void
  /** Checks the state soon. */
  wake(): void
  /** Starts every due message, and those of due schedules while heartbeats are live. */
  fireDue(): void
  /** Resolves when no delivery is running and no due one can start. */
  idle(): Promise<void>
  /** When the next waiting message is due; null when there is none. */
  nextDueAt(): Date | null
  underWay(flowControlKey?: string): number
  /** Aborts running deliveries. */
  abort(): void
  stop(): Promise<void>
}

/** In these fault modes the queue does not deliver either. */
const SILENT_MODES: ReadonlySet<FaultMode> = new Set(["down", "hang", "error"])

/** Whether it delivers nothing because of a fault. */
export const isSilent = (faults: Faults): boolean => SILENT_MODES.has(faults.mode("qstash"))

/** How often a silent queue checks its fault mode. */
const IDLE_CHECK_MS = 100

/** Timers overflow beyond 2^31 ms; a check every hour is cheap. */
const SLEEP_MS_MAX = 60 * 60 * 1_000

/** A local Worker processes about this many at once; more would only wait in it. */
const UNDER_WAY_MAX = 32

/** Creates the runner. `attempt` makes one delivery and never rejects. */
export function createRunner({
  state,
  clock,
  faults,
  scheduler,
  attempt,
}: {
  readonly state: QstashState
  readonly clock: VirtualClock
  readonly faults: Faults
  readonly scheduler: Scheduler
  readonly attempt: (message: Message, signal: AbortSignal) => Promise<void>
}): Runner {
  const running = new Map<string, { readonly message: Message; readonly done: Promise<void> }>()
  let isReleased = false
  let isStopped = false
  let cut = new AbortController()
  let timer: NodeJS.Timeout | null = null
  let immediate: NodeJS.Immediate | null = null

  const nowMs = (): number => clock.now().getTime()
  const waiting = (): Message[] => [...state.messages.values()].filter(({ messageId }) => !running.has(messageId))

  function underWay(key?: string): number {
    if (key === undefined) return running.size
    return [...running.values()].filter(({ message }) => message.flowControlKey === key).length
  }

  /**
   * Queues deliver in the order of acceptance: the number of messages before this one, including those that wait for a
   * retry.
   */
  function queuePosition(message: Message): number {
    let before = 0
    for (const other of state.messages.values()) {
      if (other.queueName === message.queueName && other.sequence < message.sequence) before += 1
    }
    return before
  }

  function mayStart(message: Message): boolean {
    if (message.flowControlKey !== null) {
      if (state.pausedKeys.has(message.flowControlKey)) return false
      if (message.parallelism !== null && underWay(message.flowControlKey) >= message.parallelism) return false
    }
    if (message.queueName !== null) {
      const queue = state.queues.get(message.queueName)
      if (queue?.isPaused || queuePosition(message) >= (queue?.parallelism ?? 1)) return false
    }
    return true
  }

  function start(message: Message): void {
    const done = attempt(message, cut.signal).finally(() => {
      running.delete(message.messageId)
      wake()
    })
    running.set(message.messageId, { message, done })
  }

  function fireDue(): void {
    if (!isReleased || isStopped) return
    if (!isSilent(faults)) {
      scheduler.fireDueIfLive()
      const due = waiting().filter(({ dueAtMs }) => dueAtMs <= nowMs())
      due.sort((a, b) => a.dueAtMs - b.dueAtMs || a.sequence - b.sequence)
      for (const message of due) {
        if (running.size >= UNDER_WAY_MAX) break
        if (mayStart(message)) start(message)
      }
    }
    sleep()
  }

  function nextDueAtMs(): number | null {
    const now = nowMs()
    let next: number | null = null
    for (const { dueAtMs, messageId } of state.messages.values()) {
      if (dueAtMs > now && !running.has(messageId) && (next === null || dueAtMs < next)) next = dueAtMs
    }
    return next
  }

  function sleep(): void {
    if (timer) clearTimeout(timer)
    const next = Math.min(nextDueAtMs() ?? Infinity, scheduler.nextAtMs() ?? Infinity)
    const sleepMs = isSilent(faults) ? IDLE_CHECK_MS : Math.min(SLEEP_MS_MAX, Math.max(0, next - nowMs()))
    timer = setTimeout(wake, sleepMs)
    timer.unref()
  }

  /** Several changes of one turn cause one check. */
  function wake(): void {
    if (immediate || isStopped) return
    immediate = setImmediate(() => {
      immediate = null
      fireDue()
    })
  }

  function abort(): void {
    cut.abort()
    cut = new AbortController()
  }

  clock.onMove(wake)

  return {
    release() {
      isReleased = true
      wake()
    },
    wake,
    fireDue,
    underWay,
    async idle() {
      fireDue()
      while (running.size > 0) {
        await Promise.race([...running.values()].map(({ done }) => done))
        fireDue()
      }
    },
    nextDueAt() {
      const next = nextDueAtMs()
      return next === null ? null : new Date(next)
    },
    hold() {
      isReleased = false
      abort()
    },
    abort,
    async stop() {
      isStopped = true
      if (timer) clearTimeout(timer)
      if (immediate) clearImmediate(immediate)
      cut.abort()
      await Promise.all([...running.values()].map(({ done }) => done))
    },
  }
}
