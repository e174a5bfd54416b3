/**
 * How many calls to the outside one invocation may still make. Cloudflare ends an invocation that makes more than its plan
 * allows (developers.cloudflare.com/workers/platform/limits, "Subrequests"), in the middle of whatever it is doing; so work
 * is begun only when there is room for its end.
 *
 * Trade-off: calls are counted as they are made, and not by who makes them. What must still be written later is therefore
 * held: a held call is no room for anybody else, and its holder makes it without asking again. Holding too much only ends
 * a run sooner; the limit itself is kept whatever is held.
 */
import { NotSent } from "../../../shared/network/outbound-fetch.ts"

/** Room that is kept for somebody. */
export interface Reservation {
  /** From here on so many are enough; never more than are held. */
  keep(count: number): void
  /** Gives up so many in order to make them now; false, and nothing given up, when fewer are held. */
  take(count: number): boolean
  /** Gives back what is left. Once is enough; again changes nothing. */
  release(): void
}

/** The calls of one invocation. */
export interface Budget {
  /** Counts a call that is about to be made. Throws `NotSent` when the limit is reached: the call must not be made. */
  spend(): void
  /** Calls that may still be made and are held by nobody. */
  room(): number
  hasRoomFor(count: number): boolean
  /** Keeps room for work that is about to begin; null: there is not enough, and the work must wait for another run. */
  reserve(count: number): Reservation | null
  /** Calls made so far. */
  spent(): number
}

/** A budget of `max` calls, for one invocation. */
export function createBudget(max: number): Budget {
  let spent = 0
  let held = 0
  const room = () => Math.max(0, max - spent - held)

  return {
    spend() {
      if (spent >= max) throw new NotSent("budget_spent", null)
      spent += 1
    },
    room,
    hasRoomFor: (count) => room() >= count,
    reserve(count) {
      if (room() < count) return null
      let mine = count
      held += count
      const shrinkTo = (left: number) => {
        held -= mine - left
        mine = left
      }
      return {
        keep: (left) => shrinkTo(Math.min(mine, Math.max(0, left))),
        take(wanted) {
          if (mine < wanted) return false
          shrinkTo(mine - wanted)
          return true
        },
        release: () => shrinkTo(0),
      }
    },
    spent: () => spent,
  }
}
