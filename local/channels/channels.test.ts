import { Whop } from "@whop/sdk"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { createFaults, type Faults, type Listening } from "../faults.ts"
import { startWhopApi, WHOP_BASE_PATH } from "../provider-apis/whop.ts"
import { createMailbox, type Mailbox } from "./mailbox.ts"
import { startSendgrid } from "./sendgrid.ts"
import { startSlack } from "./slack.ts"
import { startTwilio } from "./twilio.ts"

const NOW = new Date("2026-05-01T00:00:00Z")

let mailbox: Mailbox
let faults: Faults
let server: Listening

beforeEach(() => {
  mailbox = createMailbox(() => NOW)
  faults = createFaults({ slowMs: 10 })
})
afterEach(() => server.stop())

describe("SendGrid", () => {
  const mail = {
    personalizations: [{ to: [{ email: "ada@example.com" }], custom_args: { nudge: "n1" } }],
    from: { email: "billing@example.com", name: "Billing" },
    subject: "Your card",
    content: [
      { type: "text/plain", value: "plain" },
      { type: "text/html", value: "<p>html</p>" },
    ],
    headers: { "List-Unsubscribe": "<https://x.example/u>" },
    reply_to: { email: "help@acme.example" },
  }
  const send = (body: object, authorization = "Bearer SG.key") =>
    fetch(`${server.url}/v3/mail/send`, {
      method: "POST",
      headers: { authorization, "content-type": "application/json", "idempotency-key": "k1" },
      body: JSON.stringify(body),
    })

  beforeEach(async () => {
    server = await startSendgrid({ mailbox, faults, apiKey: "SG.key" })
  })

  test("a mail is answered 202 with an id, and is in the mailbox", async () => {
    const response = await send(mail)
    expect([response.status, await response.text()]).toEqual([202, ""])
    expect(response.headers.get("x-message-id")).toBeTruthy()
    expect(mailbox.messages).toEqual([
      expect.objectContaining({
        channel: "email",
        to: "ada@example.com",
        subject: "Your card",
        body: "plain",
        html: "<p>html</p>",
        idempotencyKey: "k1",
        at: "2026-05-01T00:00:00.000Z",
        headers: mail.headers,
        replyTo: "help@acme.example",
        customArgs: { nudge: "n1" },
      }),
    ])
  })

  test("the same key twice is two mails, as at the real service", async () => {
    await send(mail)
    await send(mail)
    expect(mailbox.messages).toHaveLength(2)
  })

  test("a wrong key is 401, a mail without content 400 with errors", async () => {
    expect((await send(mail, "Bearer no")).status).toBe(401)
    const response = await send({ ...mail, content: [] })
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ errors: [{ message: expect.any(String), field: "content", help: null }] })
    expect(mailbox.messages).toHaveLength(0)
  })

  test("down refuses without effect, drop loses the answer after the effect", async () => {
    faults.set("email", "down")
    expect((await send(mail)).status).toBe(503)
    faults.set("email", "drop")
    await expect(send(mail)).rejects.toThrow()
    expect(mailbox.messages).toHaveLength(1)
  })
})

describe("Twilio", () => {
  const sid = `AC${"0".repeat(32)}`
  const send = (form: Record<string, string>, authToken = "token") =>
    fetch(`${server.url}/2010-04-01/Accounts/${sid}/Messages.json`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${sid}:${authToken}`)}` },
      body: new URLSearchParams(form),
    })

  beforeEach(async () => {
    server = await startTwilio({ mailbox, faults, accountSid: sid, authToken: "token" })
  })

  test("a message is answered 201 with its sid", async () => {
    const response = await send({ To: "+4915112345678", From: "+15005550006", Body: "Hi" })
    expect(response.status).toBe(201)
    expect(await response.json()).toMatchObject({ sid: expect.stringMatching(/^SM[0-9a-f]{32}$/), status: "queued" })
    expect(mailbox.messages).toMatchObject([{ channel: "sms", to: "+4915112345678", body: "Hi", idempotencyKey: null }])
  })

  test("an invalid number is 400 with code 21211", async () => {
    const response = await send({ To: "12", From: "+15005550006", Body: "Hi" })
    expect([response.status, (await response.json()).code]).toEqual([400, 21211])
  })

  test("a wrong token is 401 with code 20003", async () => {
    const response = await send({ To: "+4915112345678", From: "+15005550006", Body: "Hi" }, "no")
    expect([response.status, (await response.json()).code]).toEqual([401, 20003])
  })
})

test("a Slack webhook answers ok; another path answers no_service", async () => {
  server = await startSlack({ mailbox, faults, path: "/services/T/B/x" })
  const post = (path: string, body: string) => fetch(server.url + path, { method: "POST", body })
  expect(await (await post("/services/T/B/x", '{"text":"alert"}')).text()).toBe("ok")
  expect((await post("/services/T/B/y", '{"text":"alert"}')).status).toBe(404)
  expect((await post("/services/T/B/x", "{}")).status).toBe(400)
  expect(mailbox.messages).toMatchObject([{ channel: "slack", body: "alert" }])
})

describe("Whop, through its SDK", () => {
  let whop: Whop
  beforeEach(async () => {
    server = await startWhopApi({ mailbox, faults, apiKey: "key", now: () => NOW })
    whop = new Whop({ apiKey: "key", baseURL: `${server.url}${WHOP_BASE_PATH}`, maxRetries: 0 })
  })

  test("a push notification reaches each user", async () => {
    await whop.notifications.create({
      company_id: "biz_1",
      title: "Hey",
      content: "text",
      user_ids: ["user_1", "user_2"],
    })
    expect(mailbox.messages).toMatchObject([
      { channel: "push", to: "user_1", subject: "Hey", body: "text" },
      { channel: "push", to: "user_2" },
    ])
  })

  test("a direct message goes through its channel, which is one per person", async () => {
    const channel = await whop.dmChannels.create({ with_user_ids: ["user_1"] })
    const again = await whop.dmChannels.create({ with_user_ids: ["user_1"] })
    expect(again.id).toBe(channel.id)
    await whop.messages.create({ channel_id: channel.id, content: "Hi" })
    expect(mailbox.messages).toMatchObject([{ channel: "dm", to: "user_1", body: "Hi" }])
    await expect(whop.messages.create({ channel_id: "feed_none", content: "Hi" })).rejects.toMatchObject({
      status: 404,
    })
  })

  test("each grant of free days moves the end of the period", async () => {
    await fetch(`${server.url}/__objects/memberships/mem_1`, {
      method: "PUT",
      body: JSON.stringify({
        renewal_period_end: "2026-05-10T00:00:00.000Z",
        status: "active",
        created_at: NOW.toISOString(),
      }),
    })
    await whop.memberships.addFreeDays("mem_1", { free_days: 7 })
    expect(await whop.memberships.retrieve("mem_1")).toMatchObject({ renewal_period_end: "2026-05-17T00:00:00.000Z" })
    expect(mailbox.calls).toMatchObject([
      {
        provider: "whop",
        target: "whop-api",
        method: "POST",
        path: "/api/v1/memberships/mem_1/add_free_days",
        body: { free_days: 7 },
      },
      { method: "GET" },
    ])
  })

  test("unknown memberships are 404, and a wrong key 401", async () => {
    await expect(whop.memberships.retrieve("mem_none")).rejects.toMatchObject({ status: 404 })
    const other = new Whop({ apiKey: "other", baseURL: `${server.url}${WHOP_BASE_PATH}`, maxRetries: 0 })
    await expect(other.memberships.retrieve("mem_none")).rejects.toMatchObject({ status: 401 })
  })

  test("a list is paged to its end", async () => {
    for (const n of [1, 2, 3, 4, 5]) {
      await fetch(`${server.url}/__objects/payments/pay_${n}`, {
        method: "PUT",
        body: JSON.stringify({ created_at: `2026-04-0${n}T00:00:00Z`, company: { id: "biz_1" } }),
      })
    }
    const ids: string[] = []
    for await (const { id } of whop.payments.list({
      company_id: "biz_1",
      first: 2,
      created_after: "2026-04-01T12:00:00Z",
    }))
      ids.push(id)
    expect(ids).toEqual(["pay_5", "pay_4", "pay_3", "pay_2"])
  })

  test("push and direct messages have separate fault switches", async () => {
    faults.set("push", "down")
    await expect(whop.notifications.create({ company_id: "b", title: "t", content: "c" })).rejects.toMatchObject({
      status: 503,
    })
    await expect(whop.dmChannels.create({ with_user_ids: ["user_1"] })).resolves.toBeDefined()
  })
})
