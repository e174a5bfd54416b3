import { describe, expect, test } from "vitest"
import { fakeRemote, reply, sendThrough, startFakeRemote } from "../../test/support/channels.ts"

startFakeRemote()

describe("a direct message", () => {
  test("opens the channel with that user and writes into it", async () => {
    fakeRemote.answer = (response, request) =>
      reply(200, { id: request.path.endsWith("/messages") ? "post_9" : "feed_1" })(response, request)
    expect(await sendThrough("dm")).toEqual({ kind: "sent", providerMessageId: "post_9" })
    expect(fakeRemote.recorded.map((request) => [request.path, JSON.parse(request.body)])).toEqual([
      ["/api/v1/dm_channels", { with_user_ids: ["user_abc123"], company_id: "biz_1" }],
      ["/api/v1/messages", { channel_id: "feed_1", content: "Hi Ada, https://pay.example.com/r/abc" }],
    ])
  })

  test("is retried when only opening the channel failed, since nothing was delivered", async () => {
    fakeRemote.answer = (response) => void response.destroy()
    expect(await sendThrough("dm")).toEqual({ kind: "retry", reason: "connection_lost", retryAfterMs: null })
    expect(fakeRemote.recorded.length).toBe(1)
  })

  test("is unknown when the message itself was lost", async () => {
    fakeRemote.answer = (response, request) =>
      request.path.endsWith("/messages") ? void response.destroy() : reply(200, { id: "feed_1" })(response, request)
    expect(await sendThrough("dm")).toEqual({ kind: "unknown", reason: "connection_lost" })
  })

  test.each(["", "ada@example.com", "user_", "user_a/../x", "biz_1"])("is not sent to %j", async (to) => {
    expect(await sendThrough("dm", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
    expect(fakeRemote.recorded).toEqual([])
  })
})
