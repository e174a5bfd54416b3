/** An outage delays and loses nothing: nothing acknowledged is lost, and no message is sent twice. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { SLOW_MS } from "../../../local/faults.ts"
import { fresh, invoiceEvent, sendStripe } from "../../support/events/providers.ts"
import {
  advanceClock,
  mailbox,
  reset,
  setFault,
  sql,
  waitFor,
  waitUntilProcessed,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  for (const target of ["postgres", "redis", "qstash", "email"]) await setFault(target, "off")
})

const deliver = async (customer: string, type = "invoice.payment_failed") => {
  const event = invoiceEvent({ type, at: await worldNow(), customer, invoice: `in_of_${customer}` })
  const startedAt = performance.now()
  const answer = await sendStripe(event)
  return { event, status: answer.status, ms: performance.now() - startedAt }
}

describe.each(["down", "hang", "slow", "drop", "error"])("Postgres in mode %s during a stream of webhooks", (mode) => {
  test("every answer is 200 from a durable store within five seconds, and nothing is lost or doubled", async () => {
    const before = await Promise.all(Array.from({ length: 5 }, () => deliver(fresh("cus"))))
    await waitUntilProcessed()
    await setFault("postgres", mode)
    const during = await Promise.all(Array.from({ length: 12 }, () => deliver(fresh("cus"))))
    await setFault("postgres", "off")
    const after = await Promise.all(Array.from({ length: 5 }, () => deliver(fresh("cus"))))

    const all = [...before, ...during, ...after]
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 200))
    expect(Math.max(...all.map(({ ms }) => ms))).toBeLessThan(5_000)

    // A slow Postgres commits after the Worker has stopped waiting; that must not double anything.
    if (mode === "slow") await new Promise((resolve) => setTimeout(resolve, SLOW_MS + 1_000))
    await waitFor(async () => {
      await advanceClock("PT15S") // past the wait before QStash's next delivery
      const [row] = await sql<{ cases: string }>("select count(*) as cases from recovery_cases where status = 'open'")
      return row?.cases === String(all.length)
    }, 60)
    const [row] = await sql<{ events: string; keys: string }>(
      "select (select count(*) from webhook_events) as events, (select count(*) from webhook_event_keys) as keys",
    )
    expect(row).toEqual({ events: String(all.length), keys: String(all.length) })
    await advanceClock("PT10M")
    const sent = await mailbox()
    expect(sent.map((message) => message.to).sort()).toEqual(
      all.map(({ event }) => `${(event.data as { object: { customer: string } }).object.customer}@example.com`).sort(),
    )
  })
})

test("Postgres and QStash down: Redis keeps the delivery, and sweep ingests it", async () => {
  await setFault("postgres", "down")
  await setFault("qstash", "down")
  const { status } = await deliver(fresh("cus"))
  expect(status).toBe(200)
  await setFault("postgres", "off")
  await setFault("qstash", "off")
  await advanceClock("PT3M")
  expect(await sql("select status from recovery_cases")).toEqual([{ status: "open" }])
})

test("all stores down: 503 with Retry-After, and the retry is stored once", async () => {
  for (const target of ["postgres", "qstash", "redis"]) await setFault(target, "down")
  const event = invoiceEvent({
    type: "invoice.paid",
    at: await worldNow(),
    customer: fresh("cus"),
    invoice: fresh("in"),
  })
  const refused = await sendStripe(event)
  expect(refused.status).toBe(503)
  expect(refused.headers.get("retry-after")).toMatch(/^\d+$/)
  expect(refused.body.code).toBe("UNAVAILABLE")
  for (const target of ["postgres", "qstash", "redis"]) await setFault(target, "off")
  expect((await sendStripe(event)).body).toMatchObject({ received: true, duplicate: false })
})

test("QStash down: sweep sends the nudge, once", async () => {
  await setFault("qstash", "down")
  await deliver(fresh("cus"))
  await waitUntilProcessed()
  expect(await mailbox()).toEqual([])
  await advanceClock("PT10M")
  expect(await mailbox()).toHaveLength(1)
  await setFault("qstash", "off")
  await advanceClock("PT30M")
  expect(await mailbox()).toHaveLength(1)
})

test("a channel that is down: the nudge is sent when it is back, once", async () => {
  await setFault("email", "down")
  await deliver(fresh("cus"))
  await waitUntilProcessed()
  await advanceClock("PT2M")
  expect(await mailbox()).toEqual([])
  await setFault("email", "off")
  await advanceClock("PT1H")
  expect(await mailbox()).toHaveLength(1)
})

test("a channel that loses its reply: the message is visible once and the nudge is unknown", async () => {
  await setFault("email", "drop")
  await deliver(fresh("cus"))
  await waitFor(async () => (await mailbox()).length === 1)
  await setFault("email", "off")
  await advanceClock("PT6H")
  expect(await mailbox()).toHaveLength(1)
  expect(await sql("select status from nudges where step = 0")).toEqual([{ status: "unknown" }])
})
