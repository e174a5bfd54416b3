/** Retries of a write when another writer of the same customer was first. */
import { databaseFailure } from "../../db/client.ts"
import type { StreamReading } from "../../db/queries/recovery/ledger-pages.ts"
import type { Reservation } from "../platform/outbound/budget.ts"
import { CONFLICT_RETRY_SUBREQUESTS } from "../platform/outbound/subrequests.ts"
import type { Services } from "../platform/services.ts"

/** After this many conflicts a writer leaves the rest to the sweep. */
const ATTEMPTS_MAX = 12

/** After a conflict a writer waits a random time, longer after each one, before it reads again. */
const JITTER_MS = 25
const JITTER_DOUBLINGS_MAX = 4

/**
 * Runs `attempt` on a new reading (`reload`) until no other writer interferes. Reading again needs subrequests: from the
 * caller's reservation (`held`), else from the budget; without them it throws as after the last attempt.
 */
export async function withReloadRetries<T, S extends StreamReading>(
  { budget }: Services,
  first: S,
  attempt: (stream: S) => Promise<T>,
  { held, reload }: { readonly held: Reservation | null; readonly reload: () => Promise<S | null> },
): Promise<T> {
  let stream: S | null = first
  for (let tries = 1; ; tries++) {
    try {
      stream ??= await reload()
      if (!stream) throw new Error("an existing customer is gone")
      return await attempt(stream)
    } catch (error) {
      const failure = databaseFailure(error)
      if ((failure !== "stale_version" && failure !== "conflict") || tries === ATTEMPTS_MAX) throw error
      if (!held?.take(CONFLICT_RETRY_SUBREQUESTS) && !budget.hasRoomFor(CONFLICT_RETRY_SUBREQUESTS)) throw error
    }
    await pause(crypto.getRandomValues(new Uint8Array(1)).at(0) ?? 0, tries)
    stream = null
  }
}

const pause = (random: number, tries: number): Promise<void> =>
  new Promise((resolve) =>
    setTimeout(resolve, (JITTER_MS * 2 ** Math.min(tries, JITTER_DOUBLINGS_MAX) * (random + 1)) / 256),
  )
