/**
 * The scheduler as a pure loop over a virtual clock: facts arrive, decide plans, due nudges are claimed, decided again,
 * marked, sent and recorded. Between any two steps the worker may be lost; a step that was lost is taken up again later.
 * It keeps the promises of the database (a commit is whole or not at all) and of channels (`email` knows keys).
 */

import type { Fact, Instant } from "../../../shared/domain/facts.ts"
import { type Person, type SharedCustomer, SINGLE_CUSTOMER } from "../../../shared/domain/recovery/contact-context.ts"
import {
  type Action,
  decide,
  decideSend,
  fallbackFor,
  type ReachableChannels,
  retryAt,
} from "../../../shared/domain/recovery/decide.ts"
import { rebuild } from "../../../shared/domain/recovery/fold.ts"
import type { Nudge } from "../../../shared/domain/recovery/nudges.ts"
import type { CompanySettings } from "../../../shared/domain/settings.ts"
import type { CustomerState } from "../../../shared/domain/state.ts"

/** What a member saw, and what we knew when we sent it. */
export interface VisibleMessage {
  readonly nudge: Nudge
  readonly at: Instant
  readonly knownThen: CustomerState
  readonly personThen: Person
}

/** How the next step goes: well, or lost before or after it took effect, or what the channel answers. */
export const SEND_OUTCOMES = ["well", "lost before", "lost after", "done twice", "refused", "retry", "unknown"] as const
export type SimulatedOutcome = (typeof SEND_OUTCOMES)[number]

/** A channel that knows keys forgets them after a day (Resend, 24 hours). */
const KEY_WINDOW_MS = 24 * 3_600_000

const isWithinWindow = (at: Instant | undefined, now: Instant): boolean =>
  at !== undefined && Date.parse(now) - Date.parse(at) < KEY_WINDOW_MS

export class Scheduler {
  readonly nudges = new Map<string, Nudge>()
  readonly visible: VisibleMessage[] = []
  readonly #firstTried = new Map<string, Instant>()
  readonly #ledger = new Map<string, Fact>()
  readonly #settings: CompanySettings
  readonly #reach: ReachableChannels
  readonly #nextFate: () => SimulatedOutcome
  /** Other customers with the same address. */
  readonly sharing: Scheduler[] = []
  #state: CustomerState | null = null

  constructor(settings: CompanySettings, reach: ReachableChannels, nextFate: () => SimulatedOutcome) {
    this.#settings = settings
    this.#reach = reach
    this.#nextFate = nextFate
  }

  /** A fact of the provider or the member arrives; it is in the ledger, whatever happens to its processing. */
  arrive(fact: Fact): void {
    this.#ledger.set(fact.id, fact)
    this.#state = null
  }

  /** What the other customers of the person see of this one. */
  asShared(): SharedCustomer {
    return { customerId: "another", state: this.#known(), nudges: [...this.nudges.values()] }
  }

  #person(): Person {
    if (this.sharing.length === 0) return SINGLE_CUSTOMER
    const others = this.sharing.map((other) => other.asShared())
    return { others, isOptedOut: others.some(({ state }) => state.outreach.optedOutAt !== null) }
  }

  #known(): CustomerState {
    this.#state ??= rebuild([...this.#ledger.values()])
    return this.#state
  }

  /** Fold, decide, commit. A worker that is lost leaves it to the next. */
  advance(now: Instant): void {
    const fate = this.#nextFate()
    if (fate === "lost before") return
    for (let time = 0; time < (fate === "done twice" ? 2 : 1); time++) {
      const nudges = [...this.nudges.values()]
      for (const action of decide(this.#known(), nudges, this.#settings, this.#reach, now)) this.#carryOut(action)
    }
  }

  /** Sends what is due: all are marked before the first is sent, as workers that run at once would do it. */
  sendDue(now: Instant): void {
    const due = [...this.nudges.values()].filter(
      ({ status, dueAt }) => (status === "planned" || status === "sending") && dueAt <= now,
    )
    for (const nudge of due.filter(({ id }) => this.#prepare(id, now))) this.#send(nudge.id, now)
  }

  #prepare(id: string, now: Instant): boolean {
    const nudge = this.#row(id)
    if (nudge.status === "sending" && (nudge.channel !== "email" || !isWithinWindow(this.#firstTried.get(id), now))) {
      this.#set(id, { status: "unknown", reason: "worker_lost" })
      return false
    }
    const others = [...this.nudges.values()].filter((other) => other.id !== id)
    const decision = decideSend(this.#known(), nudge, others, this.#settings, now, this.#person())
    if (decision.kind === "suppress") this.#set(id, { status: "suppressed", reason: decision.reason })
    if (decision.kind === "defer") this.#set(id, { dueAt: decision.until, reason: decision.reason })
    if (decision.kind !== "send") return false
    this.#set(id, { status: "sending", reason: null, attempts: nudge.attempts + 1, sentAt: now })
    this.#firstTried.set(id, this.#firstTried.get(id) ?? now)
    return true
  }

  #send(id: string, now: Instant): void {
    const fate = this.#nextFate()
    if (fate === "lost before") return
    const nudge = this.#row(id)
    const isRefused = fate === "refused" || fate === "retry"
    const isKeyKnown =
      nudge.channel === "email" && this.visible.some(({ nudge: seen, at }) => seen.id === id && isWithinWindow(at, now))
    if (!isRefused && !isKeyKnown)
      this.visible.push({ nudge, at: now, knownThen: this.#known(), personThen: this.#person() })
    if (fate === "lost after") return
    if (isRefused && !isKeyKnown) this.#settleRefusal(nudge, fate, now)
    else if (fate === "unknown") this.#set(id, { status: "unknown", reason: "time_out" })
    else this.#settleSent(nudge, now)
  }

  #settleSent({ id, caseId, step, channel }: Nudge, now: Instant): void {
    this.#set(id, { status: "sent", reason: null, sentAt: now })
    const receipt = { nudgeId: id, caseId, step, channel, providerMessageId: null }
    this.arrive({ kind: "nudge_sent", id: `nudge_sent:${id}`, occurredAt: now, ...receipt })
  }

  #settleRefusal(nudge: Nudge, fate: SimulatedOutcome, now: Instant): void {
    const again = fate === "retry" ? retryAt(nudge.attempts, null, now) : null
    if (again !== null) {
      this.#set(nudge.id, { status: "planned", reason: "busy", dueAt: again, sentAt: null })
      return
    }
    this.#set(nudge.id, { status: "failed", reason: "no_address", sentAt: null })
    const others = [...this.nudges.values()].filter((other) => other.id !== nudge.id)
    const fallback = fallbackFor(this.#known(), nudge, others, this.#settings, this.#reach, now)
    if (fallback) this.#plan(fallback)
  }

  #carryOut(action: Action): void {
    if (action.kind === "plan_nudge") this.#plan(action.nudge)
    else if (action.kind === "move_nudge") {
      const { id, dueAt, reason } = action.nudge
      this.#set(id, { dueAt, reason })
    } else this.#set(action.nudgeId, { status: "suppressed", reason: action.reason })
  }

  /** As the database does it: a row that is there changes only when it was put aside. */
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
