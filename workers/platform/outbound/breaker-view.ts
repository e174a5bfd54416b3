/** A breaker's state for monitors and, through Redis, for other isolates. It holds no address and no tenant. */
import * as z from "zod"
import type { BreakerState } from "./breaker.ts"
import type { Target } from "./policy.ts"

/** The published state of a breaker. */
const breakerView = z.lazy(() =>
  z.object({
    state: z.enum(["closed", "half_open", "open"]),
    /** ISO 8601; null while the service has not been called. */
    since: z.iso.datetime().nullable(),
    /** When the next probe is allowed; null unless open. */
    until: z.iso.datetime().nullable(),
    failures: z.int().nonnegative(),
    /** Our code for the last failure. */
    reason: z
      .string()
      .regex(/^[a-z0-9_]{1,32}$/)
      .nullable(),
  }),
)
export type BreakerView = z.infer<typeof breakerView>

/** The view of a service that the isolate has not called. */
export const NO_CALLS: BreakerView = { state: "closed", since: null, until: null, failures: 0, reason: null }

/** The view of a state at `now`; a state from the future (the clock went back) is ignored. */
export function viewOf(state: BreakerState | null, now: Date): BreakerView {
  if (state === null || now.getTime() < state.sinceMs) return NO_CALLS
  const since = new Date(state.sinceMs).toISOString()
  if (state.kind === "closed") return { ...NO_CALLS, since, failures: state.failures }
  const { failures, reason } = state
  if (state.kind === "half_open") {
    return now.getTime() >= state.sinceMs + STALE_MS
      ? NO_CALLS
      : { state: "half_open", since, until: null, failures, reason }
  }
  return current({ state: "open", since, until: new Date(state.untilMs).toISOString(), failures, reason }, now)
}

/** A service that was not called for this long after its cool-down counts as closed: nothing newer is known. */
const STALE_MS = 5 * 60_000

/** After the cool-down the next call is a probe. */
function current(view: BreakerView, now: Date): BreakerView {
  if (view.until === null || now.getTime() < Date.parse(view.until)) return view
  if (now.getTime() >= Date.parse(view.until) + STALE_MS) return NO_CALLS
  return { ...view, state: "half_open", until: null }
}

/** The worse view of two isolates. */
export const worseView = (one: BreakerView, other: BreakerView): BreakerView =>
  SEVERITY.indexOf(other.state) > SEVERITY.indexOf(one.state) ? other : one

const SEVERITY: readonly BreakerView["state"][] = ["closed", "half_open", "open"]

/** The Redis commands that publishing needs. */
export interface BreakerRedis {
  get(key: string): Promise<unknown>
  set(key: string, value: string, options: { readonly ex: number }): Promise<unknown>
  del(key: string): Promise<unknown>
}

/** An isolate that ends while its breaker is open never publishes that it closed. */
const BREAKER_TTL_SECONDS = 10 * 60

const keyOf = (target: Target): string => `breaker:${target}`

/** Publishes to other isolates that a breaker has opened or closed here. */
export async function publishView(redis: BreakerRedis, target: Target, view: BreakerView): Promise<void> {
  if (view.state === "closed") await redis.del(keyOf(target))
  else await redis.set(keyOf(target), JSON.stringify(view), { ex: BREAKER_TTL_SECONDS })
}

/** The view published last; closed when there is none, it is invalid, or it is from after `now`. */
export async function publishedView(redis: BreakerRedis, target: Target, now: Date): Promise<BreakerView> {
  const text = await redis.get(keyOf(target))
  const read = breakerView.safeParse(parse(text))
  if (!read.success || (read.data.since !== null && now.getTime() < Date.parse(read.data.since))) return NO_CALLS
  return current(read.data, now)
}

function parse(text: unknown): unknown {
  try {
    return typeof text === "string" ? JSON.parse(text) : null
  } catch {
    return null
  }
}
