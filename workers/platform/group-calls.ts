/**
 * Calls that several requests of one isolate make together: while a call is in flight, further requests queue their items as
 * plain data, and one of them, the leader, makes the next call for all of them. A request that finds no call in flight calls
 * at once and alone.
 *
 * What workerd requires: only plain data may cross requests, so a leader calls with its own clients; a waiting request needs a
 * timer of its own, or it counts as hung; and a request may end at any moment, with its turn or in the middle of its call. So
 * every waiting request looks at the clock itself: it takes over from a leader that is too late, and no longer waits for the
 * result of a call that takes too long.
 *
 * Trade-off: a call that is slow, not lost, is treated alike. Then two calls are in flight, and an item may be in both; so
 * calls must be idempotent.
 */

/** What a request brings: clients and timers are its own. */
export interface GroupMember<Item, Result> {
  /** One call for these items; the results are in the order of the items. */
  readonly call: (items: readonly Item[]) => Promise<readonly Result[]>
  /** The longest that `call` takes; afterwards a request no longer waits for the result of another request's call. */
  readonly callMsMax: number
  /** Waits for `signal`, but at most this long, by a timer of this request. Never rejects. */
  readonly waitFor: (signal: Promise<void>, limitMs: number) => Promise<void>
  /** The call, or the wait for it, goes on when this request's client disconnects. */
  readonly waitUntil: (work: Promise<unknown>) => void
  /** The call for a group failed; each request acts alone now. */
  readonly onFailure: (error: unknown, count: number) => void
}

export interface GroupBounds<Item> {
  /** The most items of one call. */
  readonly itemsMax: number
  /** The most bytes of one call, unless one item is larger. */
  readonly bytes?: { readonly max: number; readonly of: (item: Item) => number }
  /** A request that waits longer for its turn makes a call beside the one in flight. */
  readonly queueMsMax: number
}

/** A leader that was appointed begins within microseconds; a request that has ended never does. */
const APPOINTED_MS_MAX = 50

/** How often a waiting request looks at the clock. */
const LOOK_EVERY_MS = 50

const NO_LIMIT = { max: 0, of: () => 0 }

/** The item of a request. */
interface Entry<Item, Result> {
  readonly item: Item
  readonly queuedAtMs: number
  /** When the call with this item began; null: it is in the queue. */
  calledAtMs: number | null
  /** Null: there is none yet. */
  outcome: { readonly result: Result | null } | null
  /** Wakes the request. */
  wake: () => void
}

/** The items of one key. */
interface Lane<Item, Result> {
  readonly queue: Entry<Item, Result>[]
  /** Wake the requests that wait until there is nothing to do. */
  readonly idleSignals: (() => void)[]
  leader: Entry<Item, Result> | null
  /** Since when the leader leads, and how long it may before another request takes over. */
  ledSinceMs: number
  ledMsMax: number
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

  /**
   * Resolves when no call of this key is in flight and no request waits for one; null: that is so now. May never resolve, when
   * the request that led the last call has ended.
   */
  whenIdle(key: string): Promise<void> | null {
    const lane = this.#lanes.get(key)
    if (lane === undefined || lane.leader === null || this.#isLate(lane.ledSinceMs, lane.ledMsMax)) return null
    return new Promise((resolve) => void lane.idleSignals.push(resolve))
  }

  /**
   * The result for the item, from a call with the other items of its key that wait. Null: that call failed, or the request
   * that made it has ended, and its outcome is unknown; act alone. Throws the error of a call for this item alone.
   */
  run(key: string, item: Item, member: GroupMember<Item, Result>): Promise<Result | null> {
    const lane = this.#lanes.get(key) ?? { queue: [], idleSignals: [], leader: null, ledSinceMs: 0, ledMsMax: 0 }
    this.#lanes.set(key, lane)
    const queuedAtMs = this.#nowMs()
    const entry: Entry<Item, Result> = { item, queuedAtMs, calledAtMs: null, outcome: null, wake: () => {} }
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
  ): Promise<Result | null> {
    while (entry.outcome === null) {
      if (entry.calledAtMs !== null) {
        if (this.#isLate(entry.calledAtMs, member.callMsMax)) return null
      } else if (this.#mayLead(lane, entry)) {
        await this.#lead(key, lane, entry, member)
        continue
      }
      const signal = new Promise<void>((resolve) => {
        entry.wake = resolve
      })
      await member.waitFor(signal, LOOK_EVERY_MS)
    }
    return entry.outcome.result
  }

  #mayLead({ leader, ledSinceMs, ledMsMax }: Lane<Item, Result>, entry: Entry<Item, Result>): boolean {
    if (leader === null || leader === entry) return true
    return this.#isLate(ledSinceMs, ledMsMax) || this.#isLate(entry.queuedAtMs, this.#bounds.queueMsMax)
  }

  /** Makes one call for this item and others of the queue. */
  async #lead(
    key: string,
    lane: Lane<Item, Result>,
    leader: Entry<Item, Result>,
    { call, onFailure }: GroupMember<Item, Result>,
  ): Promise<void> {
    this.#appoint(lane, leader, this.#bounds.queueMsMax)
    const group = this.#takeGroup(lane, leader)
    let results: readonly Result[] | null = null
    try {
      results = await call(group.map(({ item }) => item))
    } catch (error) {
      if (group.length === 1) throw error
      onFailure(error, group.length)
    } finally {
      for (const [place, entry] of group.entries()) entry.outcome = { result: results?.[place] ?? null }
      if (lane.leader === leader) this.#handOver(key, lane)
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
    for (const entry of group) entry.calledAtMs = this.#nowMs()
    return group
  }

  /** Appoints the request that has waited longest. Should it have ended, another one takes over. */
  #handOver(key: string, lane: Lane<Item, Result>): void {
    const next = lane.queue[0] ?? null
    this.#appoint(lane, next, APPOINTED_MS_MAX)
    if (next !== null) next.wake()
    else {
      this.#lanes.delete(key)
      for (const wake of lane.idleSignals) wake()
    }
  }

  #appoint(lane: Lane<Item, Result>, leader: Entry<Item, Result> | null, ledMsMax: number): void {
    lane.leader = leader
    lane.ledSinceMs = this.#nowMs()
    lane.ledMsMax = ledMsMax
  }

  /** A clock that went back counts as late: waiting for it to catch up could take for ever. */
  #isLate(sinceMs: number, limitMs: number): boolean {
    const elapsedMs = this.#nowMs() - sinceMs
    return elapsedMs < 0 || elapsedMs > limitMs
  }
}

/** Waits for `signal`, but at most this long, by a timer of the request that calls it. */
export async function waitForSignal(signal: Promise<void>, limitMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs)
  })
  await Promise.race([signal, limit])
  clearTimeout(timer)
}
