/**
 * Limits how many requests of one isolate are at work at the same time; the others wait. An isolate that begins a thousand
 * requests at once is busy for seconds before it sends or reads anything, so that its own calls run into their time limits.
 *
 * As with group calls, a request may end at any moment: one that ended at work frees its place after a while, and every waiting
 * request looks at the clock itself.
 */
import { lookAfterMs, type WaitFor } from "./waiting-requests.ts"

export interface ConcurrencyBounds {
  /** The most requests at work. */
  readonly max: number
  /** A request that is at work for longer has ended. */
  readonly workMsMax: number
  /** A request that has waited for so long begins anyway. */
  readonly waitMsMax: number
}

const noop = () => {}

/** A request whose turn it is begins within microseconds; a request that has ended never does. */
const TURN_MS_MAX = 50

/** Kept for a request that is at work, or whose turn it is. */
interface Place {
  readonly sinceMs: number
  readonly msMax: number
}

interface Waiting {
  /** Its place, once it is its turn. */
  turn: Place | null
  wake: () => void
}

/** The places of one isolate. */
export class ConcurrencyLimit {
  readonly #bounds: ConcurrencyBounds
  readonly #nowMs: () => number
  readonly #places = new Set<Place>()
  /** In the order of their arrival. */
  readonly #waiting: Waiting[] = []

  constructor(bounds: ConcurrencyBounds, nowMs: () => number = Date.now) {
    this.#bounds = bounds
    this.#nowMs = nowMs
  }

  /**
   * Waits for a place and takes it; returns what frees it. While `isOpen`, nobody waits. A request that finds a free place
   * sets no timer.
   */
  async enter(waitFor: WaitFor, isOpen: () => boolean = () => false): Promise<() => void> {
    this.#giveTurns()
    if (!this.#hasRoom() && !isOpen()) await this.#wait(waitFor, isOpen)
    const place = this.#take(this.#bounds.workMsMax)
    return () => {
      this.#places.delete(place)
      this.#giveTurns()
    }
  }

  /** Gives free places to those that have waited longest; one that has ended loses its place again. */
  #giveTurns(): void {
    while (this.#waiting.length > 0 && this.#hasRoom()) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      next.turn = this.#take(TURN_MS_MAX)
      next.wake()
    }
  }

  #take(msMax: number): Place {
    const place = { sinceMs: this.#nowMs(), msMax }
    this.#places.add(place)
    return place
  }

  async #wait(waitFor: WaitFor, isOpen: () => boolean): Promise<void> {
    const sinceMs = this.#nowMs()
    const entry: Waiting = { turn: null, wake: noop }
    this.#waiting.push(entry)
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>()
      entry.wake = resolve
      await waitFor(promise, lookAfterMs(this.#waiting.indexOf(entry)))
      // A promise that is resolved after its request has ended is reported by the platform.
      entry.wake = noop
      this.#giveTurns()
      if (entry.turn !== null && this.#places.delete(entry.turn)) return
      const place = this.#waiting.indexOf(entry)
      if (this.#hasRoom() || isOpen() || this.#isOver(sinceMs, this.#bounds.waitMsMax)) {
        if (place >= 0) this.#waiting.splice(place, 1)
        return
      }
      // It came too late for its turn.
      if (place < 0) this.#waiting.unshift(entry)
    }
  }

  #hasRoom(): boolean {
    const { max } = this.#bounds
    if (this.#places.size < max) return true
    for (const place of this.#places) if (this.#isOver(place.sinceMs, place.msMax)) this.#places.delete(place)
    return this.#places.size < max
  }

  /** A clock that went back counts as over. */
  #isOver(sinceMs: number, limitMs: number): boolean {
    const elapsedMs = this.#nowMs() - sinceMs
    return elapsedMs < 0 || elapsedMs > limitMs
  }
}
