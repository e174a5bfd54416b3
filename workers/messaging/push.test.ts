import { describe, expect, test } from "vitest"
import { fakeRemote, reply, sendThrough, startFakeRemote } from "../../test/support/channels.ts"

startFakeRemote()

describe("push", () => {
  test("notifies one user of the experience", async () => {
    fakeRemote.answer = reply(200, { success: true })
    expect(await sendThrough("push")).toEqual({ kind: "sent", providerMessageId: null })
    expect(fakeRemote.recorded[0]?.path).toBe("/api/v1/notifications")
    expect(fakeRemote.recorded[0]?.headers.authorization).toBe("Bearer whop_key")
    expect(JSON.parse(fakeRemote.recorded[0]?.body ?? "")).toEqual({
      experience_id: "exp_1",
      user_ids: ["user_abc123"],
      title: "Your payment did not go through",
      content: "Hi Ada, https://pay.example.com/r/abc",
    })
  })

  test("is refused when Whop answers that it queued nothing", async () => {
    fakeRemote.answer = reply(200, { success: false })
    expect(await sendThrough("push")).toEqual({ kind: "refused", reason: "not_queued" })
  })
})
