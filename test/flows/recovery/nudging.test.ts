/**
 * When a nudge is sent, on which channel, and what stops it. Over 300 lines because all tests share settings and helpers.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import {
  advanceToHour,
  caseOf,
  failPayment,
  failWhopPayment,
  linksIn,
  messages,
  payInvoice,
  sendNewCustomer,
  WITHOUT_ADDRESS,
} from "../../support/actions/members.ts"
import { envelope, fresh, sendStripe } from "../../support/events/providers.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import {
  advanceClock,
  api,
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
  for (const target of ["email", "push"]) await setFault(target, "off")
})

const putSettings = async (settings: object) => {
  const answer = await api("/api/settings", {
    method: "PUT",
    body: JSON.stringify(settings),
    headers: { "content-type": "application/json" },
  })
  expect(answer.status).toBe(200)
}

const playbook = (...steps: readonly object[]) => ({
  playbooks: { payment: steps, cancellation: [], at_risk: [] },
})

const channels = async (): Promise<string[]> => (await mailbox()).map(({ channel }) => channel)

/** Waits until QStash has delivered the nudge. */
const waitForAttempt = (invoice: string) =>
  waitFor(async () => {
    await waitUntilProcessed()
    const [row] = await sql<{ tried: string }>(
      "select count(*) as tried from nudges where case_id = $1 and (attempts > 0 or status <> 'planned')",
      [`payment_${invoice}`],
    )
    return Number(row?.tried) > 0
  })

describe("quiet hours", () => {
  test("no message while it is night where the member lives, and exactly one at its end", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await advanceToHour(12) // 21:00 in Tokyo
    await sendNewCustomer(customer, { email: "yui@example.com", timeZone: "Asia/Tokyo" })
    await failPayment(customer, invoice)
    expect((await caseOf(invoice)).nudges[0]).toMatchObject({ step: 0, status: "planned", channel: "email" })
    await advanceClock("PT10H")
    expect(await mailbox()).toEqual([])
    await advanceClock("PT1H10M") // past 08:00 in Tokyo
    const sent = await mailbox()
    expect(sent).toMatchObject([{ to: "yui@example.com" }])
    expect(sent[0]?.at.slice(11, 13)).toBe("23")
    await advanceClock("PT12H")
    expect(await mailbox()).toHaveLength(1)
  })

  test("the same hour is not night elsewhere: that member gets the message at once", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await advanceToHour(12)
    await sendNewCustomer(customer, { email: "eva@example.com", timeZone: "Europe/Berlin" })
    await failPayment(customer, invoice)
    expect(await messages(1)).toMatchObject([{ to: "eva@example.com" }])
  })

  test("a later step is not sent at night either", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await putSettings({ quietHours: { start: "12:00", end: "15:00" }, ...playbook({ day: 0 }, { day: 1 }) })
    await advanceToHour(11)
    await sendNewCustomer(customer, { email: "ida@example.com", timeZone: "UTC" })
    await failPayment(customer, invoice)
    await messages(1)
    await putSettings({ quietHours: { start: "10:00", end: "15:00" }, ...playbook({ day: 0 }, { day: 1 }) })
    await advanceClock("P1DT3H")
    expect(await mailbox()).toHaveLength(1)
    await advanceClock("PT2H")
    const [, second] = await mailbox()
    expect(second?.at.slice(11, 13)).toBe("15")
  })
})

test("the frequency cap counts over all cases of a member: the second case waits its turn", async () => {
  await putSettings({ frequencyCaps: [{ max: 1, hours: 24 }], ...playbook({ day: 0 }) })
  const customer = fresh("cus")
  const [first, second] = [fresh("in"), fresh("in")]
  await failPayment(customer, first)
  await messages(1)
  await failPayment(customer, second)
  expect((await caseOf(second)).status).toBe("open")
  await advanceClock("PT23H")
  expect(await mailbox()).toHaveLength(1)
  await advanceClock("PT1H30M")
  expect(await mailbox()).toHaveLength(2)
  await advanceClock("P3D")
  expect(await mailbox()).toHaveLength(2)
  expect((await caseOf(second)).nudges).toMatchObject([{ status: "sent" }])
})

describe("channels", () => {
  test("an e-mail that is permanently refused becomes an SMS, once", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await advanceToHour(12)
    await sendNewCustomer(customer, { email: "ann@localhost", phone: "+4915112345678" })
    await failPayment(customer, invoice, WITHOUT_ADDRESS)
    expect(await messages(1)).toMatchObject([{ channel: "sms", to: "+4915112345678" }])
    await advanceClock("PT4H")
    expect(await channels()).toEqual(["sms"])
    const { nudges } = await caseOf(invoice)
    expect(nudges.filter(({ step }) => step === 0).map(({ channel, status }) => [channel, status])).toEqual([
      ["email", "failed"],
      ["sms", "sent"],
    ])
  })

  test("an e-mail that is refused, without another channel, is listed as failed and not sent otherwise", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await sendNewCustomer(customer, { email: "ann@localhost" })
    await failPayment(customer, invoice, WITHOUT_ADDRESS)
    await waitForAttempt(invoice)
    await advanceClock("PT4H")
    expect(await mailbox()).toEqual([])
    const { nudges } = await caseOf(invoice)
    expect(nudges.find(({ step }) => step === 0)).toMatchObject({ status: "failed", reason: "invalid_address" })
  })

  test("a mail host that stays down is given up after the retries, and the SMS is sent", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await advanceToHour(9)
    await setFault("email", "down")
    await sendNewCustomer(customer, { email: "ann@example.com", phone: "+4915112345678" })
    await failPayment(customer, invoice)
    await waitForAttempt(invoice)
    await advanceClock("PT30M")
    expect(await mailbox()).toEqual([])
    await advanceClock("PT3H")
    expect(await channels()).toEqual(["sms"])
  })

  test("a mail host that is down for a day delays the e-mail of a member without another channel, and is one e-mail", async () => {
    const invoice = fresh("in")
    await setFault("email", "down")
    await failPayment(fresh("cus"), invoice)
    await waitForAttempt(invoice)
    await advanceClock("P1D")
    expect(await mailbox()).toEqual([])
    await setFault("email", "off")
    await advanceClock("PT2H")
    expect(await mailbox()).toHaveLength(1)
    await advanceClock("PT20H")
    expect(await mailbox()).toHaveLength(1)
    expect((await caseOf(invoice)).nudges[0]).toMatchObject({ step: 0, status: "sent" })
  })

  test("a mail host that is down for long gives one e-mail in the end, of the latest step", async () => {
    await setFault("email", "down")
    await failPayment(fresh("cus"), fresh("in"))
    await waitUntilProcessed()
    await advanceClock("P2DT1H")
    await setFault("email", "off")
    await advanceClock("PT3H")
    expect(await mailbox()).toHaveLength(1)
  })

  test("a Whop member without an e-mail address gets a push, and a direct message while push is down", async () => {
    await advanceToHour(9)
    const [payment, user] = [fresh("pay"), `user_${Date.now()}`]
    await failWhopPayment({ user, membership: fresh("mem"), payment })
    expect(await messages(1)).toMatchObject([{ channel: "push", to: user }])
    await setFault("push", "down")
    await advanceClock("P2DT4H")
    expect(await channels()).toEqual(["push", "dm"])
  })

  test("a member without an address gets no message: the case shows it", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await failPayment(customer, invoice, WITHOUT_ADDRESS)
    await waitUntilProcessed()
    await advanceClock("P5D")
    expect(await mailbox()).toEqual([])
    const { nudges } = await caseOf(invoice)
    expect(new Set(nudges.map(({ status, reason }) => `${status} ${reason}`))).toEqual(
      new Set(["suppressed no_address"]),
    )
  })

  test("an address that becomes known later restores the nudges", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await failPayment(customer, invoice, WITHOUT_ADDRESS)
    await waitUntilProcessed()
    await advanceClock("PT1H")
    await sendNewCustomer(customer, { email: "late@example.com" })
    expect(await messages(1)).toMatchObject([{ to: "late@example.com" }])
    await advanceClock("P5D")
    expect(await mailbox()).toHaveLength(3)
  })

  test("and so does one in a later invoice, although the customer had none", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await sendNewCustomer(customer, {})
    await failPayment(customer, invoice, WITHOUT_ADDRESS)
    await waitUntilProcessed()
    await advanceClock("PT1H")
    const reasons = async () => new Set((await caseOf(invoice)).nudges.map(({ reason }) => reason))
    expect(await reasons()).toEqual(new Set(["no_address"]))
    await failPayment(customer, invoice, { attempt: 2 })
    expect(await messages(1)).toMatchObject([{ to: `${customer}@example.com` }])
    // After its removal it is not used any more.
    await sendStripe(
      envelope("customer.updated", new Date((await worldNow()).getTime() + 1_000), fresh("evt"), {
        ...{ id: customer, object: "customer", name: "Ann Example", email: null, phone: null },
      }),
    )
    await waitUntilProcessed()
    await advanceClock("P5D")
    expect(await mailbox()).toHaveLength(1)
  })
})

test("a company's own days and channels apply to its next case", async () => {
  await putSettings({
    channelOrder: ["sms", "email"],
    ...playbook({ day: 0 }, { day: 1, channel: "email" }, { day: 6 }),
  })
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await advanceToHour(12)
  await sendNewCustomer(customer, { email: "ann@example.com", phone: "+4915112345678" })
  await failPayment(customer, invoice)
  await messages(1)
  await advanceClock("P10D")
  expect(await channels()).toEqual(["sms", "email", "sms"])
  const { nudges } = await caseOf(invoice)
  expect(nudges.map(({ step }) => step)).toEqual([0, 1, 6])
})

test("a member who opted out gets no more messages, in this case and later ones", async () => {
  const [customer, first, second] = [fresh("cus"), fresh("in"), fresh("in")]
  await failPayment(customer, first)
  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  await fetch(linksIn(message).unsubscribe, { method: "POST" })
  await failPayment(customer, second)
  await waitUntilProcessed()
  await advanceClock("P6D")
  expect(await mailbox()).toHaveLength(1)
  const { nudges } = await caseOf(second)
  expect(nudges.every(({ reason }) => reason === "opted_out")).toBe(true)
})

describe("a manual nudge", () => {
  const sendManually = (caseId: string, key: string) =>
    api<{ nudge: { id: string }; code: string }>(`/api/cases/${caseId}/nudge`, {
      method: "POST",
      headers: { "idempotency-key": key },
    })
  const openCase = async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await failPayment(customer, invoice)
    await messages(1)
    return { customer, invoice, id: (await caseOf(invoice)).id }
  }

  test("is one message, however often and fast it is requested", async () => {
    const { id } = await openCase()
    const answers = await Promise.all(Array.from({ length: 5 }, () => sendManually(id, "one-click")))
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202])
    expect(new Set(answers.map(({ body }) => body.nudge.id)).size).toBe(1)
    await messages(2)
    await advanceClock("PT30M")
    expect(await mailbox()).toHaveLength(2)
    expect((await sendManually(id, "one-click")).status).toBe(202)
    await advanceClock("PT30M")
    expect(await mailbox()).toHaveLength(2)
  })

  test("is refused where the frequency cap is reached", async () => {
    const { id } = await openCase()
    expect((await sendManually(id, "first")).status).toBe(202)
    await messages(2)
    expect(await sendManually(id, "second")).toMatchObject({ status: 409, body: { code: "CONFLICT" } })
    expect(await mailbox()).toHaveLength(2)
  })

  test("is refused once the case is closed", async () => {
    const { id, customer, invoice } = await openCase()
    await payInvoice(customer, invoice)
    expect((await caseOf(invoice)).status).toBe("recovered")
    expect(await sendManually(id, "too-late")).toMatchObject({ status: 409, body: { code: "CONFLICT" } })
    await advanceClock("PT30M")
    expect(await mailbox()).toHaveLength(1)
  })

  test("is refused once the member opted out", async () => {
    const { id } = await openCase()
    const [message] = await mailbox()
    if (message === undefined) throw new Error("no message")
    await fetch(linksIn(message).unsubscribe, { method: "POST" })
    expect(await sendManually(id, "unwanted")).toMatchObject({ status: 409, body: { code: "CONFLICT" } })
    await advanceClock("PT30M")
    expect(await mailbox()).toHaveLength(1)
  })
})

describe("switches", () => {
  test.each([
    ["NOTIFICATIONS_ENABLED", false],
    ["ROLLBACK_MODE", true],
  ])("%s set to %s stops messages within ten seconds, and they go out when it is set back", async (name, stops) => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await setSwitchForAll(name, stops)
    await advanceClock("PT10S")
    await failPayment(customer, invoice)
    expect((await caseOf(invoice)).status).toBe("open")
    await advanceClock("PT2H")
    expect(await mailbox()).toEqual([])
    await setSwitchForAll(name, !stops)
    await advanceClock("PT10M")
    expect(await mailbox()).toHaveLength(1)
    await advanceClock("PT12H")
    expect(await mailbox()).toHaveLength(1)
  })

  test("processing that is off holds events within ten seconds, and drains them when it is on again", async () => {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await failPayment(fresh("cus"), fresh("in")) // the isolate reads its switches
    await messages(1)
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", false)
    await advanceClock("PT10S")
    const answer = await failPayment(customer, invoice)
    expect(answer).toMatchObject({ status: 200, body: { received: true, duplicate: false } })
    // The answer does not wait for the switch; the work after it does.
    await waitFor(async () => (await api(`/api/events/${answer.body.id}`)).body.status === "held", 3)
    await advanceClock("PT1H")
    expect(await mailbox()).toHaveLength(1)
    await setSwitchForAll("WEBHOOK_PROCESSING_ENABLED", true)
    await advanceClock("PT5M")
    expect(await messages(2)).toHaveLength(2)
    expect((await api(`/api/events/${answer.body.id}`)).body).toMatchObject({ status: "processed" })
    expect((await caseOf(invoice)).status).toBe("open")
  })
})
