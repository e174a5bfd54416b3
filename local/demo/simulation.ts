/**
 * What happens to each member on which day. The providers' part is known beforehand; what members do themselves depends on
 * the messages they get, so each day is told only when it has come.
 */
import type { ProviderName } from "../../shared/domain/facts.ts"
import {
  after,
  type Bill,
  type EventBuilder,
  type Membership,
  type NextId,
  type ScheduledEvent,
} from "./event-builder.ts"
import { type Decline, type Member, periodDaysOf } from "./members.ts"
import type { Random } from "./random.ts"

/** Days after the first failure on which a provider tries again. */
const RETRY_DAYS: Readonly<Record<ProviderName, readonly number[]>> = { stripe: [1, 3, 5, 7], whop: [1, 3, 5] }

const TRIAL_DAYS = 7
/** Stripe says so three days before. */
const TRIAL_NOTICE_DAYS = 3
const FIRST_INVOICE_DAYS = 1
const DISPUTE_AFTER_DAYS = 3
const DISPUTE_LASTS_DAYS = 5

const DAY_SECONDS = 86_400

/** What a member does with a message, once enough of them have come. */
export interface MemberIntention {
  readonly member: Member
  readonly act: "click" | "unsubscribe"
  /** Only messages from then on count. */
  readonly since: Date
  /** The message it takes: the first or a later one. */
  readonly messagesMin: number
  /** What the provider tells after it; called when the member has acted. */
  readonly then: (at: Date) => ScheduledEvent[]
}

export interface StoryParts {
  readonly random: Random
  readonly narrators: Readonly<Record<ProviderName, EventBuilder>>
  readonly nextId: NextId
  /** The moment so many seconds into a day of the demo; days before the first are negative. */
  readonly at: (day: number, second: number) => Date
}

type Step = () => ScheduledEvent[]

export interface Simulation {
  /** What members wait for a message to do. A wish is taken out when it has come true. */
  readonly wishes: Set<MemberIntention>
  /** What the providers tell on this day; days are asked for in order. */
  tell(day: number): ScheduledEvent[]
}

/** A story about these members, from the sign-ups before the first day on. */
export function createSimulation(
  { random, narrators, nextId, at }: StoryParts,
  members: readonly Member[],
): Simulation {
  const agenda = new Map<number, Step[]>()
  const wishes = new Set<MemberIntention>()

  /** What has happened before the first day is told on the first day. */
  function on(day: number, step: Step): void {
    const key = Math.max(0, day)
    agenda.set(key, [...(agenda.get(key) ?? []), step])
  }

  function join(member: Member): void {
    const { part, signUpDay } = member
    const voice = narrators[member.provider]
    const second = random.int(0, DAY_SECONDS - 60)
    const startedAt = at(signUpDay, second)
    const isTrial = part.kind === "trial"
    const days = isTrial ? TRIAL_DAYS : periodDaysOf(member.price)
    const membership: Membership = {
      member,
      status: isTrial ? "trialing" : part.kind === "never_paid" ? "incomplete" : "active",
      startedAt,
      periodStart: startedAt,
      periodEnd: at(signUpDay + days, second),
      trialEnd: isTrial ? at(signUpDay + days, second) : null,
      cancelAt: null,
    }
    const isFromLongAgo = signUpDay < -30

    on(signUpDay, () => {
      if (isFromLongAgo) return voice.known(membership, at(0, second))
      const joined = voice.joined(membership, startedAt)
      const bill = newBill(membership, after(startedAt, 5), true, isTrial ? 0 : member.price.amountMinor)
      if (part.kind !== "never_paid") return [...joined, ...voice.paid(bill, after(startedAt, 6), "collected")]
      on(signUpDay + FIRST_INVOICE_DAYS, () =>
        voice.ended(membership, at(signUpDay + FIRST_INVOICE_DAYS, second), "never_paid"),
      )
      const attempt = { at: after(startedAt, 6), decline: part.decline, nextAttemptAt: null }
      return [...joined, ...voice.failed(bill, attempt)]
    })
    if (isTrial) {
      const noticeDay = signUpDay + TRIAL_DAYS - TRIAL_NOTICE_DAYS
      on(noticeDay, () => voice.trialEnds(membership, at(noticeDay, second)))
    }
    if (part.kind === "leaves") leave(membership, signUpDay + days, second)
    if (part.kind !== "never_paid") on(signUpDay + days, () => renew(membership, signUpDay + days, second))
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
    const { part } = member
    if (part.kind === "fails") return trouble(bill, day, second)
    if (part.kind === "trial" && isAfterTrial && !part.converts)
      return keepTrying(bill, part.decline, day, second, null)
    return narrators[member.provider].paid(bill, after(bill.createdAt, 3), "collected")
  }

  /** The first failure and all that comes of it. */
  function trouble(bill: Bill, day: number, second: number): ScheduledEvent[] {
    const { member } = bill.membership
    if (member.part.kind !== "fails") return []
    const { trouble: kind, decline, isDisputed } = member.part
    const voice = narrators[member.provider]
    const isOpen = () => bill.status === "open"
    const pay = (paidAt: Date, paidDay: number, how: "collected" | "out_of_band" = "collected"): ScheduledEvent[] => {
      if (!isOpen()) return []
      if (isDisputed && how === "collected") dispute(bill, paidDay + DISPUTE_AFTER_DAYS, second)
      return voice.paid(bill, paidAt, how)
    }
    const payOn = (dayOfPay: number, secondOfPay: number, how?: "out_of_band"): void =>
      on(dayOfPay, () => pay(at(dayOfPay, secondOfPay), dayOfPay, how))
    const wish = (act: MemberIntention["act"], messagesMin: number, then: MemberIntention["then"]): void =>
      void wishes.add({ member, act, since: at(day, 0), messagesMin, then })
    const payAfterClick = (clickedAt: Date): ScheduledEvent[] => pay(clickedAt, dayOf(clickedAt))

    switch (kind) {
      case "paid_at_once": {
        // The good news overtakes the bad.
        const failures = voice.failed(bill, { at: bill.createdAt, decline, nextAttemptAt: at(day + 1, second) })
        return [...pay(after(bill.createdAt, 20), day), ...failures.map((told) => ({ ...told, isLate: true }))]
      }
      case "clicks_and_pays":
        wish("click", 1, payAfterClick)
        break
      case "clicks_late_and_pays":
        wish("click", 2, payAfterClick)
        break
      case "clicks_only":
        wish("click", 1, () => [])
        break
      case "unsubscribes":
        wish("unsubscribe", 1, () => [])
        break
      case "unsubscribes_and_pays":
        wish("unsubscribe", 1, () => [])
        return keepTrying(bill, decline, day, second, { after: 2, pay })
      case "paid_elsewhere":
        payOn(day + 4, second, "out_of_band")
        break
      case "card_is_updated":
        on(day + 2, () => (isOpen() ? voice.cardUpdated(bill.membership, at(day + 2, second)) : []))
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

  /** Tries on the provider's days until the bill is paid; gives up, and the membership with it, when none is left. */
  function keepTrying(
    bill: Bill,
    decline: Decline,
    day: number,
    second: number,
    success: { readonly after: number; readonly pay: (paidAt: Date, paidDay: number) => ScheduledEvent[] } | null,
  ): ScheduledEvent[] {
    const { member } = bill.membership
    const voice = narrators[member.provider]
    const tries = [0, ...RETRY_DAYS[member.provider]]

    function attempt(index: number): ScheduledEvent[] {
      if (bill.status !== "open") return []
      const today = day + (tries[index] ?? 0)
      const nextDays = tries[index + 1]
      if (success?.after === index) return success.pay(at(today, second), today)
      if (nextDays !== undefined) on(day + nextDays, () => attempt(index + 1))
      const nextAttemptAt = nextDays === undefined ? null : at(day + nextDays, second)
      const told = voice.failed(bill, { at: at(today, second), decline, nextAttemptAt })
      if (nextDays !== undefined) return told
      bill.status = "given_up"
      return [...told, ...voice.ended(bill.membership, after(at(today, second), 10), "payment_failed")]
    }
    return attempt(0)
  }

  function dispute(bill: Bill, day: number, second: number): void {
    const voice = narrators[bill.membership.member.provider]
    on(day, () => voice.disputed(bill, at(day, second)))
    const closedOn = day + DISPUTE_LASTS_DAYS
    if (random.chance(0.5)) on(closedOn, () => voice.disputeWon(bill, at(closedOn, second)))
  }

  function leave(membership: Membership, renewalDay: number, second: number): void {
    const { member } = membership
    if (member.part.kind !== "leaves") return
    const { leaving } = member.part
    const voice = narrators[member.provider]
    // Who only thinks of leaving pays once more; the others go before the next bill.
    const day = leaving === "still_there" ? renewalDay + 1 : renewalDay - random.int(6, 10)
    on(day, () => voice.leaves(membership, at(day, second)))
    if (leaving === "stays_after_all") on(day + 3, () => voice.stays(membership, at(day + 3, second)))
    if (leaving === "ends") on(renewalDay, () => voice.ended(membership, at(renewalDay, second), "requested"))
  }

  const dayOf = (date: Date): number => Math.floor((date.getTime() - at(0, 0).getTime()) / (DAY_SECONDS * 1_000))

  for (const member of members) join(member)
  return {
    wishes,
    tell(day) {
      const told: ScheduledEvent[] = []
      // A step may add another one for the same day.
      for (let step = agenda.get(day)?.shift(); step; step = agenda.get(day)?.shift()) told.push(...step())
      agenda.delete(day)
      const seconds = random.int(0, DAY_SECONDS - 1)
      if (day % 3 === 0) told.push(...narrators.stripe.unrelated(at(day, seconds)))
      if (day % 4 === 1) told.push(...narrators.whop.unrelated(at(day, seconds)))
      return told
    },
  }
}
