/** The budget of a webhook: its outgoing calls, counted by the local replacements. */
import { beforeEach, expect, test } from "vitest"
import { fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import {
  advanceClock,
  control,
  reset,
  setFault,
  settle,
  stats,
  waitFor,
  waitUntilProcessed,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  // An isolate flushes its counts every ten seconds, after an answer, and reads its switches again. The warm delivery does
  // that, so that the counts below are those of one delivery; their shared cost has its own test.
  await advanceClock("PT11S")
  await settle()
  // A warm isolate: its switches and company are cached.
  await sendStripe(
    invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer: fresh("cus"), invoice: fresh("in") }),
  )
  await waitUntilProcessed()
})

test("one round trip to Postgres before the answer, two in all, none to Redis or QStash", async () => {
  const at = await worldNow()
  const customer = fresh("cus")
  await control("DELETE", "/stats")
  const answer = await sendStripe(invoiceEvent({ type: "invoice.paid", at, customer, invoice: fresh("in") }))
  expect(answer.status).toBe(200)
  await waitUntilProcessed()
  await settle()
  const { postgres = 0, redis = 0, qstash = 0 } = await stats()
  expect({ postgres, redis, qstash }).toEqual({ postgres: 2, redis: 0, qstash: 0 })
})

test("neither Redis nor QStash can delay an answer", async () => {
  await control("DELETE", "/stats")
  await setFault("redis", "hang")
  await setFault("qstash", "hang")
  const answer = await sendStripe(
    invoiceEvent({
      type: "invoice.payment_failed",
      at: await worldNow(),
      customer: fresh("cus"),
      invoice: fresh("in"),
    }),
  )
  expect(answer.status).toBe(200)
  await setFault("redis", "off")
  await setFault("qstash", "off")
})

test("a duplicate costs one round trip", async () => {
  const event = invoiceEvent({
    type: "invoice.paid",
    at: await worldNow(),
    customer: fresh("cus"),
    invoice: fresh("in"),
  })
  await sendStripe(event)
  await waitUntilProcessed()
  await control("DELETE", "/stats")
  expect((await sendStripe(event)).body.duplicate).toBe(true)
  await settle()
  expect((await stats()).postgres).toBe(1)
})

test("a flood of unsigned requests costs no round trip at all", async () => {
  await control("DELETE", "/stats")
  const event = invoiceEvent({
    type: "invoice.paid",
    at: await worldNow(),
    customer: fresh("cus"),
    invoice: fresh("in"),
  })
  const answers = await Promise.all(Array.from({ length: 100 }, () => sendStripe(event, { signature: "t=1,v1=00" })))
  expect(answers.every((answer) => answer.status === 401)).toBe(true)
  const { postgres = 0, redis = 0, qstash = 0 } = await waitFor(stats)
  expect({ postgres, redis, qstash }).toEqual({ postgres: 0, redis: 0, qstash: 0 })
})

test("a late fact that needs the whole ledger costs two round trips as well", async () => {
  const at = await worldNow()
  const customer = fresh("cus")
  const invoice = fresh("in")
  await sendStripe(invoiceEvent({ type: "invoice.paid", at, customer, invoice }))
  await waitUntilProcessed()
  await control("DELETE", "/stats")
  const earlier = new Date(at.getTime() - 60_000)
  await sendStripe(invoiceEvent({ type: "invoice.payment_failed", at: earlier, customer, invoice }))
  await waitUntilProcessed()
  await settle()
  expect((await stats()).postgres).toBe(2)
})

test("a hundred deliveries cost Redis a round trip every few seconds", async () => {
  // The first one stores the switches in the empty Redis, so that none of the hundred does.
  await sendStripe(
    invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer: fresh("cus"), invoice: fresh("in") }),
  )
  await waitUntilProcessed()
  await advanceClock("PT6S")
  await settle()
  await control("DELETE", "/stats")
  const at = await worldNow()
  const atOnce = 10
  for (let sent = 0; sent < 100; sent += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, () =>
        sendStripe(invoiceEvent({ type: "invoice.paid", at, customer: fresh("cus"), invoice: fresh("in") })),
      ),
    )
  }
  await waitUntilProcessed()
  // Metrics, every ten seconds; a company's share of its limit, once a second at most and for a hundredth of it; and the
  // switches, every five seconds.
  const seconds = Math.ceil(((await worldNow()).getTime() - at.getTime()) / 1_000)
  expect((await stats()).redis).toBeLessThanOrEqual(Math.ceil(seconds / 10) + 1 + 2 + atOnce * Math.ceil(seconds / 5))
})
