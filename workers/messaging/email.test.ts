import { describe, expect, test } from "vitest"
import { fakeRemote, KEY, reply, sendThrough, startFakeRemote } from "../../test/support/channels.ts"

startFakeRemote()

describe("e-mail", () => {
  test("is what SendGrid's Mail Send expects, with one-click unsubscribe and untouched links", async () => {
    fakeRemote.answer = reply(202, "", { "X-Message-Id": "msg-1.abc" })
    expect(await sendThrough("email")).toEqual({ kind: "sent", providerMessageId: "msg-1.abc" })
    expect(fakeRemote.recorded[0]?.path).toBe("/v3/mail/send")
    expect(fakeRemote.recorded[0]?.headers.authorization).toBe("Bearer SG.key")
    expect(JSON.parse(fakeRemote.recorded[0]?.body ?? "")).toEqual({
      personalizations: [{ to: [{ email: "ada@example.com" }], custom_args: { nudge_key: KEY } }],
      from: { email: "pay@acme.example", name: "Acme" },
      reply_to: { email: "help@acme.example" },
      subject: "Your payment did not go through",
      content: [
        { type: "text/plain", value: "Hi Ada, https://pay.example.com/r/abc" },
        { type: "text/html", value: "<p>Hi Ada</p>" },
      ],
      headers: {
        "List-Unsubscribe": "<https://pay.example.com/unsubscribe/abc>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
      },
      tracking_settings: {
        click_tracking: { enable: false, enable_text: false },
        open_tracking: { enable: false },
        subscription_tracking: { enable: false },
      },
    })
  })

  test("has neither HTML nor unsubscribe headers when the message has none, and never a line break in its subject", async () => {
    await sendThrough("email", { html: null, unsubscribeUrl: null, subject: "a\r\nBcc: b@example.com" })
    const body = JSON.parse(fakeRemote.recorded[0]?.body ?? "")
    expect(body.content.length).toBe(1)
    expect(body.headers).toBeUndefined()
    expect(body.subject).toBe("a Bcc: b@example.com")
  })

  test.each([
    ["answers@acme.example", "answers@acme.example"],
    [null, "help@acme.example"],
    ["a@b.example\r\nBcc: c@d.example", "help@acme.example"],
  ])("with the reply address %j is answered to %j", async (replyTo, email) => {
    await sendThrough("email", { replyTo })
    expect(JSON.parse(fakeRemote.recorded[0]?.body ?? "").reply_to).toEqual({ email })
  })

  test("is sent to the domain in its ASCII form", async () => {
    await sendThrough("email", { to: "Ada@Bücher.example" })
    const body = JSON.parse(fakeRemote.recorded[0]?.body ?? "")
    expect(body.personalizations[0].to).toEqual([{ email: "Ada@xn--bcher-kva.example" }])
  })

  test.each([
    "",
    "ada",
    "ada@localhost",
    "a b@example.com",
    "a@example.com,b@example.com",
    "a@example.com\r\nBcc:b@c.de",
    "<a@b.de>",
    `${"a".repeat(250)}@b.de`,
  ])("is not sent to %j", async (to) => {
    expect(await sendThrough("email", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
    expect(fakeRemote.recorded).toEqual([])
  })
})
