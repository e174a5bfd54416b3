/** The limits of single contact rules: what just applies, and what just does not. */
import { describe, expect, test } from "vitest"
import * as make from "../../../../test/support/events/facts.ts"
import { on } from "../../../../test/support/events/facts.ts"
import type { Fact, Instant } from "../../facts.ts"
import { DEFAULT_SETTINGS } from "../../settings.ts"
import { findCase } from "../../state.ts"
import { rebuild } from "../fold.ts"
import { type Person, SINGLE_CUSTOMER } from "./contact-context.ts"
import { applyRules } from "./contact-policy.ts"
import { openBillsOf, totalsByCurrency } from "./conversation.ts"
import { manualNudgeId, type Nudge, nudgeId } from "./nudges.ts"

const PAYMENT = "payment_in_1"
const LEAVING = "cancellation_sub_1_1"
const failed = make.paymentFailed({ at: on(0) })
const failedToo = make.paymentFailed({ at: on(1), invoiceId: "in_2" })
const announced = make.cancellationAnnounced({ at: on(1) })

function nudge(given: Partial<Nudge> = {}): Nudge {
  const { caseId = PAYMENT, step = 0, channel = "email" } = given
  const id = step === null ? manualNudgeId(caseId, "key", channel) : nudgeId(caseId, step, channel)
  const rest = { status: "planned", reason: null, incentive: null, dueAt: on(0), attempts: 0, sentAt: null } as const
  return { id, caseId, step, channel, ...rest, ...given }
}
const sent = (caseId: string, step: number | null, at: Instant, given: Partial<Nudge> = {}): Nudge =>
  nudge({ caseId, step, status: "sent", dueAt: at, sentAt: at, ...given })

interface Row {
  readonly facts: readonly Fact[]
  readonly of?: Partial<Nudge>
  readonly nudges?: readonly Nudge[]
  readonly person?: Person
  readonly now?: Instant
}
/** The rule that applies when the nudge is sent, or null. */
function ruleFor({ facts, of = {}, nudges = [], person = SINGLE_CUSTOMER, now = on(0) }: Row): string | null {
  const subject = nudge(of)
  const state = rebuild(facts)
  const recoveryCase = findCase(state, subject.caseId)
  if (!recoveryCase) throw new Error(`the facts open no ${subject.caseId}`)
  const settings = { ...DEFAULT_SETTINGS, frequencyCaps: [], quietHours: null }
  return applyRules("send", { state, recoveryCase, nudge: subject, nudges, person, settings, now })?.rule.rule ?? null
}

describe("another subscription in place of one whose bill is open", () => {
  const product = (productId: string | null) => [{ ...make.MONTHLY, productId }]
  const own = (productId: string | null) =>
    make.subscription("subscription_started", { at: on(-9), startedAt: on(-90), items: product(productId) })
  const bought = (given: object = {}) =>
    make.subscription("subscription_started", { at: on(2), subscriptionId: "sub_2", startedAt: on(2), ...given })
  const paid = make.paymentSucceeded({ at: on(2), invoiceId: "in_9", subscriptionId: "sub_2" })
  const rule = (...facts: readonly Fact[]) => ruleFor({ facts: [failed, ...facts], now: on(3) })

  test("is one of the same product, started when the case opened or later, and paid", () => {
    expect(rule(own("prod_1"), bought(), paid)).toBe("bought_again")
    expect(rule(own("prod_1"), bought({ startedAt: on(0) }), paid)).toBe("bought_again")
    expect(rule(own("prod_1"), bought({ status: "trialing" }), paid)).toBe("bought_again")
  })

  test.each<[string, object]>([
    ["was bought before", { startedAt: on(0, "09:59:59") }],
    ["has no known start", { startedAt: null }],
    ["is itself past due", { status: "past_due" }],
    ["is going to end", { cancelAt: on(30) }],
    ["is paused", { paused: "requested" }],
    ["is of another product", { items: [{ ...make.MONTHLY, productId: "prod_2" }] }],
  ])("is none that %s", (_, given) => {
    expect(rule(own("prod_1"), bought(given), paid)).toBeNull()
  })

  test("is none that was never paid", () => {
    expect(rule(own("prod_1"), bought())).toBeNull()
  })

  test("counts as the same product where either names none, or where one of several is the same", () => {
    expect(rule(own(null), bought(), paid)).toBe("bought_again")
    expect(rule(own("prod_1"), bought({ items: product(null) }), paid)).toBe("bought_again")
    expect(rule(bought(), paid)).toBe("bought_again")
    const two = [...product("prod_7"), ...product("prod_1")]
    expect(rule(own("prod_1"), bought({ items: two }), paid)).toBe("bought_again")
  })

  test("is not the subscription itself, nor anything for a bill without one", () => {
    const ownPaid = make.paymentSucceeded({ at: on(2), invoiceId: "in_9" })
    const ownAgain = make.subscription("subscription_changed", { at: on(2), startedAt: on(2) })
    expect(rule(ownAgain, ownPaid)).toBeNull()
    const oneOff = make.paymentFailed({ at: on(0), subscriptionId: null, billing: "one_off" })
    expect(ruleFor({ facts: [oneOff, bought(), paid], now: on(3) })).toBeNull()
  })
})

describe("another subscription in place of one that is canceled", () => {
  const bought = (startedAt: Instant | null) =>
    make.subscription("subscription_started", { at: on(1), subscriptionId: "sub_2", startedAt })
  const rule = (ownStart: Instant | null, startedAt: Instant | null) =>
    ruleFor({
      facts: [make.cancellationAnnounced({ at: on(40), startedAt: ownStart, cancelAt: on(60) }), bought(startedAt)],
      of: { caseId: LEAVING },
      now: on(41),
    })

  test("was bought thirty days before the announcement, or later", () => {
    expect(rule(on(-90), on(10))).toBe("bought_again")
    expect(rule(on(-90), on(10, "09:59:59"))).toBeNull()
    expect(rule(on(-90), null)).toBeNull()
  })

  test("was bought after the canceled one, where its start is known", () => {
    expect(rule(on(20), on(21))).toBe("bought_again")
    expect(rule(on(20), on(20))).toBeNull()
    expect(rule(on(20), on(15))).toBeNull()
    expect(rule(null, on(15))).toBe("bought_again")
  })
})

describe("several steps that are due together", () => {
  const rule = (...nudges: readonly Nudge[]) => ruleFor({ facts: [failed], of: { step: 2 }, nudges, now: on(5) })

  test("are one message: the latest", () => {
    expect(rule(nudge({ step: 4, dueAt: on(5) }))).toBe("superseded")
    expect(rule(nudge({ step: 4, dueAt: on(5, "10:00:01") }))).toBeNull()
    expect(rule(sent(PAYMENT, 4, on(4)))).toBe("superseded")
  })

  test("are not those before it, the same one on another channel, by hand or for the team", () => {
    expect(rule(nudge({ step: 0 }), nudge({ step: 2, channel: "sms" }))).toBeNull()
    expect(rule(nudge({ step: null }), nudge({ step: 4, channel: "slack" }))).toBeNull()
    expect(rule(nudge({ step: 4, status: "failed" }))).toBeNull()
  })
})

describe("an older open bill speaks for a younger one", () => {
  const rule = (...nudges: readonly Nudge[]) =>
    ruleFor({ facts: [failed, failedToo], of: { caseId: "payment_in_2" }, nudges, now: on(1) })

  test("when its next message is due within three days, or on its way", () => {
    expect(rule(nudge({ step: 4, dueAt: on(4) }))).toBe("covered")
    expect(rule(nudge({ step: 4, dueAt: on(4, "10:00:01") }))).toBeNull()
    expect(rule(nudge({ step: 2, status: "sending", dueAt: on(9) }))).toBe("covered")
  })

  test("not by a manual message, one for the team, or a suppressed one", () => {
    expect(rule(nudge({ step: null, dueAt: on(2) }))).toBeNull()
    expect(rule(nudge({ step: 2, channel: "slack", dueAt: on(2) }))).toBeNull()
    expect(rule(nudge({ step: 2, status: "suppressed", dueAt: on(2) }))).toBeNull()
    expect(rule(nudge({ caseId: "payment_in_2", step: 2, dueAt: on(2) }))).toBeNull()
  })

  test("not once it is closed, and a cancellation not at all", () => {
    const paid = make.paymentSucceeded({ at: on(1) })
    const due = nudge({ step: 4, dueAt: on(2) })
    const of = { caseId: "payment_in_2" }
    expect(ruleFor({ facts: [failed, failedToo, paid], of, nudges: [due], now: on(1) })).toBeNull()
    const leaving = make.cancellationAnnounced({ at: on(0, "09:00:00") })
    const dueToo = nudge({ caseId: LEAVING, step: 4, dueAt: on(2) })
    expect(ruleFor({ facts: [leaving, failed], nudges: [dueToo], now: on(1) })).toBeNull()
  })
})

describe("a reminder is sent once in a conversation", () => {
  const rule = (nudges: readonly Nudge[], { facts = [failed, failedToo], step = 2, now = on(9) } = {}) =>
    ruleFor({ facts, of: { caseId: "payment_in_2", step }, nudges, now })

  test("when another bill that was open at the same time had it, or a later one", () => {
    expect(rule([sent(PAYMENT, 2, on(2))])).toBe("already_sent")
    expect(rule([sent(PAYMENT, 4, on(2))])).toBe("already_sent")
    expect(rule([sent(PAYMENT, 0, on(2))])).toBeNull()
    expect(rule([sent(PAYMENT, 2, on(2))], { step: 0 })).toBeNull()
  })

  test("by hand, to the team and not delivered say nothing", () => {
    expect(rule([sent(PAYMENT, null, on(2))])).toBeNull()
    expect(rule([sent(PAYMENT, 2, on(2), { channel: "slack" })])).toBeNull()
    expect(rule([nudge({ step: 2, status: "failed" })])).toBeNull()
  })

  test("also of a bill that closed just when this one opened, not of one that closed before", () => {
    const closedAt = (at: Instant) => [failed, make.paymentSucceeded({ at }), failedToo]
    expect(rule([sent(PAYMENT, 2, on(0))], { facts: closedAt(on(1)) })).toBe("already_sent")
    expect(rule([sent(PAYMENT, 2, on(0))], { facts: closedAt(on(1, "09:59:59")) })).toBeNull()
  })

  test("of a case that has left the state, when it was said while this one was open", () => {
    const gone = "payment_in_gone"
    expect(rule([sent(gone, 2, on(1))])).toBe("already_sent")
    expect(rule([sent(gone, 2, on(1, "09:59:59"))])).toBeNull()
    expect(rule([sent("cancellation_sub_9_1", 2, on(2))])).toBeNull()
    expect(rule([nudge({ caseId: gone, step: 2, status: "sending", dueAt: on(0) })])).toBe("already_sent")
    expect(rule([nudge({ caseId: gone, step: 2, status: "unknown", dueAt: on(0) })])).toBeNull()
  })

  test("of a case of another kind for a week before this one opened", () => {
    const facts = [make.cancellationAnnounced({ at: on(-20) }), failed]
    const of = { step: 2 }
    const saidAt = (at: Instant) => ruleFor({ facts, of, nudges: [sent(LEAVING, 2, at)], now: on(2) })
    expect(saidAt(on(-7))).toBe("already_sent")
    expect(saidAt(on(-7, "09:59:59"))).toBeNull()
  })
})

describe("a cancellation that is announced again", () => {
  const resumed = make.subscription("subscription_resumed", { at: on(2) })
  const again = make.cancellationAnnounced({ at: on(3) })
  const second = { caseId: "cancellation_sub_1_2", step: 0 }
  const rule = (nudges: readonly Nudge[], now = on(3), facts: readonly Fact[] = [announced, resumed, again]) =>
    ruleFor({ facts, of: second, nudges, now })

  test("gets no second copy of a step within a week", () => {
    const first = sent(LEAVING, 0, on(1))
    expect(rule([first])).toBe("repeated_cancellation")
    expect(rule([first], on(8, "09:59:59"))).toBe("repeated_cancellation")
    expect(rule([first], on(8))).toBeNull()
  })

  test("gets another step, and what only the team or nobody had", () => {
    expect(rule([sent(LEAVING, 2, on(1))])).toBeNull()
    expect(rule([sent(LEAVING, 0, on(1), { channel: "slack" })])).toBeNull()
    expect(rule([nudge({ caseId: LEAVING, status: "suppressed" })])).toBeNull()
  })

  test("is compared with its own subscription and kind only", () => {
    const other = make.cancellationAnnounced({ at: on(1), subscriptionId: "sub_2" })
    const back = make.subscription("subscription_resumed", { at: on(2), subscriptionId: "sub_2" })
    const facts = [announced, resumed, again, other, back]
    expect(rule([sent("cancellation_sub_2_1", 0, on(1))], on(3), facts)).toBeNull()
    const bill = [failed, make.paymentSucceeded({ at: on(1) }), announced, resumed, again]
    expect(rule([sent(PAYMENT, 0, on(0))], on(3), bill)).toBeNull()
    expect(rule([sent(second.caseId, 0, on(3), { channel: "sms" })], on(4))).toBeNull()
  })
})

test("cases that are open together get a message a day, counted from the last one", () => {
  const nudges = [sent(PAYMENT, 0, on(1, "08:00:00")), sent(PAYMENT, 2, on(1))]
  const at = (now: Instant) =>
    ruleFor({ facts: [failed, failedToo], of: { caseId: "payment_in_2", step: 4 }, nudges, now })
  expect(at(on(2, "09:59:59"))).toBe("one_per_day")
  expect(at(on(2))).toBeNull()
})

describe("the open bills that a message names", () => {
  const names = (facts: readonly Fact[], person: Person = SINGLE_CUSTOMER, caseId = PAYMENT) => {
    const state = rebuild(facts)
    const recoveryCase = findCase(state, caseId)
    if (!recoveryCase) throw new Error("no case was opened")
    return openBillsOf({ state, recoveryCase, person }).map(({ id }) => id)
  }

  test("are all that may be spoken of, and its own in any case", () => {
    const lost = make.paymentFailed({ at: on(1), invoiceId: "in_3", declineCode: "lost_card" })
    expect(names([failed, failedToo, lost, announced])).toEqual([PAYMENT, "payment_in_2"])
    expect(names([failed, lost], SINGLE_CUSTOMER, "payment_in_3")).toEqual([PAYMENT, "payment_in_3"])
  })

  test("are none for a cancellation", () => {
    expect(names([failed, announced], SINGLE_CUSTOMER, LEAVING)).toEqual([])
  })

  test("are summed by currency; one without an amount is only counted", () => {
    const bills = rebuild([
      failed,
      failedToo,
      make.paymentFailed({ at: on(1), invoiceId: "in_3", currency: "eur", amountMinor: 500 }),
      make.paymentFailed({ at: on(1), invoiceId: "in_4", currency: null, amountMinor: null }),
    ]).cases
    expect(totalsByCurrency(bills)).toEqual({
      invoiceCount: 4,
      totals: [
        { totalMinor: 500, currency: "eur" },
        { totalMinor: 3_998, currency: "usd" },
      ],
    })
    expect(totalsByCurrency(bills.slice(3))).toEqual({ invoiceCount: 1, totals: [] })
  })
})
