/** Incentives: applied once, for a reason, with a receipt. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { caseOf, failPayment, failWhopPayment, messages } from "../../support/actions/members.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import { providerWrites, putProviderObject, readProviderObject } from "../../support/world/external-services.ts"
import { advanceClock, api, mailbox, reset, setFault, sql, waitFor, worldNow } from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["stripe-api", "whop-api", "email"]) await setFault(target, "off")
})

const DISCOUNT = { kind: "discount", percentOff: 20, months: 2 }

const giveOn = async (kind: "payment" | "cancellation", incentive: object, more: object = {}) => {
  const steps = [{ day: 0, incentive }]
  const playbooks = { payment: [], cancellation: [], at_risk: [], [kind]: steps }
  const body = JSON.stringify({ playbooks, ...more })
  const answer = await api("/api/settings", { method: "PUT", body, headers: { "content-type": "application/json" } })
  expect(answer.status).toBe(200)
}

const subscriptionOf = (customer: string) => ({
  id: `sub_of_${customer}`,
  object: "subscription",
  customer,
  status: "past_due",
  discounts: [],
  metadata: {},
  items: { object: "list", data: [{ id: "si_1", current_period_end: 1_900_000_000 }] },
})

const newMember = async (overrides: object = {}) => {
  const customer = fresh("cus")
  await putProviderObject("stripe", "subscriptions", `sub_of_${customer}`, {
    ...subscriptionOf(customer),
    ...overrides,
  })
  return { customer, subscription: `sub_of_${customer}`, invoice: fresh("in") }
}

const discountsOf = async (subscription: string) =>
  (await readProviderObject("stripe", "subscriptions", subscription)).discounts as readonly unknown[]

const appliedIn = ({ timeline }: Awaited<ReturnType<typeof caseOf>>) =>
  timeline.filter(({ kind }) => kind === "incentive_applied")

/** How often a discount was applied, without repeated answers to the same key. */
const discountsGiven = async () =>
  (await providerWrites()).filter(
    ({ path, isReplay, status }) => path.includes("/subscriptions/") && !isReplay && status === 200,
  )

describe("a discount at Stripe", () => {
  test("is applied once under its own key, is in the message, and its receipt is in the timeline", async () => {
    await giveOn("payment", DISCOUNT)
    const { customer, subscription, invoice } = await newMember()
    await failPayment(customer, invoice)
    const [message] = await messages(1)
    expect(message?.body).toContain("20%")
    expect(await discountsOf(subscription)).toHaveLength(1)

    const given = await discountsGiven()
    expect(given).toHaveLength(1)
    expect(given[0]?.idempotencyKey).toContain(invoice)
    const recovery = await waitFor(async () => {
      const current = await caseOf(invoice)
      return current.nudges[0]?.status === "sent" && current
    })
    expect(appliedIn(recovery)).toMatchObject([
      { incentive: DISCOUNT, providerReceiptId: expect.stringMatching(/^di_/) },
    ])
    expect(await sql("select incentive, receipt_id is not null as has_receipt from incentives")).toEqual([
      { incentive: DISCOUNT, has_receipt: true },
    ])
    await advanceClock("P10D")
    expect(await discountsGiven()).toHaveLength(1)
  })

  test("is given once per customer and period: the next case's message has none", async () => {
    await giveOn("payment", DISCOUNT, { incentivePeriodDays: 30 })
    const { customer, subscription, invoice } = await newMember()
    await failPayment(customer, invoice)
    await messages(1)
    await advanceClock("P2D")
    const second = fresh("in")
    await failPayment(customer, second)
    await messages(2)
    expect(await discountsOf(subscription)).toHaveLength(1)
    expect(appliedIn(await caseOf(second))).toEqual([])
    expect((await mailbox())[1]?.body).not.toContain("20%")

    await advanceClock("P30D")
    const third = fresh("in")
    await failPayment(customer, third)
    await messages(3)
    expect(await discountsOf(subscription)).toHaveLength(2)
  })

  test("two cases at the same moment are one message and one discount", async () => {
    await giveOn("payment", DISCOUNT)
    const { customer, subscription } = await newMember()
    await Promise.all([failPayment(customer, fresh("in")), failPayment(customer, fresh("in"))])
    await messages(1)
    await advanceClock("PT2H")
    expect(await discountsOf(subscription)).toHaveLength(1)
    expect(await mailbox()).toHaveLength(1)
  })

  test("keeps the discounts that the member had", async () => {
    await giveOn("payment", DISCOUNT)
    const { customer, subscription, invoice } = await newMember({ discounts: [{ id: "di_old", object: "discount" }] })
    await failPayment(customer, invoice)
    await messages(1)
    expect(await discountsOf(subscription)).toMatchObject([{ id: "di_old" }, { object: "discount" }])
  })

  test.each(["down", "error", "drop"])(
    "waits with its message while the API is %s, and is then applied once",
    async (mode) => {
      await giveOn("payment", DISCOUNT)
      const { customer, subscription, invoice } = await newMember()
      await setFault("stripe-api", mode)
      await failPayment(customer, invoice)
      await waitFor(async () => (await caseOf(invoice)).nudges[0]?.reason === "provider_api")
      expect(await mailbox()).toEqual([])
      await setFault("stripe-api", "off")
      await advanceClock("PT1H")
      expect(await mailbox()).toHaveLength(1)
      expect(await discountsOf(subscription)).toHaveLength(1)
      expect(appliedIn(await caseOf(invoice))).toHaveLength(1)
    },
  )

  test("and its message survive hours without the API", async () => {
    await giveOn("payment", DISCOUNT)
    const { customer, subscription, invoice } = await newMember()
    await setFault("stripe-api", "down")
    await failPayment(customer, invoice)
    await waitFor(async () => (await caseOf(invoice)).nudges[0]?.reason === "provider_api")
    await advanceClock("PT6H")
    expect(await mailbox()).toEqual([])
    await setFault("stripe-api", "off")
    await advanceClock("PT2H")
    expect(await mailbox()).toHaveLength(1)
    expect(await discountsOf(subscription)).toHaveLength(1)
  })

  test("that is permanently refused is left out, and the message is sent without it", async () => {
    await giveOn("payment", DISCOUNT)
    const { customer, invoice } = await newMember({ customer: "cus_somebody_else" })
    await failPayment(customer, invoice)
    const [message] = await messages(1)
    expect(message?.body).not.toContain("20%")
    expect(appliedIn(await caseOf(invoice))).toEqual([])
    expect(await discountsGiven()).toEqual([])
  })

  test("is applied once although the e-mail is retried: one discount, one message", async () => {
    await giveOn("payment", DISCOUNT)
    const { customer, subscription, invoice } = await newMember()
    await setFault("email", "down")
    await failPayment(customer, invoice)
    await waitFor(async () => (await discountsOf(subscription)).length === 1)
    await setFault("email", "off")
    await advanceClock("PT1H")
    expect(await mailbox()).toMatchObject([{ body: expect.stringContaining("20%") }])
    expect(await discountsOf(subscription)).toHaveLength(1)
    expect(appliedIn(await caseOf(invoice))).toHaveLength(1)
  })
})

describe("free days", () => {
  test("at Whop are added once to the membership", async () => {
    await giveOn("payment", { kind: "free_days", days: 7 })
    const [membership, payment] = [fresh("mem"), fresh("pay")]
    await putProviderObject("whop", "memberships", membership, {
      status: "past_due",
      renewal_period_end: "2030-01-01T00:00:00.000Z",
    })
    await failWhopPayment({ user: `user_${Date.now()}`, membership, payment }, { email: "ben@example.com" })
    await messages(1)
    const added = (await providerWrites()).filter(({ path }) => path.endsWith("/add_free_days"))
    expect(added).toMatchObject([{ body: { free_days: 7 }, idempotencyKey: expect.stringContaining(payment) }])
    expect((await readProviderObject("whop", "memberships", membership)).renewal_period_end).toBe(
      "2030-01-08T00:00:00.000Z",
    )
    await advanceClock("P5D")
    expect((await readProviderObject("whop", "memberships", membership)).renewal_period_end).toBe(
      "2030-01-08T00:00:00.000Z",
    )
  })

  test("at Whop wait while its API is down, and are then added once", async () => {
    await giveOn("payment", { kind: "free_days", days: 7 })
    const [membership, payment] = [fresh("mem"), fresh("pay")]
    await putProviderObject("whop", "memberships", membership, {
      status: "past_due",
      renewal_period_end: "2030-01-01T00:00:00.000Z",
    })
    await setFault("whop-api", "down")
    await failWhopPayment({ user: `user_${Date.now()}`, membership, payment }, { email: "ben@example.com" })
    await waitFor(async () => (await caseOf(payment)).nudges[0]?.reason === "provider_api")
    expect(await mailbox()).toEqual([])
    await setFault("whop-api", "off")
    await advanceClock("PT1H")
    expect(await mailbox()).toHaveLength(1)
    expect((await readProviderObject("whop", "memberships", membership)).renewal_period_end).toBe(
      "2030-01-08T00:00:00.000Z",
    )
  })

  test("at Stripe move the next payment of a member with a scheduled cancellation", async () => {
    await giveOn("cancellation", { kind: "free_days", days: 14 })
    const { customer, subscription } = await newMember({ status: "active" })
    const at = await worldNow()
    const canceling = { ...subscriptionOf(customer), status: "active", currency: "usd", cancel_at_period_end: true }
    const start_date = Math.floor(at.getTime() / 1_000) - 86_400
    await failPayment(customer, fresh("in"), { type: "invoice.paid" })
    await sendStripe(
      envelope(
        "customer.subscription.updated",
        at,
        fresh("evt"),
        { ...canceling, start_date, cancel_at: null },
        {
          cancel_at_period_end: false,
        },
      ),
    )
    await messages(1)
    const { trial_end, metadata } = await readProviderObject("stripe", "subscriptions", subscription)
    expect(trial_end).toBe(1_900_000_000 + 14 * 86_400)
    expect(Object.values(metadata as object)).toEqual(["14 free days"])
  })
})
