import { describe, expect, test } from "vitest"
import { fakeRemote, KEY, message, reply, sendThrough, startFakeRemote } from "../../test/support/channels.ts"
import { smsChannel } from "./sms.ts"

startFakeRemote()

describe("SMS", () => {
  test("is the form that Twilio expects", async () => {
    fakeRemote.answer = reply(201, { sid: "SM42" })
    expect(await sendThrough("sms")).toEqual({ kind: "sent", providerMessageId: "SM42" })
    expect(fakeRemote.recorded[0]?.path).toBe("/2010-04-01/Accounts/AC1/Messages.json")
    expect(fakeRemote.recorded[0]?.headers.authorization).toBe(`Basic ${btoa("AC1:token")}`)
    expect(fakeRemote.recorded[0]?.headers["content-type"]).toBe("application/x-www-form-urlencoded")
    expect(Object.fromEntries(new URLSearchParams(fakeRemote.recorded[0]?.body))).toEqual({
      To: "+491701234567",
      From: "+15005550006",
      Body: "Hi Ada, https://pay.example.com/r/abc",
    })
  })

  test("goes through a messaging service when the sender is one", async () => {
    await smsChannel({ accountSid: "AC1", authToken: "t", apiUrl: fakeRemote.url, from: "MG7" }).send(
      message("+491701234567"),
      {
        idempotencyKey: KEY,
      },
    )
    expect(fakeRemote.recorded[0]?.body).toContain("MessagingServiceSid=MG7")
  })

  test.each([
    [21610, "opted_out"],
    [21211, "invalid_address"],
    [21614, "invalid_address"],
    [99999, "http_400"],
  ])("reads Twilio's error %i as %s", async (code, reason) => {
    fakeRemote.answer = reply(400, { code, message: "The number +491701234567 …", status: 400 })
    expect(await sendThrough("sms")).toEqual({ kind: "refused", reason })
  })

  test.each(["", "0170 1234567", "+0170", "491701234567", "+49170123456789012", "+49\n1701234567"])(
    "is not sent to %j",
    async (to) => {
      expect(await sendThrough("sms", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
      expect(fakeRemote.recorded).toEqual([])
    },
  )
})
