import { describe, expect, test } from "vitest"
import { fakeRemote, reply, sendThrough, startFakeRemote } from "../../test/support/channels.ts"
import { slackChannel } from "./slack.ts"

startFakeRemote()

describe("Slack", () => {
  test("gets the text, without previews of links", async () => {
    fakeRemote.answer = reply(200, "ok")
    expect(await sendThrough("slack")).toEqual({ kind: "sent", providerMessageId: null })
    expect(fakeRemote.recorded[0]?.path).toBe("/services/T/B/x")
    expect(JSON.parse(fakeRemote.recorded[0]?.body ?? "")).toEqual({
      text: "Hi Ada, https://pay.example.com/r/abc",
      unfurl_links: false,
      unfurl_media: false,
    })
  })

  test("may be sent to another webhook of the same host", async () => {
    await sendThrough("slack", { to: `${fakeRemote.url}/services/other` })
    expect(fakeRemote.recorded[0]?.path).toBe("/services/other")
  })

  test.each([
    "https://evil.example/services/x",
    "http://0x7f.1/services/x",
    "http://127.0.0.1:1/services/x",
    "file:///etc/passwd",
    "no url",
    "//evil.example/x",
  ])("is never sent to %s", async (to) => {
    expect(await sendThrough("slack", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
    expect(fakeRemote.recorded).toEqual([])
  })

  test("takes no webhook of another host, nor one with credentials, as configuration", () => {
    for (const webhookUrl of ["https://evil.example/services/x", "https://a:b@hooks.slack.com/services/x", "x", ""]) {
      expect(slackChannel({ webhookUrl, apiUrl: "https://hooks.slack.com" }).isConfigured).toBe(false)
    }
    expect(
      slackChannel({ webhookUrl: "https://hooks.slack.com/services/x", apiUrl: "https://hooks.slack.com" })
        .isConfigured,
    ).toBe(true)
  })
})
