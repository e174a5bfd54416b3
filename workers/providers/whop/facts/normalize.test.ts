import { describe, expect, test } from "vitest"
import { AT, BILL, factOf, fixture, namesOf, read, readV1, versions } from "../../../../test/fixtures/whop/fixtures.ts"
import { normalize } from "./normalize.ts"

describe("payments", () => {
  test("a failed attempt has its number, the reason, and the time of the next one", () => {
    expect(read(fixture("v1", "payment-failed.second-attempt"))).toEqual({
      provider: "whop",
      account: "biz_9YQ2xExample",
      providerEventId: "msg_constructed0001",
      type: "payment.failed",
      apiVersion: "v1",
      occurredAt: AT,
      isLive: true,
      customer: "user_T1h3xycVulUVN",
      objects: ["pay_cJ5C52xzGQftKH", "mem_vi6Xw8ZDO8rjjR", "mber_2kExampleMember"],
      facts: [
        { kind: "customer_seen", hasEmail: true, occurredAt: AT },
        {
          kind: "payment_failed",
          ...BILL,
          attempt: 2,
          declineCode: "insufficient_funds",
          nextAttemptAt: "2026-09-23T14:13:20.000Z",
          isFirstInvoice: false,
          issuedAt: "2026-09-21T13:13:20.000Z",
        },
      ],
      contact: { name: "Ada Example", email: "member@example.com" },
      unhandled: null,
    })
  })

  test("the last attempt has no next one, and the page to pay on", () => {
    const delivery = read(fixture("v1", "payment-failed.last-attempt-with-decline-code"))
    expect(factOf(delivery)).toMatchObject({ attempt: 4, declineCode: "expired_card", nextAttemptAt: null })
    expect(delivery.contact?.paymentPageUrl).toBe("https://whop.com/checkout/recover/pay_cJ5C52xzGQftKH")
  })

  test("an absent next attempt does not mean that there is none", () => {
    const event = fixture("v1", "payment-failed.second-attempt")
    const { next_payment_attempt: _, ...data } = event.data as Record<string, unknown> // an object in the fixture
    expect(factOf(read({ ...event, data }))).not.toHaveProperty("nextAttemptAt")
  })

  test("a first bill is a failed sale", () => {
    expect(factOf(read(fixture("v1", "payment-failed.first-bill")))).toMatchObject({ isFirstInvoice: true, attempt: 1 })
  })

  test("yen have no minor units", () => {
    expect(factOf(read(fixture("v1", "payment-failed.yen")))).toMatchObject({ amountMinor: 1980, currency: "jpy" })
  })

  test("the success of a bill has the id of its failures", () => {
    expect(factOf(read(fixture("v1", "payment-succeeded.after-retry")))).toEqual({
      kind: "payment_succeeded",
      ...BILL,
      how: "collected",
    })
  })

  test("authentication is required, with the page for it", () => {
    const delivery = read(fixture("v1", "payment-requires-action"))
    expect(factOf(delivery)).toEqual({ kind: "payment_action_required", ...BILL })
    expect(delivery.contact).toHaveProperty("paymentPageUrl")
  })

  test("a pending payment is in progress", () => {
    const delivery = read(fixture("v1", "payment-pending"))
    expect(delivery).toMatchObject({ unhandled: null, customer: "user_T1h3xycVulUVN" })
    expect(factOf(delivery)).toMatchObject({ kind: "payment_pending", invoiceId: "pay_cJ5C52xzGQftKH" })
    expect(delivery.objects).toEqual(["pay_cJ5C52xzGQftKH", "mem_vi6Xw8ZDO8rjjR", "mber_2kExampleMember"])
  })

  test.each([
    ["Your card has expired. Please check the expiration date and try again.", "expired_card"],
    ["This payment was declined because the card is reported as stolen.", "stolen_card"],
    ["For security reasons, this payment couldn’t be processed.", "suspected_fraud"],
    ["The security code (CVC) is incorrect.", "invalid_cvc"],
    ["The security code (CVC) or expiration date is incorrect.", "invalid_cvc_or_expiration"],
    ["The card number is incorrect.", "invalid_card_number"],
    ["Your card was declined.", "generic_decline"],
    ["issuer_unavailable", "issuer_unavailable"],
    ["Something new", null],
    [null, null],
  ])("the message %j means %s", (message, code) => {
    const delivery = readV1("payment-failed.second-attempt", { failure_message: message })
    expect(factOf(delivery)).toMatchObject({ declineCode: code })
  })
})

describe("memberships", () => {
  test("start, and start again", () => {
    expect(factOf(read(fixture("v1", "membership-activated.first-time")))?.kind).toBe("subscription_started")
    expect(factOf(read(fixture("v1", "membership-activated.again")))?.kind).toBe("subscription_resumed")
  })

  test("end at the member's request", () => {
    const fact = factOf(read(fixture("v1", "membership-deactivated.requested")))
    expect(fact).toMatchObject({ kind: "subscription_ended", reason: "requested" })
    expect(fact).toMatchObject({ subscription: { status: "canceled", cancelAt: null, endedAt: AT } })
  })

  test("go on while Whop still tries to collect", () => {
    const fact = factOf(read(fixture("v1", "membership-deactivated.while-past-due")))
    expect(fact).toMatchObject({ kind: "subscription_changed", subscription: { status: "past_due", endedAt: null } })
  })

  test("announce their end with its date and reason, and withdraw it", () => {
    expect(factOf(read(fixture("v1", "membership-cancel-at-period-end-changed.announced")))).toEqual({
      kind: "cancellation_announced",
      occurredAt: AT,
      reason: "too_expensive",
      subscription: {
        subscriptionId: "mem_vi6Xw8ZDO8rjjR",
        status: "active",
        currency: "usd",
        items: [
          {
            priceId: "plan_ACoSACuzLHnrE",
            productId: "prod_nTBNZkZbvGII9",
            unitAmountMinor: null,
            quantity: 1,
            interval: null,
            intervalCount: 1,
            usageType: "licensed",
          },
        ],
        startedAt: "2026-08-12T14:13:20.000Z",
        currentPeriodEnd: "2026-10-20T14:13:20.000Z",
        trialEnd: null,
        cancelAt: "2026-10-20T14:13:20.000Z",
        endBy: "member",
        endedAt: null,
        paused: null,
      },
    })
    const withdrawn = factOf(read(fixture("v1", "membership-cancel-at-period-end-changed.withdrawn")))
    expect(withdrawn).toMatchObject({ kind: "subscription_resumed", subscription: { cancelAt: null } })
  })

  test("an announcement without a known period still has a date", () => {
    const delivery = readV1("membership-cancel-at-period-end-changed.announced", { renewal_period_end: null })
    expect(factOf(delivery)).toMatchObject({ kind: "cancellation_announced", subscription: { cancelAt: AT } })
  })

  test("end their trial", () => {
    const fact = factOf(read(fixture("v1", "membership-trial-ending-soon")))
    expect(fact).toMatchObject({
      kind: "trial_ending",
      subscription: { status: "trialing", trialEnd: "2026-10-20T14:13:20.000Z" },
    })
  })

  test("pause and resume", () => {
    const paused = factOf(read(fixture("v1", "membership-updated.paused")))
    expect(paused).toMatchObject({
      kind: "subscription_paused",
      subscription: { status: "active", paused: "requested" },
    })
    expect(factOf(read(fixture("v1", "membership-updated.unpaused")))?.kind).toBe("subscription_resumed")
  })

  test.each([
    ["trialing", "trialing"],
    ["active", "active"],
    ["past_due", "past_due"],
    ["completed", "active"],
    ["canceling", "active"],
    ["drafted", "incomplete"],
    ["unresolved", "unknown"],
    ["invented_later", "unknown"],
    [null, "unknown"],
  ])("the status %s is %s", (status, expected) => {
    const event = fixture("v1", "membership-activated.again")
    const delivery = read({ ...event, type: "membership.updated", data: { ...(event.data as object), status } })
    expect(factOf(delivery)).toMatchObject({ kind: "subscription_changed", subscription: { status: expected } })
  })
})

describe("reversals, invoices and the rest", () => {
  test("a refund that succeeded counts, one that is pending does not", () => {
    expect(factOf(read(fixture("v1", "refund-created")))).toMatchObject({ kind: "payment_refunded", ...BILL })
    const pending = readV1("refund-created", { status: "pending" })
    expect(pending).toMatchObject({ facts: [], unhandled: "refund has not succeeded" })
  })

  test("a dispute opens and closes", () => {
    const dispute = { ...BILL, disputeId: "dspt_4ExampleDispute" }
    const opened = { kind: "dispute_opened", ...dispute, reason: "Product Not Received", isInquiry: false }
    expect(factOf(read(fixture("v1", "dispute-created")))).toEqual(opened)
    expect(factOf(read(fixture("v1", "dispute-created.inquiry")))).toEqual({ ...opened, isInquiry: true })
    expect(factOf(read(fixture("v1", "dispute-updated.won")))).toEqual({
      kind: "dispute_closed",
      ...dispute,
      outcome: "won",
    })
    expect(factOf(read(fixture("v1", "dispute-updated.lost")))).toMatchObject({ outcome: "lost" })
  })

  test("an alert is not a dispute", () => {
    expect(read(fixture("v1", "dispute-alert-created"))).toMatchObject({ facts: [], unhandled: "not used" })
  })

  test("an invoice that is overdue is a failure without an attempt, and is settled under the same id", () => {
    const refs = { invoiceId: "inv_6ExampleInvoice", subscriptionId: null, chargeId: null, paymentIntentId: null }
    const money = { amountMinor: 11999, currency: "usd" }
    const overdue = read(fixture("v1", "invoice-past-due"))
    expect(factOf(overdue)).toEqual({
      kind: "payment_failed",
      ...refs,
      ...money,
      attempt: null,
      declineCode: null,
      isFirstInvoice: false,
      collection: "manual",
      billing: "one_off",
      occurredAt: AT,
    })
    expect(overdue.contact?.email).toBe("member@example.com")
    expect(factOf(read(fixture("v1", "invoice-paid")))).toMatchObject({ kind: "payment_succeeded", ...refs, ...money })
    expect(factOf(read(fixture("v1", "invoice-voided")))).toEqual({ kind: "invoice_voided", ...refs, occurredAt: AT })
    expect(factOf(read(fixture("v1", "invoice-marked-uncollectible")))?.kind).toBe("invoice_uncollectible")
  })

  test("a setup intent adds a payment method", () => {
    const delivery = read(fixture("v1", "setup-intent-succeeded"))
    expect(delivery.customer).toBe("user_T1h3xycVulUVN")
    expect(factOf(delivery)).toMatchObject({ kind: "payment_method_added", paymentMethodId: "payt_8ExampleToken" })
  })

  test("a waiting list is not used, a future type is unknown; neither fails", () => {
    expect(read(fixture("v1", "entry-created")).unhandled).toBe("not used")
    const future = { ...fixture("v1", "payment-pending"), type: "payment.teleported" }
    expect(read(future)).toMatchObject({
      facts: [],
      unhandled: "unknown type",
      providerEventId: "msg_constructed0007",
    })
  })
})

describe("the person", () => {
  test("an address that is hidden is not an address that is gone", () => {
    const user = { id: "user_T1h3xycVulUVN", name: null, email: null, username: "ada" }
    const delivery = readV1("payment-failed.second-attempt", { user })
    expect(delivery.contact).toBeNull()
    expect(delivery.facts[0]).toEqual({ kind: "customer_seen", occurredAt: AT })
  })

  test("of a deleted account is unknown, and the facts are stored under the payment", () => {
    const delivery = readV1("payment-failed.second-attempt", { user: null })
    expect(delivery.customer).toBeNull()
    expect(delivery.objects[0]).toBe("pay_cJ5C52xzGQftKH")
    expect(delivery.facts).toHaveLength(2)
  })

  test.each([
    "http://whop.com/pay",
    "https://whop.com.evil.example/pay",
    "https://evilwhop.com/pay",
    "https://whop.com@evil.example/pay",
    "https://user:pass@whop.com/pay",
    "https://whop.com:8443/pay",
    "javascript:alert(1)",
    "//whop.com/pay",
    "",
    42,
  ])("is never sent to %j", (recovery_url) => {
    const delivery = readV1("payment-requires-action", { recovery_url })
    expect(delivery.contact).not.toHaveProperty("paymentPageUrl")
  })

  test("no fact contains contact data", () => {
    for (const version of versions) {
      for (const name of namesOf(version)) {
        const facts = JSON.stringify(read(fixture(version, name)).facts)
        expect(facts).not.toMatch(/member@example\.com|Ada|https:/)
      }
    }
  })
})

describe("the mode", () => {
  const BODY = { id: "msg_1", api_version: "v1", type: "payment.failed", timestamp: AT, company_id: "biz_1" }
  const context = { receivedAt: new Date(AT), headers: new Headers() }
  const isLiveOf = (data: object, how?: { readonly isSandbox: boolean }) => {
    const delivery = normalize({ ...BODY, data: { id: "pay_1", ...data } }, context, how)
    return delivery.ok ? delivery.value.isLive : null
  }

  test("of an event is test where its pages are the sandbox's, and else that of the deployment's Whop", () => {
    expect(isLiveOf({})).toBe(true)
    expect(isLiveOf({}, { isSandbox: true })).toBe(false)
    expect(isLiveOf({ recovery_url: "https://sandbox.whop.com/pay/1" })).toBe(false)
    expect(isLiveOf({ membership: { id: "mem_1", manage_url: "https://sandbox.whop.com/m/1" } })).toBe(false)
    expect(isLiveOf({ manage_url: "https://sandbox.whop.com.evil.example/" })).toBe(true)
    expect(isLiveOf({ livemode: false })).toBe(false)
  })
})
