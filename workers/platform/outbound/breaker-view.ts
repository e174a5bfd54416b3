/** What is told of a breaker: to monitors, and through Redis to other isolates. It names no address and no tenant. */
import * as z from "zod"
import type { BreakerState } from "./breaker.ts"
import type { Target } from "./policy.ts"

/** A breaker as others see it. */
const breakerView = z.object({
  state: z.enum(["closed", "half_open", "open"]),
  /** ISO 8601; null while nobody has called this side. */
  since: z.iso.datetime().nullable(),
  /** From when on a call may decide; null unless open. */
  until: z.iso.datetime().nullable(),
  failures: z.int().nonnegative(),
  /** The last failure in a word of ours. */
  reason: z
    .string()
    .regex(/^[a-z0-9_]{1,32}$/)
    .nullable(),
})
export type BreakerView = z.infer<typeof breakerView>

/** What an isolate knows of a side that it has not called. */
export const NO_CALLS: BreakerView = { state: "closed", since: null, until: null, failures: 0, reason: null }

/** The view of a state at `now`; one that is dated after now (the clock went back) says nothing. */
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

/** A side that nobody has called for so long after its cool-down is no longer in trouble as far as anybody knows. */
const STALE_MS = 5 * 60_000

/** Once the cool-down is over the next call decides. */
function current(view: BreakerView, now: Date): BreakerView {
  if (view.until === null || now.getTime() < Date.parse(view.until)) return view
  if (now.getTime() >= Date.parse(view.until) + STALE_MS) return NO_CALLS
  return { ...view, state: "half_open", until: null }
}

/** Of what two isolates know, what is worse: one of them does not call that side. */
export const worseView = (one: BreakerView, other: BreakerView): BreakerView =>
  SEVERITY.indexOf(other.state) > SEVERITY.indexOf(one.state) ? other : one

const SEVERITY: readonly BreakerView["state"][] = ["closed", "half_open", "open"]

/** The commands of Redis that telling others needs. */
export interface BreakerRedis {
  get(key: string): Promise<unknown>
  set(key: string, value: string, options: { readonly ex: number }): Promise<unknown>
  del(key: string): Promise<unknown>
}

/** An isolate that was ended while its breaker was open will never say that it closed. */
const BREAKER_TTL_SECONDS = 10 * 60

const keyOf = (target: Target): string => `breaker:${target}`

/** Tells other isolates that a breaker has opened or closed here. */
export async function publishView(redis: BreakerRedis, target: Target, view: BreakerView): Promise<void> {
  if (view.state === "closed") await redis.del(keyOf(target))
  else await redis.set(keyOf(target), JSON.stringify(view), { ex: BREAKER_TTL_SECONDS })
}

/** What another isolate told last; closed when nobody told anything that can be read, or it is dated after `now`. */
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
