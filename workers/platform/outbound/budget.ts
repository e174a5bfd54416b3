/**
 * The subrequests that one invocation may still make. Cloudflare ends an invocation that makes more than its plan
 * allows (developers.cloudflare.com/workers/platform/limits, "Subrequests"), at any point of its work; so work begins
 * only when the budget has room to finish it.
 *
 * Trade-off: calls are counted as they are made, not by caller. Calls that must be made later are therefore reserved: a
 * reserved call is not available to others that ask, and its owner makes it without another check. Reserving too much only
 * ends a run sooner; the limit holds in any case. A call that is set aside is refused to those that do not ask, too.
 */
import { NotSent } from "../../../shared/network/outbound-fetch.ts"

/** Calls that are reserved. */
export interface Reservation {
  /** Reduces the reservation to `count`; never increases it. */
  keep(count: number): void
  /** Frees `count` calls in order to make them now; false, and no change, when fewer are reserved. */
  take(count: number): boolean
  /** Frees the rest. Idempotent. */
  release(): void
}

/** The calls of one invocation. */
export interface Budget {
  /** Counts a call that is about to be made. Throws `NotSent` at the limit: the call must not be made. */
  spend(): void
  /** Calls that may still be made and are not reserved. */
  room(): number
  hasRoomFor(count: number): boolean
  /**
   * Reserves calls for work that is about to begin; null when there are too few, and the work must wait for another
   * run.
   */
  reserve(count: number): Reservation | null
  /** Lowers the limit by `count` calls, or by what is left, for work that comes last; returns what raises it again. */
  setAside(count: number): () => void
  /** Calls made so far. */
  spent(): number
}

/** A budget of `max` calls, for one invocation. */
export function createBudget(max: number): Budget {
  let limit = max
  let spent = 0
  let reserved = 0
  const room = () => Math.max(0, limit - spent - reserved)

  return {
    spend() {
      if (spent >= limit) throw new NotSent("budget_spent", null)
      spent += 1
    },
    room,
    hasRoomFor: (count) => room() >= count,
    reserve(count) {
      if (room() < count) return null
      let own = count
      reserved += count
      const shrinkTo = (left: number) => {
        reserved -= own - left
        own = left
      }
      return {
        keep: (left) => shrinkTo(Math.min(own, Math.max(0, left))),
        take(wanted) {
          if (own < wanted) return false
          shrinkTo(own - wanted)
          return true
        },
        release: () => shrinkTo(0),
      }
    },
    setAside(count) {
      let own = Math.min(count, limit - spent)
      limit -= own
      return () => {
        limit += own
        own = 0
      }
    },
    spent: () => spent,
  }
}
