/**
 * Postgres is down for four hours, for part of it Redis or QStash as well, while both providers send and retry by their own
 * schedules. Nothing is lost as long as one store is up at one of their attempts.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, test } from "vitest"
import { invoiceEvent } from "../support/events/providers.ts"
import { type OwnWorld, type ProviderEvent, Sender, startOwnWorld } from "../support/own-world.ts"

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Whop retries three times (docs.whop.com/developer/guides/webhooks). */
const WHOP_WAITS = [10, 20, 40].map((seconds) => seconds * SECOND)
/** Stripe retries for up to three days with exponential back-off (docs.stripe.com/webhooks); the waits are not documented. */
const STRIPE_WAITS = [5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 12 * HOUR, 12 * HOUR, 12 * HOUR]

const STEPS = 16
const STEP = "PT15M"
const EVENTS_PER_STEP = 6

let world: OwnWorld
beforeAll(async () => {
  world = await startOwnWorld()
})
afterAll(() => world.stop())

const whopFailure = JSON.parse(
  readFileSync(
    fileURLToPath(new URL("../fixtures/whop/v1/payment-failed.second-attempt.json", import.meta.url)),
    "utf8",
  ),
)

function stripeEvent(tag: string): ProviderEvent {
  const event = invoiceEvent({
    ...{ type: "invoice.payment_failed", at: world.clock.now(), id: `evt_${tag}` },
    ...{ customer: `cus_${tag}`, invoice: `in_${tag}` },
  })
  return { provider: "stripe", id: event.id, body: JSON.stringify(event) }
}

function whopEvent(tag: string): ProviderEvent {
  const { data } = whopFailure
  const id = `msg_${tag}`
  const now = world.clock.now().toISOString()
  const event = {
    ...{ ...whopFailure, id, timestamp: now },
    data: {
      ...data,
      // A failure of the fixture's own time would lapse for lack of news.
      ...{ created_at: now, updated_at: now, last_payment_attempt: now },
      ...{ id: `pay_${tag}`, user: { ...data.user, id: `user_${tag}`, email: `user_${tag}@example.com` } },
      ...{ membership: { ...data.membership, id: `mem_${tag}` }, member: { ...data.member, id: `mber_${tag}` } },
    },
  }
  return { provider: "whop", id, body: JSON.stringify(event) }
}

test("four hours without Postgres: every event of both providers is acknowledged and in the ledger afterwards", async () => {
  const senders = { stripe: new Sender(world, STRIPE_WAITS), whop: new Sender(world, WHOP_WAITS) }
  const sent: string[] = []
  const sendSome = async (step: string): Promise<void> => {
    const some = Array.from({ length: EVENTS_PER_STEP }, (_, index) => `${step}x${index}`)
    await Promise.all(
      some.flatMap((tag) => {
        sent.push(`evt_s${tag}`, `msg_w${tag}`)
        return [senders.stripe.send(stripeEvent(`s${tag}`)), senders.whop.send(whopEvent(`w${tag}`))]
      }),
    )
  }
  await sendSome("before")

  world.faults.set("postgres", "down")
  for (let step = 0; step < STEPS; step++) {
    // For an hour QStash is down as well and Redis takes the deliveries; for another hour Redis is down.
    world.faults.set("qstash", step >= 4 && step < 8 ? "down" : "off")
    world.faults.set("redis", step >= 10 && step < 14 ? "down" : "off")
    await sendSome(`during${step}`)
    await world.advance(STEP)
    await senders.stripe.retryDue()
  }
  // Then everything is down, for less than Whop's retries last: its last attempt finds a store.
  for (const target of ["qstash", "redis"] as const) world.faults.set(target, "down")
  await sendSome("blackout")
  expect(senders.whop.isWaiting).toBe(true)
  for (const seconds of [11, 21]) {
    await world.advance(`PT${seconds}S`)
    await senders.whop.retryDue()
  }
  for (const target of ["qstash", "redis"] as const) world.faults.set(target, "off")
  await world.advance("PT41S")
  await senders.whop.retryDue()
  world.faults.set("postgres", "off")

  for (let hours = 0; hours < 4 && senders.stripe.isWaiting; hours++) {
    await world.advance("PT1H")
    await senders.stripe.retryDue()
  }
  await world.advance("PT20M")

  expect([...senders.stripe.givenUp, ...senders.whop.givenUp]).toEqual([])
  expect(senders.stripe.acknowledged.size + senders.whop.acknowledged.size).toBe(sent.length)
  const rows = await world.sql<{ id: string; status: string }>(
    "select provider_event_id as id, status from webhook_events order by 1",
  )
  expect(rows.map(({ id }) => id)).toEqual(sent.toSorted())
  expect(rows.filter(({ status }) => status !== "processed")).toEqual([])
  const [cases] = await world.sql("select count(*)::int as cases from recovery_cases where status = 'open'")
  expect(cases).toEqual({ cases: sent.length })

  // Each member of these cases got one message.
  const messages = world.mailbox.messages.filter(({ channel }) => channel === "email")
  const perMember = Map.groupBy(messages, ({ to }) => to)
  expect([...perMember.values()].filter((seen) => seen.length > 1)).toEqual([])
  expect(perMember.size).toBe(sent.length)
})
