/** How requests of one isolate wait for each other: each by a timer of its own, so that it goes on whatever becomes of the others. */

/** Waits for `signal`, but at most this long, by a timer of the request that calls it. Never rejects. */
export type WaitFor = (signal: Promise<void>, limitMs: number) => Promise<void>

/**
 * How often the first requests of a queue look at the clock. The further back one is, the less often it looks: a thousand
 * that wait would otherwise keep the isolate busy with looking.
 */
const LOOK_EVERY_MS = 50
const LOOKING_TOGETHER = 8
const LOOK_EVERY_MS_MAX = 1_000

/** How long a request waits until it looks at the clock, by its place in the queue. */
export const lookAfterMs = (place: number): number =>
  Math.min(LOOK_EVERY_MS_MAX, LOOK_EVERY_MS * (1 + Math.floor(Math.max(0, place) / LOOKING_TOGETHER)))

/** `WaitFor` by the platform's timer. */
export const waitForSignal: WaitFor = (signal, limitMs) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, limitMs)
    signal.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
