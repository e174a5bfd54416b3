/**
 * What goes wrong. Every effect and every arrival is put to the chaos of the run, which answers with its course. What is
 * drawn for one hangs on the seed and on which one it is (the third call to Postgres by the webhook of that event), not on
 * what was drawn before: so a fault can be left out, and the others stay where they are.
 */
import type { FaultTarget } from "../../../local/faults.ts"
import type { Random } from "../random.ts"
import { type Answer, type Effect, type EffectPlan, NO_SKEW, type Skew } from "./runtime.ts"
import { CLIENT_TIMEOUT_MS } from "./targets.ts"

/** The twelve kinds of fault at the boundary of an effect, and what else happens to a deployment. */
export const FAULT_KINDS = [
  "error_before",
  "reply_lost",
  "applied_after_timeout",
  "slow",
  "duplicate_inbound",
  "reorder",
  "drop_inbound",
  "crash_before",
  "crash_after",
  "status",
  "garbage",
  "clock_jump",
] as const
export const EVENT_KINDS = ["outage", "cron_missed", "cron_double", "evicted", "restart", "switch_thrown"] as const
export type FaultKind = (typeof FAULT_KINDS)[number]
export type EventKind = (typeof EVENT_KINDS)[number]

/** A fault that was let happen. */
export interface Fault {
  /** Which effect or arrival it strikes: the same as long as the seed is. */
  readonly id: string
  readonly kind: FaultKind
  readonly where: string
}

/** How a request to the Worker goes. */
export interface Inbound {
  /** Null: it never arrives. */
  readonly arrivesAfterMs: number | null
  /** Further copies, each so much later. */
  readonly copiesAfterMs: readonly number[]
  readonly isReplyLost: boolean
}

export interface Chaos {
  readonly faults: readonly Fault[]
  /** Whether anything was ever away as a whole. */
  readonly hasOutages: boolean
  /** How long work may go on after the answer. */
  readonly cutOffAfterMs: number
  /** Hears of each fault as it strikes. */
  tell: (line: string) => void
  course(effect: Effect, target: FaultTarget): EffectPlan
  inbound(name: string): Inbound
  /** How far the clock of a new isolate is off. */
  skew(): Skew
}

/** What the platform grants (developers.cloudflare.com/workers/runtime-apis/context). */
export const WAIT_UNTIL_MS = 30_000

export const NO_FAULT: EffectPlan = { arrivesAfterMs: 1, answersAfterMs: 2, answer: null, crash: null }
export const DELIVERED_ONCE: Inbound = { arrivesAfterMs: 1, copiesAfterMs: [], isReplyLost: false }

export const noop = (): void => undefined

/** A target that cannot be used for a while. */
export interface Outage {
  readonly target: FaultTarget
  readonly fromMs: number
  readonly untilMs: number
  readonly mode: "down" | "error" | "hang"
}

/** A time in which everything is unreliable. */
export interface UnreliablePeriod {
  readonly fromMs: number
  readonly untilMs: number
  readonly effectRate: number
}

/** How much goes wrong in a run. */
export interface FaultProfile {
  readonly effectRate: number
  readonly storms: readonly UnreliablePeriod[]
  readonly inboundRate: number
  readonly skewRate: number
  /** The platform's own bound, or less where it takes isolates away early. */
  readonly cutOffAfterMs: number
  readonly kinds: ReadonlyMap<FaultKind, number>
  readonly outages: readonly Outage[]
}

const MINUTE_MS = 60_000
const JUMP_MS = 10 * MINUTE_MS
/** A clock that is off is set right after a while; QStash and the providers refuse to be believed until then. */
const SKEWED_MS = 45 * MINUTE_MS

/** The kinds that strike an effect; the others strike what comes in. */
const AT_EFFECTS = FAULT_KINDS.filter((kind) => !["duplicate_inbound", "reorder", "drop_inbound"].includes(kind))
const AT_ARRIVALS = ["duplicate_inbound", "reorder", "drop_inbound", "reply_lost"] as const

/** Chaos by a seed, until it is healed. */
export class SeededChaos implements Chaos {
  readonly faults: Fault[] = []
  readonly hasOutages: boolean
  tell: (line: string) => void = noop
  readonly #random: Random
  readonly #weather: FaultProfile
  readonly #isLet: (id: string) => boolean
  readonly #nowMs: () => number
  readonly #met = new Map<string, number>()
  #isHealed = false

  constructor(random: Random, weather: FaultProfile, nowMs: () => number, isLet: (id: string) => boolean = () => true) {
    this.#random = random
    this.#weather = weather
    this.hasOutages = weather.outages.length > 0
    this.#nowMs = nowMs
    this.#isLet = isLet
  }

  /** The name of this one among those that are called alike, and a source of its own. */
  #meet(name: string): { readonly id: string; readonly random: Random } {
    const before = this.#met.get(name) ?? 0
    this.#met.set(name, before + 1)
    const id = `${name} ${before + 1}`
    return { id, random: this.#random.fork(id) }
  }

  get cutOffAfterMs(): number {
    return this.#isHealed ? WAIT_UNTIL_MS : this.#weather.cutOffAfterMs
  }

  heal(): void {
    this.#isHealed = true
  }

  outageOf(target: FaultTarget): Outage | undefined {
    const now = this.#nowMs()
    if (this.#isHealed) return undefined
    return this.#weather.outages.find((one) => one.target === target && one.fromMs <= now && now < one.untilMs)
  }

  #effectRate(): number {
    const now = this.#nowMs()
    const storm = this.#weather.storms.find(({ fromMs, untilMs }) => fromMs <= now && now < untilMs)
    return storm?.effectRate ?? this.#weather.effectRate
  }

  skew(): Skew {
    const { random } = this.#meet("isolate")
    const isOff = random.chance(this.#weather.skewRate)
    const byMs = random.between(-JUMP_MS, JUMP_MS)
    return isOff && !this.#isHealed ? { byMs, untilMs: this.#nowMs() + SKEWED_MS } : NO_SKEW
  }

  course(effect: Effect, target: FaultTarget): EffectPlan {
    const { id, random } = this.#meet(`${target} of ${effect.task.name}`)
    const up = random.between(1, 8)
    const down = random.between(1, 8)
    const usual: EffectPlan = { arrivesAfterMs: up, answersAfterMs: up + down, answer: null, crash: null }
    const isStruck = random.chance(this.#effectRate())
    const draw = { kind: this.#kindOf(random, AT_EFFECTS), amount: random.next(), coin: random.chance(0.5) }
    if (this.#isHealed) return usual
    const outage = this.outageOf(target)
    if (outage) {
      return inOutage(outage, target, usual)
    }
    if (!isStruck || !this.#strikes(draw.kind, id, target)) return usual
    if (draw.kind === "clock_jump") {
      effect.task.isolate.skew = { byMs: (draw.coin ? 1 : -1) * JUMP_MS, untilMs: this.#nowMs() + SKEWED_MS }
    }
    return faulty(draw, target, usual)
  }

  inbound(name: string): Inbound {
    const { id, random } = this.#meet(name)
    const usual: Inbound = { arrivesAfterMs: random.between(1, 20), copiesAfterMs: [], isReplyLost: false }
    const isStruck = random.chance(this.#weather.inboundRate)
    const kind = this.#kindOf(random, AT_ARRIVALS)
    const [near, far] = [random.between(0, 40), random.between(1, 30) * MINUTE_MS]
    const isFar = random.chance(0.4)
    const copies = random.between(1, 3)
    if (this.#isHealed || !isStruck || !this.#strikes(kind, id, name)) return usual
    switch (kind) {
      case "drop_inbound":
        return { ...usual, arrivesAfterMs: null }
      case "reply_lost":
        return { ...usual, isReplyLost: true }
      case "reorder":
        return { ...usual, arrivesAfterMs: random.between(500, 4_000) }
      default:
        return { ...usual, copiesAfterMs: Array.from({ length: copies }, (_, n) => (isFar ? far : near) * (n + 1)) }
    }
  }

  #kindOf<K extends FaultKind>(random: Random, among: readonly K[]): K {
    const weights = among.map((kind) => this.#weather.kinds.get(kind) ?? 0)
    let left = random.next() * weights.reduce((sum, weight) => sum + weight, 0)
    for (const [place, kind] of among.entries()) {
      left -= weights[place] ?? 0
      if (left <= 0) return kind
    }
    // Only rounding leads here; the list is never empty.
    return among[among.length - 1] as K
  }

  #strikes(kind: FaultKind, id: string, where: string): boolean {
    if (!this.#isLet(id)) return false
    this.faults.push({ id, kind, where })
    this.tell(`✗ ${kind} at ${id}`)
    return true
  }
}

function inOutage({ mode }: Outage, target: FaultTarget, usual: EffectPlan): EffectPlan {
  const never = { ...usual, arrivesAfterMs: null }
  if (mode === "hang") return { ...never, answersAfterMs: null }
  if (mode === "error") return { ...never, answer: () => plainAnswer(503, `${target} is unavailable`) }
  return { ...never, answer: () => "lost" }
}

/** Whose 5xx may hide that it was done: those that take the same call twice. Elsewhere 5xx says that it was not done. */
const MAY_HAVE_BEEN_DONE: ReadonlySet<FaultTarget> = new Set(["postgres", "redis", "qstash", "stripe-api"])
/** Channels answer a gateway's error when nobody knows; 429, 500 and 503 say that they took nothing. */
const CHANNELS: ReadonlySet<FaultTarget> = new Set(["email", "sms", "push", "dm", "slack"])

function faulty(
  { kind, amount, coin }: { readonly kind: FaultKind; readonly amount: number; readonly coin: boolean },
  target: FaultTarget,
  usual: EffectPlan,
): EffectPlan {
  const patienceMs = CLIENT_TIMEOUT_MS[target]
  const never = { ...usual, arrivesAfterMs: null }
  switch (kind) {
    case "error_before":
      return { ...never, answer: () => "lost" }
    case "reply_lost":
      return { ...usual, answer: () => "lost" }
    case "applied_after_timeout":
      return { ...usual, arrivesAfterMs: patienceMs + 1 + Math.floor(amount ** 3 * MINUTE_MS), answersAfterMs: null }
    case "slow": {
      const answersAfterMs = Math.ceil(patienceMs * (0.2 + 1.3 * amount))
      return { ...usual, arrivesAfterMs: coin ? 1 : answersAfterMs - 1, answersAfterMs }
    }
    case "crash_before":
      return { ...usual, crash: "before" }
    case "crash_after":
      return { ...usual, crash: "after" }
    case "status":
      return faultyStatus(amount, coin, target, usual)
    case "garbage": {
      const isDone = CHANNELS.has(target) || coin
      const answer = (real: Answer | null): Answer => (amount < 0.5 ? HTML : truncated(real))
      return { ...(isDone ? usual : never), answer }
    }
    default:
      return usual
  }
}

function faultyStatus(amount: number, coin: boolean, target: FaultTarget, usual: EffectPlan): EffectPlan {
  const retryAfter = { "retry-after": String(1 + Math.floor(amount * 20)) }
  if (CHANNELS.has(target) && amount < 0.3)
    return { ...usual, answer: () => plainAnswer(coin ? 502 : 504, "bad gateway") }
  const isDone = coin && MAY_HAVE_BEEN_DONE.has(target)
  const status = amount < 0.5 ? 429 : amount < 0.75 ? 500 : 503
  return {
    ...usual,
    arrivesAfterMs: isDone && status !== 429 ? usual.arrivesAfterMs : null,
    answer: () => ({ ...plainAnswer(status, "not now"), headers: { "content-type": "text/plain", ...retryAfter } }),
  }
}

export const plainAnswer = (status: number, body: string): Answer => ({
  status,
  headers: { "content-type": "text/plain" },
  body,
})

const HTML: Answer = {
  status: 200,
  headers: { "content-type": "text/html" },
  body: "<!doctype html><title>One moment</title><p>Checking your browser.",
}

function truncated(real: Answer | null): Answer {
  const body = Buffer.from(real?.body ?? '{"result')
  return { status: real?.status ?? 200, headers: real?.headers ?? {}, body: body.subarray(0, body.length >> 1) }
}
