/**
 * Unknown names (companies in a path, API keys) cost a look-up each, and a distributed flood stays below every limit
 * per client. So an isolate looks up a bounded number of unknown names a minute and then refuses names that are not in
 * its cache. Cached names are not affected; a valid name that is not cached yet gets 429 and has to be tried again.
 */

import { Buckets, type Limit } from "../../../shared/network/rate-limit.ts"
import { tooManyRequests } from "./limits.ts"

/** Ten a second: little load for Postgres, and more than the rate of new companies, keys and isolates. */
const UNKNOWN_LOOKUPS: Limit = { name: "unknown_lookups", max: 600, windowMs: 60_000 }

/** Each kind of name has its own count. */
type Kind = "company" | "key"
const buckets = new Buckets(2)

/** Throws TOO_MANY_REQUESTS while too many unknown names were looked up. */
export function limitUnknownLookups(kind: Kind, nowMs: number): void {
  const status = buckets.read(UNKNOWN_LOOKUPS, kind, nowMs)
  if (status.isOver) throw tooManyRequests(status, "too_many_unknown_lookups")
}

/** Counts a look-up of an unknown name. */
export const countUnknownLookup = (kind: Kind, nowMs: number): void => void buckets.charge(UNKNOWN_LOOKUPS, kind, nowMs)
