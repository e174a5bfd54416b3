/**
 * Names that nobody has (companies in a path, API keys) cost a look-up each, and a flood that comes from everywhere stays
 * below every limit by client. So an isolate looks up so many of them a minute and then answers unknown names unseen.
 * Names it knows are not touched by that; one that is new to it is asked to come again.
 */

import { Buckets, type Limit } from "../../shared/rate-limit.ts"
import { tooMany } from "./limits.ts"

/** Ten a second: nothing to Postgres, and more than companies and keys are made or isolates started. */
const STRANGERS: Limit = { name: "strangers", max: 600, windowMs: 60_000 }

/** What is looked up; each has a count of its own. */
type Kind = "company" | "key"
const buckets = new Buckets(2)

/** Throws TOO_MANY_REQUESTS while too many names were looked up in vain. */
export function refuseStrangers(kind: Kind, nowMs: number): void {
  const reading = buckets.read(STRANGERS, kind, nowMs)
  if (reading.isOver) throw tooMany(reading, "too_many_strangers")
}

/** Counts a name that was looked up in vain. */
export const countStranger = (kind: Kind, nowMs: number): void => void buckets.charge(STRANGERS, kind, nowMs)
