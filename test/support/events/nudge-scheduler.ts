/**
 * A model of sending on a virtual clock: facts arrive, nudges are planned; due ones are claimed, decided again, marked, sent
 * and recorded. The worker may be lost between any two steps; a lost step is repeated later. The database commits
 * atomically, and the channel `email` has idempotency keys.
 */

import type { Fact, Instant } from "../../../shared/domain/facts.ts"
import {
  type Action,
  decide,
  decideSend,
  fallbackFor,
  type ReachableChannels,
  retryAt,
} from "../../../shared/domain/recovery/decide.ts"
import { rebuild } from "../../../shared/domain/recovery/fold.ts"
import {
  type Person,
  type SharedCustomer,
  SINGLE_CUSTOMER,
} from "../../../shared/domain/recovery/nudges/contact-context.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges/nudges.ts"
import type { CompanySettings } from "../../../shared/domain/settings.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"

/** A visible message, and the state when it was sent. */
export interface VisibleMessage {
  readonly nudge: Nudge
  readonly at: Instant
  readonly knownThen: CustomerState
  readonly personThen: Person
}

/** The outcome of a step: success, lost before or after its effect, or the channel's answer. */
export const SEND_OUTCOMES = ["well", "lost before", "lost after", "done twice", "refused", "retry", "unknown"] as const
export type SimulatedOutcome = (typeof SEND_OUTCOMES)[number]

/** A channel keeps idempotency keys for a day (Resend, 24 hours). */
const KEY_WINDOW_MS = 24 * 3_600_000

const isWithinWindow = (at: Instant | undefined, now: Instant): boolean =>
  at !== undefined && Date.parse(now) - Date.parse(at) < KEY_WINDOW_MS

export class Scheduler {
  readonly nudges = new Map<string, Nudge>()
  readonly visible: VisibleMessage[] = []
  readonly #firstAttemptAt = new Map<string, Instant>()
  readonly #ledger = new Map<string, Fact>()
  readonly #settings: CompanySettings
  readonly #reach: ReachableChannels
  readonly #nextOutcome: () => SimulatedOutcome
  /** Other customers with the same address. */
  readonly sharing: Scheduler[] = []
  #state: CustomerState | null = null

  constructor(settings: CompanySettings, reach: ReachableChannels, nextOutcome: () => SimulatedOutcome) {
    this.#settings = settings
    this.#reach = reach
    this.#nextOutcome = nextOutcome
  }

  /** Adds a fact of the provider or the member to the ledger, even if its processing fails. */
  arrive(fact: Fact): void {
    this.#ledger.set(fact.id, fact)
    this.#state = null
  }

  /** This customer as seen by other customers of the person. */
  asShared(): SharedCustomer {
    return { customerId: "another", state: this.#currentState(), nudges: [...this.nudges.values()] }
  }

  #person(): Person {
    if (this.sharing.length === 0) return SINGLE_CUSTOMER
    const others = this.sharing.map((other) => other.asShared())
    return { others, isOptedOut: others.some(({ state }) => state.outreach.optedOutAt !== null) }
  }

  #currentState(): CustomerState {
    this.#state ??= rebuild([...this.#ledger.values()])
    return this.#state
  }

  /** Fold, decide, commit; a lost worker leaves it to the next call. */
  advance(now: Instant): void {
    const outcome = this.#nextOutcome()
    if (outcome === "lost before") return
    for (let time = 0; time < (outcome === "done twice" ? 2 : 1); time++) {
      const nudges = [...this.nudges.values()]
      for (const action of decide(this.#currentState(), nudges, this.#settings, this.#reach, now)) this.#perform(action)
    }
  }

  /** Sends what is due. All are marked before the first is sent, as by concurrent workers. */
  sendDue(now: Instant): void {
    const due = [...this.nudges.values()].filter(
      ({ status, dueAt }) => (status === "planned" || status === "sending") && dueAt <= now,
    )
    for (const nudge of due.filter(({ id }) => this.#prepare(id, now))) this.#send(nudge.id, now)
  }

  #prepare(id: string, now: Instant): boolean {
    const nudge = this.#row(id)
    if (
      nudge.status === "sending" &&
      (nudge.channel !== "email" || !isWithinWindow(this.#firstAttemptAt.get(id), now))
    ) {
      this.#set(id, { status: "unknown", reason: "worker_lost" })
      return false
    }
    const others = [...this.nudges.values()].filter((other) => other.id !== id)
    const decision = decideSend(this.#currentState(), nudge, others, this.#settings, now, this.#person())
    if (decision.kind === "suppress") this.#set(id, { status: "suppressed", reason: decision.reason })
    if (decision.kind === "defer") this.#set(id, { dueAt: decision.until, reason: decision.reason })
    if (decision.kind !== "send") return false
    this.#set(id, { status: "sending", reason: null, attempts: nudge.attempts + 1, sentAt: now })
    this.#firstAttemptAt.set(id, this.#firstAttemptAt.get(id) ?? now)
    return true
  }

  #send(id: string, now: Instant): void {
    const outcome = this.#nextOutcome()
    if (outcome === "lost before") return
    const nudge = this.#row(id)
    const isRejected = outcome === "refused" || outcome === "retry"
    const isKeyKnown =
      nudge.channel === "email" &&
      this.visible.some(({ nudge: other, at }) => other.id === id && isWithinWindow(at, now))
    if (!isRejected && !isKeyKnown)
      this.visible.push({ nudge, at: now, knownThen: this.#currentState(), personThen: this.#person() })
    if (outcome === "lost after") return
    if (isRejected && !isKeyKnown) this.#settleRejection(nudge, outcome, now)
    else if (outcome === "unknown") this.#set(id, { status: "unknown", reason: "time_out" })
    else this.#settleSent(nudge, now)
  }

  #settleSent({ id, caseId, step, channel }: Nudge, now: Instant): void {
    this.#set(id, { status: "sent", reason: null, sentAt: now })
    const receipt = { nudgeId: id, caseId, step, channel, providerMessageId: null }
    this.arrive({ kind: "nudge_sent", id: `nudge_sent:${id}`, occurredAt: now, ...receipt })
  }

  #settleRejection(nudge: Nudge, outcome: SimulatedOutcome, now: Instant): void {
    const again = outcome === "retry" ? retryAt(nudge.attempts, null, now) : null
    if (again !== null) {
      this.#set(nudge.id, { status: "planned", reason: "busy", dueAt: again, sentAt: null })
      return
    }
    this.#set(nudge.id, { status: "failed", reason: "no_address", sentAt: null })
    const others = [...this.nudges.values()].filter((other) => other.id !== nudge.id)
    const fallback = fallbackFor(this.#currentState(), nudge, others, this.#settings, this.#reach, now)
    if (fallback) this.#plan(fallback)
  }

  #perform(action: Action): void {
    if (action.kind === "plan_nudge") this.#plan(action.nudge)
    else if (action.kind === "move_nudge") {
      const { id, dueAt, reason } = action.nudge
      this.#set(id, { dueAt, reason })
    } else this.#set(action.nudgeId, { status: "suppressed", reason: action.reason })
  }

  /** Like the database: an existing row changes only if it was suppressed. */
  #plan(nudge: Nudge): void {
    const present = this.nudges.get(nudge.id)
    if (present === undefined) this.nudges.set(nudge.id, nudge)
    else if (present.status === "suppressed")
      this.#set(nudge.id, { status: nudge.status, reason: nudge.reason, dueAt: nudge.dueAt })
  }

  #set(id: string, change: Partial<Nudge>): void {
    this.nudges.set(id, { ...this.#row(id), ...change })
  }

  #row(id: string): Nudge {
    const nudge = this.nudges.get(id)
    if (!nudge) throw new Error(`no nudge ${id}`)
    return nudge
  }
}
