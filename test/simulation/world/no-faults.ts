/** Chaos of a kind that is under control: none at all, or exactly what a flow asks for. */
import type { FaultTarget } from "../../../local/faults.ts"
import { type Chaos, DELIVERED_ONCE, type Fault, type Inbound, NO_FAULT, noop, WAIT_UNTIL_MS } from "./faults.ts"
import { type Effect, type EffectPlan, NO_SKEW, type Skew } from "./runtime.ts"

const AT_ONCE: EffectPlan = { ...NO_FAULT, arrivesAfterMs: 0, answersAfterMs: 0 }

/** Nothing goes wrong and nothing takes time, but for what is `away`. */
export const noFaults = (away: ReadonlySet<FaultTarget> = new Set()): Chaos => ({
  faults: [],
  hasOutages: away.size > 0,
  cutOffAfterMs: WAIT_UNTIL_MS,
  tell: noop,
  course: (_, target) => (away.has(target) ? { ...AT_ONCE, arrivesAfterMs: null, answer: () => "lost" } : AT_ONCE),
  inbound: () => ({ ...DELIVERED_ONCE, arrivesAfterMs: 0 }),
  skew: () => NO_SKEW,
})

/**
 * Where a flow is struck: at the effect with that number counted from `begin`. The isolate dies before it is sent or after
 * it arrived; or, with `lost`, it lives on and the answer does not come.
 */
export interface CrashPoint {
  readonly at: number
  readonly when: "before" | "after" | "lost"
}

interface Special {
  readonly isMeant: (effect: Effect) => boolean
  readonly course: Partial<EffectPlan>
  readonly times: number
}

/** Calm but for crashes. Each point is counted anew after the one before it, so that a pair strikes the retry. */
export class Crashes implements Chaos {
  readonly faults: Fault[] = []
  /** What does not answer at all, as long as it is in here. */
  readonly away = new Set<FaultTarget>()
  hasOutages = false
  readonly cutOffAfterMs = WAIT_UNTIL_MS
  tell: (line: string) => void = noop
  /** Effects since counting began, or since the last crash. */
  counted = 0
  readonly #points: CrashPoint[]
  #isCounting = false
  #special: Special | null = null

  constructor(points: readonly CrashPoint[]) {
    this.#points = [...points]
  }

  begin(): void {
    this.#isCounting = true
    this.counted = 0
  }

  end(): void {
    this.#isCounting = false
  }

  /** The next effects of that kind, so many times, go like this. */
  next(isMeant: (effect: Effect) => boolean, course: Partial<EffectPlan>, times = 1): void {
    this.#special = { isMeant, course, times }
    this.hasOutages = true
  }

  /** Whether every point was reached. */
  get isDone(): boolean {
    return this.#points.length === 0
  }

  course(effect: Effect, target: FaultTarget): EffectPlan {
    if (this.away.has(target)) {
      this.hasOutages = true
      return { ...NO_FAULT, arrivesAfterMs: null, answer: () => "lost" }
    }
    if (this.#special !== null && this.#special.times > 0 && this.#special.isMeant(effect)) {
      this.#special = { ...this.#special, times: this.#special.times - 1 }
      return { ...NO_FAULT, ...this.#special.course }
    }
    // Not all alike, so that of two tasks that run at once the first to read is not always the first to write.
    const up = 1 + ((effect.number * 7) % 13)
    const usual: EffectPlan = { ...NO_FAULT, arrivesAfterMs: up, answersAfterMs: up + 1 }
    if (!this.#isCounting) return usual
    this.counted += 1
    const [next] = this.#points
    if (next?.at !== this.counted) return usual
    this.#points.shift()
    this.counted = 0
    const kind = next.when === "lost" ? "reply_lost" : (`crash_${next.when}` as const)
    this.faults.push({ id: `${effect.number}`, kind, where: target })
    this.tell(`✗ ${kind}`)
    return next.when === "lost" ? { ...usual, answer: () => "lost" } : { ...usual, crash: next.when }
  }

  inbound(): Inbound {
    return DELIVERED_ONCE
  }

  skew(): Skew {
    return NO_SKEW
  }
}
