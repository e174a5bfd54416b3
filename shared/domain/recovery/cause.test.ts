import { describe, expect, test } from "vitest"
import * as make from "../../../test/support/events/facts.ts"
import { on } from "../../../test/support/events/facts.ts"
import type { Fact } from "../facts.ts"
import { type Cause, causeOf } from "./cause.ts"
import { rebuild } from "./fold.ts"

const failed = make.paymentFailed({ at: on(0) })
const paid = make.paymentSucceeded({ at: on(20) })

function causeAfter(...facts: readonly Fact[]): Cause | null {
  const state = rebuild(facts)
  const [first] = state.cases
  if (!first) throw new Error("no case was opened")
  return causeOf(first, state)
}

test("an open case has no cause yet", () => {
  expect(causeAfter(failed, make.nudgeSent({ at: on(1) }))).toBeNull()
})

describe("a paid case is attributed to", () => {
  test.each<[Cause, string, readonly Fact[]]>([
    ["provider_retry", "nothing else that we know of", []],
    ["nudge", "our message of that day", [make.nudgeSent({ at: on(19) })]],
    ["nudge", "our message of exactly seven days before", [make.nudgeSent({ at: on(13) })]],
    ["provider_retry", "a message a second older than seven days", [make.nudgeSent({ at: on(13, "09:59:59") })]],
    ["provider_retry", "a message after the payment", [make.nudgeSent({ at: on(20, "10:00:01") })]],
    ["provider_retry", "a message in another case", [make.nudgeSent({ at: on(19), caseId: "payment_in_2" })]],
    [
      "nudge",
      "a click within seven days of an older message",
      [make.nudgeSent({ at: on(2) }), make.linkClicked({ at: on(18) })],
    ],
    ["nudge", "our message of the second of the payment", [make.nudgeSent({ at: on(20) })]],
    [
      "nudge",
      "the first click of a day, where the last came after the payment",
      [make.linkClicked({ at: on(20, "09:00:00") }), make.linkClicked({ at: on(20, "11:00:00") })],
    ],
    ["card_updater", "the card updater", [make.cardUpdatedByProvider({ at: on(5) })]],
    ["customer", "a card the member put in unasked", [make.cardAdded({ at: on(5) })]],
    [
      "card_updater",
      "the card updater before the member",
      [make.cardAdded({ at: on(5) }), make.cardUpdatedByProvider({ at: on(4) })],
    ],
    ["provider_retry", "a card from before the failure", [make.cardAdded({ at: on(-1) })]],
    [
      "nudge",
      "our message before the card that followed",
      [make.nudgeSent({ at: on(18) }), make.cardAdded({ at: on(19) })],
    ],
    [
      "incentive",
      "the incentive before the message that brought it",
      [make.nudgeSent({ at: on(18) }), make.incentiveApplied({ at: on(18) })],
    ],
  ])("%s: %s", (cause, _, facts) => {
    expect(causeAfter(failed, ...facts, paid)).toBe(cause)
  })

  test("the customer, for an invoice that is paid manually", () => {
    const overdue = make.paymentFailed({ at: on(0), attempt: null, collection: "manual" })
    expect(causeAfter(overdue, paid)).toBe("customer")
    expect(causeAfter(overdue, make.nudgeSent({ at: on(19) }), paid)).toBe("nudge")
  })

  test("nobody, when it was paid out of band", () => {
    const elsewhere = make.paymentSucceeded({ at: on(20), how: "out_of_band" })
    expect(causeAfter(failed, make.nudgeSent({ at: on(19) }), make.incentiveApplied({ at: on(19) }), elsewhere)).toBe(
      "out_of_band",
    )
  })

  test.each<[Cause, Fact]>([
    ["customer", make.cardAdded({ at: on(5) })],
    ["card_updater", make.cardUpdatedByProvider({ at: on(5) })],
  ])("%s for good, whatever cards come later", (cause, card) => {
    const later = [make.cardAdded({ at: on(50) }), make.cardUpdatedByProvider({ at: on(51) })]
    expect(causeAfter(failed, card, paid, ...later)).toBe(cause)
  })
})

describe("a withdrawn cancellation is attributed to", () => {
  const about = { caseId: "cancellation_sub_1_1" }
  test.each<[Cause, readonly Fact[]]>([
    ["resumed", []],
    ["resumed", [make.cardAdded({ at: on(2) })]],
    ["nudge", [make.nudgeSent({ at: on(2), ...about })]],
    ["incentive", [make.incentiveApplied({ at: on(2), ...about })]],
  ])("%s", (cause, facts) => {
    const back = make.subscription("subscription_resumed", { at: on(3) })
    expect(causeAfter(make.cancellationAnnounced({ at: on(1) }), ...facts, back)).toBe(cause)
  })
})

test.each<[Cause, Fact]>([
  ["provider_gave_up", make.subscription("subscription_changed", { at: on(2), status: "unpaid" })],
  ["voided", make.invoiceVoided({ at: on(2) })],
  ["uncollectible", make.invoiceUncollectible({ at: on(2) })],
  ["subscription_ended", make.subscriptionEnded({ at: on(2) })],
  ["closed_by_operator", make.closedByOperator({ at: on(2) })],
])("a case that was lost says why: %s", (cause, end) => {
  expect(causeAfter(failed, make.nudgeSent({ at: on(1) }), end)).toBe(cause)
})

test("a recovery that a chargeback reversed is attributed to the dispute, and to its previous cause when the dispute is won", () => {
  const facts = [failed, make.nudgeSent({ at: on(19) }), paid, make.disputeOpened({ at: on(40) })]
  expect(causeAfter(...facts)).toBe("dispute")
  expect(causeAfter(...facts, make.disputeClosed({ at: on(60) }))).toBe("nudge")
})
