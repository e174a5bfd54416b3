/**
 * Calls that several requests of one isolate make together: while a call is in flight, further requests queue their items as
 * plain data, and one of them, the leader, makes the next call for all of them. A request that finds no call in flight calls
 * at once and alone.
 *
 * What workerd requires: only plain data may cross requests, so a leader calls with its own clients; a waiting request needs a
 * timer of its own, or it counts as hung; and a request may end at any moment, with its turn or in the middle of its call. So
 * every waiting request looks at the clock itself: it takes a turn that nobody uses, calls beside a call that takes too long,
 * and stops waiting in the end.
 *
 * Trade-off: a call that is slow, not lost, is treated alike. What was in it may be tried again while it still runs; so calls
 * must be idempotent.
 */
import { lookAfterMs, type WaitFor } from "./waiting-requests.ts"

/** What a request brings: clients and timers are its own. */
export interface GroupMember<Item, Result> {
  /** One call for these items; the results are in the order of the items. */
  readonly call: (items: readonly Item[]) => Promise<readonly Result[]>
  /** The longest that `call` takes. */
  readonly callMsMax: number
  /** How long the request has waited before; counts as time in the queue. */
  readonly waitedMs?: number
  readonly waitFor: WaitFor
  /** The call, or the wait for it, goes on when this request's client disconnects. */
  readonly waitUntil: (work: Promise<unknown>) => void
}

export interface GroupBounds<Item> {
  /** The most items of one call. */
  readonly itemsMax: number
  /** The most bytes of one call, unless one item is larger. */
  readonly bytes?: { readonly max: number; readonly of: (item: Item) => number }
  /** The most calls of one key in flight: beside one, further ones begin when a whole group waits, or when it is slow. */
  readonly callsMax: number
  /** A call that takes longer is slow. */
  readonly slowAfterMs: number
  /** The longest that an item waits for a call to begin, and after a call that failed. */
  readonly queueMsMax: number
  readonly queueMsMaxAfterFailure: number
}

/** `failed`: the call for a group failed, with this error. `late`: there is no result in time; the item may be in a call. */
export type GroupOutcome<Result> =
  | { readonly kind: "done"; readonly result: Result }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "late" }

/** A request whose turn it is begins within microseconds; a request that has ended never does. */
const TURN_MS_MAX = 50

/**
 * A request gives a call up when it has looked so often since it began. A busy isolate runs the request late, and the call's
 * answer as well.
 */
const LOOKS_AT_CALL = 4

const noop = () => {}

const NO_LIMIT = { max: 0, of: () => 0 }

/** The item of a request. */
interface Entry<Item, Result> {
  readonly item: Item
  readonly queuedAtMs: number
  /** When the call with this item began; null: it is in the queue. */
  calledAtMs: number | null
  outcome: GroupOutcome<Result> | null
  /** Wakes the request. */
  wake: () => void
}

/** The items of one key. */
interface Lane<Item, Result> {
  readonly queue: Entry<Item, Result>[]
  /** When each call in flight began. */
  callsSinceMs: number[]
  /** The last call failed. */
  hasFailed: boolean
  /** Whose turn it is to make the next call, and since when. */
  turn: { readonly of: Entry<Item, Result>; readonly sinceMs: number } | null
  /** Wake the requests that wait until there is nothing to do. */
  readonly idleSignals: Set<() => void>
}

/** The group calls of one isolate. */
export class GroupCalls<Item, Result> {
  readonly #bounds: GroupBounds<Item>
  readonly #nowMs: () => number
  readonly #lanes = new Map<string, Lane<Item, Result>>()

  constructor(bounds: GroupBounds<Item>, nowMs: () => number = Date.now) {
    this.#bounds = bounds
    this.#nowMs = nowMs
  }

  /** Whether no call of this key is in flight, except slow ones, and no request waits for one. */
  isIdle(key: string): boolean {
    const lane = this.#lanes.get(key)
    return lane === undefined || (lane.queue.length === 0 && lane.callsSinceMs.every((ms) => this.#isSlow(ms)))
  }

  /** Whether the last call of some key failed. */
  get isFailing(): boolean {
    return [...this.#lanes.values()].some(({ hasFailed }) => hasFailed)
  }

  /** Waits until no call of this key is in flight and no request waits for one; not at all beside `waitingMax` others. */
  async waitUntilIdle(
    key: string,
    { limitMs, waitingMax }: { readonly limitMs: number; readonly waitingMax: number },
    waitFor: WaitFor,
  ): Promise<void> {
    const lane = this.#lanes.get(key)
    if (lane === undefined || this.isIdle(key) || lane.idleSignals.size >= waitingMax) return
    const { promise, resolve } = Promise.withResolvers<void>()
    lane.idleSignals.add(resolve)
    await waitFor(promise, limitMs)
    lane.idleSignals.delete(resolve)
  }

  /**
   * The outcome for the item, from a call with the other items of its key that wait. Throws the error of a call for this item
   * alone.
   */
  run(key: string, item: Item, member: GroupMember<Item, Result>): Promise<GroupOutcome<Result>> {
    const lane = this.#lanes.get(key) ?? {
      queue: [],
      callsSinceMs: [],
      hasFailed: false,
      turn: null,
      idleSignals: new Set(),
    }
    this.#lanes.set(key, lane)
    const queuedAtMs = this.#nowMs() - (member.waitedMs ?? 0)
    const entry: Entry<Item, Result> = { item, queuedAtMs, calledAtMs: null, outcome: null, wake: noop }
    lane.queue.push(entry)
    const work = this.#leadOrWait(key, lane, entry, member)
    member.waitUntil(work.catch(() => undefined))
    return work
  }

  async #leadOrWait(
    key: string,
    lane: Lane<Item, Result>,
    entry: Entry<Item, Result>,
    member: GroupMember<Item, Result>,
  ): Promise<GroupOutcome<Result>> {
    const { callMsMax, waitFor } = member
    let looksAtCall = 0
    while (entry.outcome === null) {
      lane.callsSinceMs = lane.callsSinceMs.filter((sinceMs) => !this.#isOver(sinceMs, callMsMax))
      if (entry.calledAtMs !== null) {
        looksAtCall += 1
        if (looksAtCall > LOOKS_AT_CALL && this.#isOver(entry.calledAtMs, callMsMax)) return { kind: "late" }
      } else {
        const isOver = this.#isOver(entry.queuedAtMs, this.#queueMsMaxOf(lane))
        // Where an isolate is too busy to run its requests in time, a call for many of them helps more than giving up.
        if (this.#mayLead(lane, entry) && !(isOver && lane.hasFailed)) {
          await this.#lead(key, lane, entry, member)
          continue
        }
        if (isOver) {
          lane.queue.splice(lane.queue.indexOf(entry), 1)
          return { kind: "late" }
        }
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      entry.wake = resolve
      await waitFor(promise, this.#lookAfterMs(lane, entry, callMsMax))
      // A promise that is resolved after its request has ended is reported by the platform.
      entry.wake = noop
    }
    return entry.outcome
  }

  /** When a waiting request looks at the clock again, unless it is woken before. */
  #lookAfterMs(lane: Lane<Item, Result>, entry: Entry<Item, Result>, callMsMax: number): number {
    const { calledAtMs, queuedAtMs } = entry
    // One that is in a call only waits for its end.
    if (calledAtMs !== null) return callMsMax / LOOKS_AT_CALL
    return Math.min(lookAfterMs(lane.queue.indexOf(entry)), this.#untilOver(queuedAtMs, this.#queueMsMaxOf(lane)))
  }

  #queueMsMaxOf({ hasFailed }: Lane<Item, Result>): number {
    return hasFailed ? this.#bounds.queueMsMaxAfterFailure : this.#bounds.queueMsMax
  }

  #mayLead(lane: Lane<Item, Result>, entry: Entry<Item, Result>): boolean {
    const { turn } = lane
    if (turn !== null && turn.of !== entry && !this.#isOver(turn.sinceMs, TURN_MS_MAX)) return false
    return this.#mayCall(lane)
  }

  #mayCall({ callsSinceMs, queue }: Lane<Item, Result>): boolean {
    const { callsMax, itemsMax } = this.#bounds
    if (callsSinceMs.length === 0) return true
    if (callsSinceMs.length >= callsMax) return false
    return queue.length >= itemsMax || callsSinceMs.every((sinceMs) => this.#isSlow(sinceMs))
  }

  /** Makes one call for this item and others of the queue. */
  async #lead(
    key: string,
    lane: Lane<Item, Result>,
    leader: Entry<Item, Result>,
    { call }: GroupMember<Item, Result>,
  ): Promise<void> {
    const group = this.#takeGroup(lane, leader)
    const startedMs = this.#nowMs()
    lane.turn = null
    lane.callsSinceMs.push(startedMs)
    for (const entry of group) entry.calledAtMs = startedMs
    try {
      const results = await call(group.map(({ item }) => item))
      lane.hasFailed = false
      for (const [place, entry] of group.entries()) entry.outcome = outcomeOf(results[place])
    } catch (error) {
      // The others wait for less time from now on.
      if (!lane.hasFailed) for (const { wake } of lane.queue) wake()
      lane.hasFailed = true
      if (group.length === 1) throw error
      for (const entry of group) entry.outcome = { kind: "failed", error }
    } finally {
      const place = lane.callsSinceMs.indexOf(startedMs)
      if (place >= 0) lane.callsSinceMs.splice(place, 1)
      this.#handOver(key, lane)
      for (const entry of group) entry.wake()
    }
  }

  /** The leader's item, and others in the order of their arrival, within the bounds. */
  #takeGroup({ queue }: Lane<Item, Result>, leader: Entry<Item, Result>): readonly Entry<Item, Result>[] {
    const { itemsMax, bytes = NO_LIMIT } = this.#bounds
    queue.splice(queue.indexOf(leader), 1)
    const group = [leader]
    let size = bytes.of(leader.item)
    for (let next = queue[0]; next !== undefined && group.length < itemsMax; next = queue[0]) {
      size += bytes.of(next.item)
      if (size > bytes.max) break
      group.push(next)
      queue.shift()
    }
    return group
  }

  /** Gives the turn to the request that has waited longest. Should it have ended, another one takes it. */
  #handOver(key: string, lane: Lane<Item, Result>): void {
    const [next] = lane.queue
    if (next !== undefined) {
      if (!this.#mayCall(lane)) return
      lane.turn = { of: next, sinceMs: this.#nowMs() }
      next.wake()
    } else if (lane.callsSinceMs.length === 0) {
      this.#lanes.delete(key)
      for (const wake of lane.idleSignals) wake()
    }
  }

  #isSlow(callSinceMs: number): boolean {
    return this.#isOver(callSinceMs, this.#bounds.slowAfterMs)
  }

  /** Until `#isOver`, which is at least a millisecond away. */
  #untilOver(sinceMs: number, limitMs: number): number {
    return Math.max(1, sinceMs + limitMs + 1 - this.#nowMs())
  }

  /** A clock that went back counts as over: waiting for it to catch up could take for ever. */
  #isOver(sinceMs: number, limitMs: number): boolean {
    const elapsedMs = this.#nowMs() - sinceMs
    return elapsedMs < 0 || elapsedMs > limitMs
  }
}

const outcomeOf = <Result>(result: Result | undefined): GroupOutcome<Result> =>
  result === undefined
    ? { kind: "failed", error: new Error("the call has no result for this item") }
    : { kind: "done", result }
