/** Two contradicting snapshots of a subscription in one second: the provider's API decides. */
import { afterEach, beforeEach, expect, test } from "vitest"
import { subscriptionObject } from "../../support/actions/reconcile.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import { providerCalls, putProviderObject } from "../../support/world/external-services.ts"
import { advanceClock, api, reset, setFault, sql, waitUntilProcessed, worldNow } from "../../support/world/world.ts"

beforeEach(reset)
afterEach(() => setFault("stripe-api", "off"))

/** A subscription that became past due and unpaid in one second, both from active. */
async function sendContradiction(customer = fresh("cus")) {
  const id = fresh("sub")
  const now = await worldNow()
  const object = (status: string) => subscriptionObject({ id, customer, now, status })
  await sendStripe(
    envelope("customer.subscription.created", new Date(now.getTime() - 60_000), fresh("evt"), object("active")),
  )
  for (const status of ["past_due", "unpaid"]) {
    const previous = { status: "active" }
    await sendStripe(envelope("customer.subscription.updated", now, fresh("evt"), object(status), previous))
  }
  await waitUntilProcessed()
  return { id, customer, object }
}

const rowOf = async (id: string) => {
  const [row] = await sql<{ status: string; isUnsettled: boolean; isAsked: boolean }>(
    `select status, unsettled_at is not null as "isUnsettled", asked_at is not null as "isAsked"
     from subscriptions where id = $1`,
    [id],
  )
  return row
}

const factsOf = (kind: string) => sql(`select body ->> 'fetched' as fetched from facts where kind = $1`, [kind])

const readings = async (id: string) =>
  (await providerCalls()).filter(({ path }) => path === `/v1/subscriptions/${id}`).length

/** Expects the stored states to be the fold of the ledgers. */
async function expectNothingToRebuild(): Promise<void> {
  const { status, body } = await api<{ checked: number; differing: unknown[] }>("/api/rebuild", {
    method: "POST",
    body: JSON.stringify({ apply: false }),
    headers: { "content-type": "application/json" },
  })
  expect([status, body.checked, body.differing]).toEqual([200, 1, []])
}

test("the provider's answer is recorded once as fetched, and settles it", async () => {
  const { id, customer, object } = await sendContradiction()
  expect(await rowOf(id)).toEqual({ status: expect.any(String), isUnsettled: true, isAsked: false })
  await putProviderObject("stripe", "subscriptions", id, object("trialing"))

  await advanceClock("PT5M")
  expect(await rowOf(id)).toEqual({ status: "trialing", isUnsettled: false, isAsked: true })
  expect(await factsOf("subscription_changed")).toContainEqual({ fetched: "true" })
  expect((await factsOf("subscription_changed")).filter(({ fetched }) => fetched === "true")).toHaveLength(1)
  const { body } = await api<{ data: { providerEventId: string }[] }>("/api/events?type=customer.subscription.updated")
  expect(body.data.filter(({ providerEventId }) => providerEventId.startsWith("fetched_"))).toHaveLength(1)

  await advanceClock("PT1H")
  expect(await readings(id)).toBe(1)
  expect(await sql("select 1 from customers where provider_customer_id = $1", [customer])).toHaveLength(1)
  await expectNothingToRebuild()
})

test("a subscription that the provider does not know stays as reported", async () => {
  const { id } = await sendContradiction()
  const before = await rowOf(id)
  await advanceClock("PT5M")
  expect(await rowOf(id)).toEqual({ status: before?.status, isUnsettled: false, isAsked: true })
  expect(await factsOf("subscription_not_found")).toHaveLength(1)
  await advanceClock("PT1H")
  expect(await factsOf("subscription_not_found")).toHaveLength(1)
  expect(await readings(id)).toBe(1)
  await expectNothingToRebuild()
})

test("while the provider is down it is called at growing intervals, and the subscription is settled when it is back", async () => {
  const { id, object } = await sendContradiction()
  await putProviderObject("stripe", "subscriptions", id, object("active"))
  await setFault("stripe-api", "error")
  await advanceClock("PT1H")
  expect(await rowOf(id)).toMatchObject({ isUnsettled: true, isAsked: true })
  await setFault("stripe-api", "off")
  await advanceClock("PT2H")
  expect(await rowOf(id)).toMatchObject({ status: "active", isUnsettled: false })
  expect(await readings(id)).toBe(1)
})

test("an answer about another customer is not used", async () => {
  const { id } = await sendContradiction()
  const foreign = subscriptionObject({ id, customer: fresh("cus"), now: await worldNow(), status: "active" })
  await putProviderObject("stripe", "subscriptions", id, foreign)
  await advanceClock("PT5M")
  expect(await rowOf(id)).toMatchObject({ isUnsettled: true, isAsked: true })
  expect(await sql("select 1 from customers")).toHaveLength(1)
})

test("a later event that settles it makes the call unnecessary", async () => {
  const { id, object } = await sendContradiction()
  const later = new Date((await worldNow()).getTime() + 2_000)
  await sendStripe(
    envelope("customer.subscription.updated", later, fresh("evt"), object("active"), { status: "unpaid" }),
  )
  await waitUntilProcessed()
  expect(await rowOf(id)).toMatchObject({ status: "active", isUnsettled: false })
  await advanceClock("PT5M")
  expect(await readings(id)).toBe(0)
})
