/** Fault injectors without randomness: no faults, or exactly those of a flow. */
import type { FaultTarget } from "../../../local/faults.ts"
import {
  DELIVERED_ONCE,
  type Fault,
  type FaultInjector,
  type Inbound,
  NO_FAULT,
  noop,
  WAIT_UNTIL_MS,
} from "./faults.ts"
import { type Effect, type EffectPlan, NO_SKEW, type Skew } from "./runtime.ts"

const AT_ONCE: EffectPlan = { ...NO_FAULT, arrivesAfterMs: 0, answersAfterMs: 0 }

/** No faults and no delays, except that `down` is down. */
export const noFaults = (down: ReadonlySet<FaultTarget> = new Set()): FaultInjector => ({
  faults: [],
  hasOutages: down.size > 0,
  cutOffAfterMs: WAIT_UNTIL_MS,
  onFault: noop,
  plan: (_, target) => (down.has(target) ? { ...AT_ONCE, arrivesAfterMs: null, answer: () => "lost" } : AT_ONCE),
  inbound: () => ({ ...DELIVERED_ONCE, arrivesAfterMs: 0 }),
  skew: () => NO_SKEW,
})

/**
 * A crash at the effect with that number, counted from `begin`: before it is sent, or after it arrived. With `lost` the isolate
 * survives and the answer is lost.
 */
export interface CrashPoint {
  readonly at: number
  readonly when: "before" | "after" | "lost"
}

interface Override {
  readonly matches: (effect: Effect) => boolean
  readonly plan: Partial<EffectPlan>
  readonly times: number
}

/** No faults but crashes. Each point is counted from the previous one, so that the second of a pair hits the retry. */
export class Crashes implements FaultInjector {
  readonly faults: Fault[] = []
  /** Targets that are down. */
  readonly down = new Set<FaultTarget>()
  hasOutages = false
  readonly cutOffAfterMs = WAIT_UNTIL_MS
  onFault: (line: string) => void = noop
  /** Effects since counting began, or since the last crash. */
  counted = 0
  /**
   * Of those, the ones before which a crash is the same as after the previous one: that one had arrived, and its answer was all
   * that happened since.
   */
  readonly repeated = new Set<number>()
  #previous: Effect | null = null
  #sent = 0
  readonly #points: CrashPoint[]
  #isCounting = false
  #override: Override | null = null

  constructor(points: readonly CrashPoint[]) {
    this.#points = [...points]
  }

  begin(): void {
    this.#isCounting = true
    this.#restart()
  }

  #restart(): void {
    this.counted = 0
    this.repeated.clear()
    this.#previous = null
  }

  end(): void {
    this.#isCounting = false
  }

  /** Sets the plan of the next matching effects. */
  next(matches: (effect: Effect) => boolean, plan: Partial<EffectPlan>, times = 1): void {
    this.#override = { matches, plan, times }
    this.hasOutages = true
  }

  /** Whether every point was reached. */
  get isDone(): boolean {
    return this.#points.length === 0
  }

  plan(effect: Effect, target: FaultTarget): EffectPlan {
    if (this.down.has(target)) {
      this.hasOutages = true
      return { ...NO_FAULT, arrivesAfterMs: null, answer: () => "lost" }
    }
    if (this.#override !== null && this.#override.times > 0 && this.#override.matches(effect)) {
      this.#override = { ...this.#override, times: this.#override.times - 1 }
      return { ...NO_FAULT, ...this.#override.plan }
    }
    // Different delays, so that of two concurrent tasks the first to read is not always the first to write.
    const up = 1 + ((++this.#sent * 7) % 13)
    const usual: EffectPlan = { ...NO_FAULT, arrivesAfterMs: up, answersAfterMs: up + 1 }
    if (!this.#isCounting) return usual
    this.counted += 1
    if (this.#previous !== null && effect.follows === this.#previous) this.repeated.add(this.counted)
    this.#previous = effect
    const [next] = this.#points
    if (next?.at !== this.counted) return usual
    this.#points.shift()
    this.#restart()
    // It is not sent, so that the run goes on like one that crashes after the previous effect.
    if (next.when === "before") this.#sent -= 1
    const kind = next.when === "lost" ? "reply_lost" : (`crash_${next.when}` as const)
    this.faults.push({ id: `${effect.number}`, kind, where: target })
    this.onFault(`✗ ${kind}`)
    return next.when === "lost" ? { ...usual, answer: () => "lost" } : { ...usual, crash: next.when }
  }

  inbound(): Inbound {
    return DELIVERED_ONCE
  }

  skew(): Skew {
    return NO_SKEW
  }
}
