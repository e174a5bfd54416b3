/**
 * What happens to each member on which day. The providers' events are planned; members' actions depend on the messages
 * they get, so each day's events are created on that day.
 */
import type { ProviderName } from "../../shared/domain/facts.ts"
import {
  after,
  type Bill,
  type EventBuilder,
  type Membership,
  type NextId,
  type ScheduledEvent,
} from "./events/event-builder.ts"
import { type Decline, type Member, periodDaysOf } from "./members.ts"
import type { Random } from "./random.ts"

/** Days after the first failure on which a provider retries. */
const RETRY_DAYS: Readonly<Record<ProviderName, readonly number[]>> = { stripe: [1, 3, 5, 7], whop: [1, 3, 5] }

const TRIAL_DAYS = 7
/** Stripe sends `trial_will_end` three days before the end. */
const TRIAL_NOTICE_DAYS = 3
const FIRST_INVOICE_DAYS = 1
const DISPUTE_AFTER_DAYS = 3
const DISPUTE_LASTS_DAYS = 5
/** A fading member who cancels does so on this day. */
const FADED_CANCEL_DAY = 16

const DAY_SECONDS = 86_400

/** What a member does with a message, once enough have arrived. */
export interface MemberIntention {
  readonly member: Member
  readonly act: "click" | "unsubscribe"
  /** Only messages from this time on count. */
  readonly since: Date
  /** The number of messages it takes. */
  readonly messagesMin: number
  /** The provider's events after the action. */
  readonly eventsAfter: (at: Date) => ScheduledEvent[]
}

export interface SimulationParts {
  readonly random: Random
  readonly eventBuilders: Readonly<Record<ProviderName, EventBuilder>>
  readonly nextId: NextId
  /** The providers that the company's members pay through. */
  readonly providers: readonly ProviderName[]
  /** The time at `second` of a day of the demo; days before the first are negative. */
  readonly at: (day: number, second: number) => Date
}

type Step = () => ScheduledEvent[]

export interface Simulation {
  /** What members will do after a message. An intention is removed when it is performed. */
  readonly intentions: Set<MemberIntention>
  /** Fading members who came back after a message. */
  readonly returned: ReadonlySet<Member>
  /** The providers' events of this day; to be called in order of days. */
  eventsOf(day: number): ScheduledEvent[]
}

/** A simulation of these members, including sign-ups before the first day. */
export function createSimulation(
  { random, eventBuilders, nextId, at, providers }: SimulationParts,
  members: readonly Member[],
): Simulation {
  const agenda = new Map<number, Step[]>()
  const intentions = new Set<MemberIntention>()
  const returned = new Set<Member>()

  /** Events from before the first day are sent on the first day. */
  function on(day: number, step: Step): void {
    const key = Math.max(0, day)
    agenda.set(key, [...(agenda.get(key) ?? []), step])
  }

  function join(member: Member): void {
    const { role, signUpDay } = member
    const builder = eventBuilders[member.provider]
    const second = random.int(0, DAY_SECONDS - 60)
    const startedAt = at(signUpDay, second)
    const isTrial = role.kind === "trial"
    const days = isTrial ? TRIAL_DAYS : periodDaysOf(member.price)
    const membership: Membership = {
      member,
      status: isTrial ? "trialing" : role.kind === "never_paid" ? "incomplete" : "active",
      startedAt,
      periodStart: startedAt,
      periodEnd: at(signUpDay + days, second),
      trialEnd: isTrial ? at(signUpDay + days, second) : null,
      cancelAt: null,
    }
    const isFromLongAgo = signUpDay < -30

    on(signUpDay, () => {
      if (isFromLongAgo) return builder.existing(membership, at(0, second))
      const joined = builder.joined(membership, startedAt)
      const bill = newBill(membership, after(startedAt, 5), true, isTrial ? 0 : member.price.amountMinor)
      if (role.kind !== "never_paid") return [...joined, ...builder.paid(bill, after(startedAt, 6), "collected")]
      on(signUpDay + FIRST_INVOICE_DAYS, () =>
        builder.ended(membership, at(signUpDay + FIRST_INVOICE_DAYS, second), "never_paid"),
      )
      const attempt = { at: after(startedAt, 6), decline: role.decline, nextAttemptAt: null }
      return [...joined, ...builder.failed(bill, attempt)]
    })
    if (isTrial) {
      const noticeDay = signUpDay + TRIAL_DAYS - TRIAL_NOTICE_DAYS
      on(noticeDay, () => builder.trialEnds(membership, at(noticeDay, second)))
    }
    if (role.kind === "leaves") leave(membership, signUpDay + days, second)
    if (role.kind === "fades") fade(membership, second)
    if (role.kind !== "never_paid") on(signUpDay + days, () => renew(membership, signUpDay + days, second))
  }

  function newBill(membership: Membership, createdAt: Date, isFirst: boolean, amountMinor: number): Bill {
    const id = nextId(membership.member.provider === "stripe" ? "in" : "pay")
    return { id, membership, amountMinor, isFirst, createdAt, attempts: 0, status: "open" }
  }

  function renew(membership: Membership, day: number, second: number): ScheduledEvent[] {
    const { member } = membership
    if (membership.cancelAt !== null || membership.status === "canceled") return []
    const isAfterTrial = membership.status === "trialing"
    const days = periodDaysOf(member.price)
    if (isAfterTrial) membership.status = "active"
    membership.periodStart = at(day, second)
    membership.periodEnd = at(day + days, second)
    on(day + days, () => renew(membership, day + days, second))

    const bill = newBill(membership, at(day, second), false, member.price.amountMinor)
    return [
      ...eventBuilders[member.provider].renewed(membership, bill.createdAt),
      ...charge(bill, day, second, isAfterTrial),
    ]
  }

  /** The first attempt to collect a renewal, and what follows. */
  function charge(bill: Bill, day: number, second: number, isAfterTrial: boolean): ScheduledEvent[] {
    const { member } = bill.membership
    const { role } = member
    if (role.kind === "fails") return failRenewal(bill, day, second)
    if (role.kind === "trial" && isAfterTrial && !role.converts)
      return keepTrying(bill, role.decline, day, second, null)
    return eventBuilders[member.provider].paid(bill, after(bill.createdAt, 3), "collected")
  }

  /** The first failure and everything after it. */
  function failRenewal(bill: Bill, day: number, second: number): ScheduledEvent[] {
    const { member } = bill.membership
    if (member.role.kind !== "fails") return []
    const { failurePlan: kind, decline, isDisputed } = member.role
    const builder = eventBuilders[member.provider]
    const isOpen = () => bill.status === "open"
    const pay = (paidAt: Date, paidDay: number, how: "collected" | "out_of_band" = "collected"): ScheduledEvent[] => {
      if (!isOpen()) return []
      if (isDisputed && how === "collected") dispute(bill, paidDay + DISPUTE_AFTER_DAYS, second)
      return builder.paid(bill, paidAt, how)
    }
    const payOn = (dayOfPay: number, secondOfPay: number, how?: "out_of_band"): void =>
      on(dayOfPay, () => pay(at(dayOfPay, secondOfPay), dayOfPay, how))
    const intend = (
      act: MemberIntention["act"],
      messagesMin: number,
      eventsAfter: MemberIntention["eventsAfter"],
    ): void => void intentions.add({ member, act, since: at(day, 0), messagesMin, eventsAfter })
    const payAfterClick = (clickedAt: Date): ScheduledEvent[] => pay(clickedAt, dayOf(clickedAt))

    switch (kind) {
      case "paid_at_once": {
        // The payment is sent before the failure.
        const failures = builder.failed(bill, { at: bill.createdAt, decline, nextAttemptAt: at(day + 1, second) })
        return [...pay(after(bill.createdAt, 20), day), ...failures.map((failure) => ({ ...failure, isLate: true }))]
      }
      case "clicks_and_pays":
        intend("click", 1, payAfterClick)
        break
      case "clicks_late_and_pays":
        intend("click", 2, payAfterClick)
        break
      case "clicks_only":
        intend("click", 1, () => [])
        break
      case "unsubscribes":
        intend("unsubscribe", 1, () => [])
        break
      case "unsubscribes_and_pays":
        intend("unsubscribe", 1, () => [])
        return keepTrying(bill, decline, day, second, { after: 2, pay })
      case "paid_elsewhere":
        payOn(day + 4, second, "out_of_band")
        break
      case "card_is_updated":
        on(day + 2, () => (isOpen() ? builder.cardUpdated(bill.membership, at(day + 2, second)) : []))
        return keepTrying(bill, decline, day, second, { after: 2, pay })
      case "retry_works":
        return keepTrying(bill, decline, day, second, { after: 1, pay })
      case "late_retry_works":
        return keepTrying(bill, decline, day, second, { after: 3, pay })
      case "never_pays":
        break
      default:
        return kind satisfies never
    }
    return keepTrying(bill, decline, day, second, null)
  }

  /** Retries on the provider's days until the bill is paid; after the last, the membership ends. */
  function keepTrying(
    bill: Bill,
    decline: Decline,
    day: number,
    second: number,
    success: { readonly after: number; readonly pay: (paidAt: Date, paidDay: number) => ScheduledEvent[] } | null,
  ): ScheduledEvent[] {
    const { member } = bill.membership
    const builder = eventBuilders[member.provider]
    const tries = [0, ...RETRY_DAYS[member.provider]]

    function attempt(index: number): ScheduledEvent[] {
      if (bill.status !== "open") return []
      const today = day + (tries[index] ?? 0)
      const nextDays = tries[index + 1]
      if (success?.after === index) return success.pay(at(today, second), today)
      if (nextDays !== undefined) on(day + nextDays, () => attempt(index + 1))
      const nextAttemptAt = nextDays === undefined ? null : at(day + nextDays, second)
      const failures = builder.failed(bill, { at: at(today, second), decline, nextAttemptAt })
      if (nextDays !== undefined) return failures
      bill.status = "given_up"
      return [...failures, ...builder.ended(bill.membership, after(at(today, second), 10), "payment_failed")]
    }
    return attempt(0)
  }

  function dispute(bill: Bill, day: number, second: number): void {
    const builder = eventBuilders[bill.membership.member.provider]
    on(day, () => builder.disputed(bill, at(day, second)))
    const closedOn = day + DISPUTE_LASTS_DAYS
    if (random.chance(0.5)) on(closedOn, () => builder.disputeWon(bill, at(closedOn, second)))
  }

  function leave(membership: Membership, renewalDay: number, second: number): void {
    const { member } = membership
    if (member.role.kind !== "leaves") return
    const { cancellationPlan } = member.role
    const builder = eventBuilders[member.provider]
    // A member who revokes the cancellation later pays once more; the others leave before the next bill.
    const day = cancellationPlan === "still_there" ? renewalDay + 1 : renewalDay - random.int(6, 10)
    on(day, () => builder.cancellationScheduled(membership, at(day, second)))
    if (cancellationPlan === "stays_after_all")
      on(day + 3, () => builder.cancellationRevoked(membership, at(day + 3, second)))
    if (cancellationPlan === "ends")
      on(renewalDay, () => builder.ended(membership, at(renewalDay, second), "requested"))
  }

  /** Usage falls before the demo begins (usage.ts); what follows depends on the member. */
  function fade(membership: Membership, second: number): void {
    const { member } = membership
    if (member.role.kind !== "fades") return
    if (member.role.fadingPlan === "returns") {
      const comeBack = (): ScheduledEvent[] => {
        returned.add(member)
        return []
      }
      intentions.add({ member, act: "click", since: at(0, 0), messagesMin: 1, eventsAfter: comeBack })
    }
    if (member.role.fadingPlan === "leaves") {
      const builder = eventBuilders[member.provider]
      on(FADED_CANCEL_DAY, () => builder.cancellationScheduled(membership, at(FADED_CANCEL_DAY, second)))
    }
  }

  const dayOf = (date: Date): number => Math.floor((date.getTime() - at(0, 0).getTime()) / (DAY_SECONDS * 1_000))

  for (const member of members) join(member)
  return {
    intentions,
    returned,
    eventsOf(day) {
      const events: ScheduledEvent[] = []
      // A step may add another one for the same day.
      for (let step = agenda.get(day)?.shift(); step; step = agenda.get(day)?.shift()) events.push(...step())
      agenda.delete(day)
      const seconds = random.int(0, DAY_SECONDS - 1)
      if (day % 3 === 0 && providers.includes("stripe"))
        events.push(...eventBuilders.stripe.unrelated(at(day, seconds)))
      if (day % 4 === 1 && providers.includes("whop")) events.push(...eventBuilders.whop.unrelated(at(day, seconds)))
      return events
    },
  }
}
