/**
 * Fault injection. The injector of a run plans every effect and every incoming request. A plan depends on the seed and on
 * which effect it is (the third call to Postgres by the webhook of that event), not on earlier plans; so a fault can be left
 * out without moving the others.
 */
import type { FaultTarget } from "../../../local/faults.ts"
import type { Random } from "../random.ts"
import { type Answer, type Effect, type EffectPlan, NO_SKEW, type Skew } from "./runtime.ts"
import { CLIENT_TIMEOUT_MS } from "./targets.ts"

/** The twelve kinds of faults of an effect, and what else happens to a deployment. */
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

/** A fault that was injected. */
export interface Fault {
  /** The effect or incoming request; the same for a seed. */
  readonly id: string
  readonly kind: FaultKind
  readonly where: string
}

/** The plan of a request to the Worker. */
export interface Inbound {
  /** Null: it never arrives. */
  readonly arrivesAfterMs: number | null
  /** Delays of further copies. */
  readonly copiesAfterMs: readonly number[]
  readonly isReplyLost: boolean
}

export interface FaultInjector {
  readonly faults: readonly Fault[]
  /** Whether any target had an outage. */
  readonly hasOutages: boolean
  /** How long work may go on after the answer. */
  readonly cutOffAfterMs: number
  /** Called with each injected fault. */
  onFault: (line: string) => void
  plan(effect: Effect, target: FaultTarget): EffectPlan
  inbound(name: string): Inbound
  /** How far the clock of a new isolate is off. */
  skew(): Skew
}

/** The platform's limit (developers.cloudflare.com/workers/runtime-apis/context). */
export const WAIT_UNTIL_MS = 30_000

export const NO_FAULT: EffectPlan = { arrivesAfterMs: 1, answersAfterMs: 2, answer: null, crash: null }
export const DELIVERED_ONCE: Inbound = { arrivesAfterMs: 1, copiesAfterMs: [], isReplyLost: false }

export const noop = (): void => undefined

/** An outage of one target. */
export interface Outage {
  readonly target: FaultTarget
  readonly fromMs: number
  readonly untilMs: number
  readonly mode: "down" | "error" | "hang"
}

/** A period with more faults. */
export interface UnreliablePeriod {
  readonly fromMs: number
  readonly untilMs: number
  readonly effectRate: number
}

/** How many faults a run has. */
export interface FaultProfile {
  readonly effectRate: number
  readonly unreliablePeriods: readonly UnreliablePeriod[]
  readonly inboundRate: number
  readonly skewRate: number
  /** The platform's limit, or less for early evictions. */
  readonly cutOffAfterMs: number
  readonly kinds: ReadonlyMap<FaultKind, number>
  readonly outages: readonly Outage[]
}

const MINUTE_MS = 60_000
const JUMP_MS = 10 * MINUTE_MS
/** A wrong clock is corrected after this time; until then signatures are outside of the tolerance. */
const SKEWED_MS = 45 * MINUTE_MS

/** Kinds of faults of effects; the others are those of incoming requests. */
const AT_EFFECTS = FAULT_KINDS.filter((kind) => !["duplicate_inbound", "reorder", "drop_inbound"].includes(kind))
const AT_ARRIVALS = ["duplicate_inbound", "reorder", "drop_inbound", "reply_lost"] as const

/** Seeded faults, until `endFaults`. */
export class SeededFaultInjector implements FaultInjector {
  readonly faults: Fault[] = []
  readonly hasOutages: boolean
  onFault: (line: string) => void = noop
  readonly #random: Random
  readonly #faultProfile: FaultProfile
  readonly #isFaultEnabled: (id: string) => boolean
  readonly #nowMs: () => number
  readonly #counts = new Map<string, number>()
  #haveFaultsEnded = false

  constructor(
    random: Random,
    faultProfile: FaultProfile,
    nowMs: () => number,
    isFaultEnabled: (id: string) => boolean = () => true,
  ) {
    this.#random = random
    this.#faultProfile = faultProfile
    this.hasOutages = faultProfile.outages.length > 0
    this.#nowMs = nowMs
    this.#isFaultEnabled = isFaultEnabled
  }

  /** The id of this effect among those of one name, with its own random source. */
  #identify(name: string): { readonly id: string; readonly random: Random } {
    const before = this.#counts.get(name) ?? 0
    this.#counts.set(name, before + 1)
    const id = `${name} ${before + 1}`
    return { id, random: this.#random.fork(id) }
  }

  get cutOffAfterMs(): number {
    return this.#haveFaultsEnded ? WAIT_UNTIL_MS : this.#faultProfile.cutOffAfterMs
  }

  endFaults(): void {
    this.#haveFaultsEnded = true
  }

  outageOf(target: FaultTarget): Outage | undefined {
    const now = this.#nowMs()
    if (this.#haveFaultsEnded) return undefined
    return this.#faultProfile.outages.find((one) => one.target === target && one.fromMs <= now && now < one.untilMs)
  }

  #effectRate(): number {
    const now = this.#nowMs()
    const unreliablePeriod = this.#faultProfile.unreliablePeriods.find(
      ({ fromMs, untilMs }) => fromMs <= now && now < untilMs,
    )
    return unreliablePeriod?.effectRate ?? this.#faultProfile.effectRate
  }

  skew(): Skew {
    const { random } = this.#identify("isolate")
    const isOff = random.chance(this.#faultProfile.skewRate)
    const byMs = random.between(-JUMP_MS, JUMP_MS)
    return isOff && !this.#haveFaultsEnded ? { byMs, untilMs: this.#nowMs() + SKEWED_MS } : NO_SKEW
  }

  plan(effect: Effect, target: FaultTarget): EffectPlan {
    const { id, random } = this.#identify(`${target} of ${effect.task.name}`)
    const up = random.between(1, 8)
    const down = random.between(1, 8)
    const usual: EffectPlan = { arrivesAfterMs: up, answersAfterMs: up + down, answer: null, crash: null }
    const isFaulty = random.chance(this.#effectRate())
    const choice = { kind: this.#kindOf(random, AT_EFFECTS), amount: random.next(), coin: random.chance(0.5) }
    if (this.#haveFaultsEnded) return usual
    const outage = this.outageOf(target)
    if (outage) {
      return inOutage(outage, target, usual)
    }
    if (!isFaulty || !this.#inject(choice.kind, id, target)) return usual
    if (choice.kind === "clock_jump") {
      effect.task.isolate.skew = { byMs: (choice.coin ? 1 : -1) * JUMP_MS, untilMs: this.#nowMs() + SKEWED_MS }
    }
    return faulty(choice, target, usual)
  }

  inbound(name: string): Inbound {
    const { id, random } = this.#identify(name)
    const usual: Inbound = { arrivesAfterMs: random.between(1, 20), copiesAfterMs: [], isReplyLost: false }
    const isFaulty = random.chance(this.#faultProfile.inboundRate)
    const kind = this.#kindOf(random, AT_ARRIVALS)
    const [near, far] = [random.between(0, 40), random.between(1, 30) * MINUTE_MS]
    const isFar = random.chance(0.4)
    const copies = random.between(1, 3)
    if (this.#haveFaultsEnded || !isFaulty || !this.#inject(kind, id, name)) return usual
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
    const weights = among.map((kind) => this.#faultProfile.kinds.get(kind) ?? 0)
    let left = random.next() * weights.reduce((sum, weight) => sum + weight, 0)
    for (const [place, kind] of among.entries()) {
      left -= weights[place] ?? 0
      if (left <= 0) return kind
    }
    // Reached by rounding only; the list is never empty.
    return among[among.length - 1] as K
  }

  #inject(kind: FaultKind, id: string, where: string): boolean {
    if (!this.#isFaultEnabled(id)) return false
    this.faults.push({ id, kind, where })
    this.onFault(`✗ ${kind} at ${id}`)
    return true
  }
}

function inOutage({ mode }: Outage, target: FaultTarget, usual: EffectPlan): EffectPlan {
  const never = { ...usual, arrivesAfterMs: null }
  if (mode === "hang") return { ...never, answersAfterMs: null }
  if (mode === "error") return { ...never, answer: () => plainAnswer(503, `${target} is unavailable`) }
  return { ...never, answer: () => "lost" }
}

/** Targets whose 5xx may follow an effect: they accept the same call twice. Elsewhere 5xx means no effect. */
const MAY_HAVE_TAKEN_EFFECT: ReadonlySet<FaultTarget> = new Set(["postgres", "redis", "qstash", "stripe-api"])
/** For channels 502 and 504 mean an unknown outcome; 429, 500 and 503 mean no effect. */
const CHANNELS: ReadonlySet<FaultTarget> = new Set(["email", "sms", "push", "dm", "slack"])

function faulty(
  { kind, amount, coin }: { readonly kind: FaultKind; readonly amount: number; readonly coin: boolean },
  target: FaultTarget,
  usual: EffectPlan,
): EffectPlan {
  const timeoutMs = CLIENT_TIMEOUT_MS[target]
  const never = { ...usual, arrivesAfterMs: null }
  switch (kind) {
    case "error_before":
      return { ...never, answer: () => "lost" }
    case "reply_lost":
      return { ...usual, answer: () => "lost" }
    case "applied_after_timeout":
      return { ...usual, arrivesAfterMs: timeoutMs + 1 + Math.floor(amount ** 3 * MINUTE_MS), answersAfterMs: null }
    case "slow": {
      const answersAfterMs = Math.ceil(timeoutMs * (0.2 + 1.3 * amount))
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
  const isDone = coin && MAY_HAVE_TAKEN_EFFECT.has(target)
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
