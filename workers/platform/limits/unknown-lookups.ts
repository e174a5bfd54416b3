/**
 * Names that nobody has (companies in a path, API keys) cost a look-up each, and a flood that comes from everywhere stays
 * below every limit by client. So an isolate looks up so many of them a minute and then answers unknown names unseen.
 * Names it knows are not touched by that; one that is new to it is asked to come again.
 */

import { Buckets, type Limit } from "../../../shared/network/rate-limit.ts"
import { tooManyRequests } from "./limits.ts"

/** Ten a second: nothing to Postgres, and more than companies and keys are made or isolates started. */
const UNKNOWN_LOOKUPS: Limit = { name: "strangers", max: 600, windowMs: 60_000 }

/** What is looked up; each has a count of its own. */
type Kind = "company" | "key"
const buckets = new Buckets(2)

/** Throws TOO_MANY_REQUESTS while too many names were looked up in vain. */
export function limitUnknownLookups(kind: Kind, nowMs: number): void {
  const reading = buckets.read(UNKNOWN_LOOKUPS, kind, nowMs)
  if (reading.isOver) throw tooManyRequests(reading, "too_many_strangers")
}

/** Counts a name that was looked up in vain. */
export const countUnknownLookup = (kind: Kind, nowMs: number): void => void buckets.charge(UNKNOWN_LOOKUPS, kind, nowMs)
