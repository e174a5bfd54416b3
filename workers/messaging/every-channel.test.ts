/** What every channel guarantees. */
import { describe, expect, test } from "vitest"
import { NotSent } from "../../shared/network/outbound-fetch.ts"
import {
  CHANNEL_FACTORIES,
  fakeRemote,
  message,
  OPTIONS,
  reply,
  sendThrough,
  startFakeRemote,
  TIMEOUT_MS,
} from "../../test/support/channels.ts"
import { dmChannel } from "./dm.ts"
import { emailChannel } from "./email.ts"
import { pushChannel } from "./push.ts"
import { slackChannel } from "./slack.ts"
import { smsChannel } from "./sms.ts"

startFakeRemote()

/** For the test without a response: short, so that the test is fast. */
const IMPATIENT_MS = 200

describe.each(Object.keys(CHANNEL_FACTORIES))("%s", (name) => {
  test("carries the idempotency key and is sent once", async () => {
    expect((await sendThrough(name)).kind).toBe("sent")
    const last = fakeRemote.recorded.at(-1)
    expect(last?.method).toBe("POST")
    expect(last?.headers["idempotency-key"]).toBe(OPTIONS.idempotencyKey)
    expect(fakeRemote.recorded.length).toBe(name === "dm" ? 2 : 1)
  })

  test.each([408, 429, 500, 503, 521, 523, 525, 526, 530])("tries again later after %i", async (status) => {
    fakeRemote.answer = reply(status)
    expect(await sendThrough(name)).toEqual({ kind: "retry", reason: `http_${status}`, retryAfterMs: null })
  })

  test.each([502, 504, 520, 522])("cannot know after %i from something in between", async (status) => {
    fakeRemote.answer = (response, request) =>
      request.path.endsWith("/dm_channels")
        ? reply(200, { id: "feed_1" })(response, request)
        : reply(status)(response, request)
    expect(await sendThrough(name)).toEqual({ kind: "unknown", reason: `http_${status}` })
  })

  test.each([400, 401, 403, 404, 410, 413, 422])("gives up after %i", async (status) => {
    fakeRemote.answer = reply(status, "<html>no</html>")
    expect(await sendThrough(name)).toEqual({ kind: "refused", reason: `http_${status}` })
  })

  test("follows no redirect", async () => {
    fakeRemote.answer = reply(307, "", { Location: `${fakeRemote.url}/elsewhere` })
    expect(await sendThrough(name)).toEqual({ kind: "refused", reason: "http_307" })
    expect(fakeRemote.recorded.length).toBe(1)
  })

  test("waits as long as requested, up to the maximum", async () => {
    for (const [headers, retryAfterMs] of [
      [{ "Retry-After": "7" }, 7_000],
      [{ "Retry-After": "99999999" }, 3_600_000],
      [{ "Retry-After": "Wed, 01 Jul 2026 10:00:30 GMT", Date: "Wed, 01 Jul 2026 10:00:00 GMT" }, 30_000],
      [{ "Retry-After": "Wed, 01 Jul 2026 09:00:00 GMT", Date: "Wed, 01 Jul 2026 10:00:00 GMT" }, 0],
      [{ "Retry-After": "soon" }, null],
      [{ "Retry-After": "-5" }, null],
    ] as const) {
      fakeRemote.answer = reply(429, "", headers)
      expect(await sendThrough(name)).toEqual({ kind: "retry", reason: "http_429", retryAfterMs })
    }
  })

  test("takes a success whose body is garbage, truncated or huge as sent", async () => {
    for (const body of ["<html>", '{"id": "x', "x".repeat(300_000)]) {
      fakeRemote.answer = (response, request) =>
        reply(200, request.path.endsWith("/dm_channels") ? { id: "feed_1" } : body)(response, request)
      expect((await sendThrough(name)).kind).toBe("sent")
    }
  })

  test("refuses to send without credentials, and makes no request", async () => {
    const bare = {
      email: emailChannel({ apiKey: "", apiUrl: fakeRemote.url, from: "pay@acme.example", replyTo: null }),
      sms: smsChannel({ accountSid: "AC1", authToken: null, apiUrl: fakeRemote.url, from: "+15005550006" }),
      push: pushChannel({ apiKey: "k", apiUrl: fakeRemote.url, experienceId: null }),
      dm: dmChannel({ apiKey: null, apiUrl: fakeRemote.url }),
      slack: slackChannel({ webhookUrl: null, apiUrl: fakeRemote.url }),
    }[name]
    expect(bare?.isConfigured).toBe(false)
    expect(await bare?.send(message("x"), OPTIONS)).toEqual({
      kind: "refused",
      reason: "not_configured",
    })
    expect(fakeRemote.recorded).toEqual([])
  })

  test("refuses a key that no header can carry instead of throwing", async () => {
    const channel = CHANNEL_FACTORIES[name]?.make(fakeRemote.url, TIMEOUT_MS)
    const to = CHANNEL_FACTORIES[name]?.to() ?? ""
    expect(await channel?.send(message(to), { ...OPTIONS, idempotencyKey: "a\r\nb" })).toEqual({
      kind: "refused",
      reason: "invalid_request",
    })
    expect(fakeRemote.recorded).toEqual([])
  })
})

describe.each(["email", "sms", "push", "slack"])("%s, without a response", (name) => {
  test("is unknown when the service does not respond", async () => {
    fakeRemote.answer = () => {}
    expect(await sendThrough(name, {}, IMPATIENT_MS)).toEqual({ kind: "unknown", reason: "timeout" })
  })

  test("is unknown when the connection breaks after the request", async () => {
    fakeRemote.answer = (response) => void response.destroy()
    expect(await sendThrough(name)).toEqual({ kind: "unknown", reason: "connection_lost" })
  })

  test("stops reading an endless response and closes the connection", async () => {
    const closed = new Promise<void>((resolve) => {
      fakeRemote.answer = (response) => {
        const pour = () => {
          while (!response.destroyed && response.write("x".repeat(16_384)));
        }
        response.on("drain", pour).on("close", () => resolve())
        response.writeHead(202)
        pour()
      }
    })
    expect((await sendThrough(name, {}, 60_000)).kind).toBe("sent")
    await closed
  })

  test("is sent when only the body is interrupted", async () => {
    fakeRemote.answer = (response) => {
      response.writeHead(202, { "Content-Length": "1000" }).write("{")
      setTimeout(() => response.destroy(), 20)
    }
    expect((await sendThrough(name)).kind).toBe("sent")
  })

  test("is unknown after an error that leaves the outcome open", async () => {
    for (const status of [501, 520, 522, 524]) {
      fakeRemote.answer = reply(status)
      expect(await sendThrough(name)).toEqual({ kind: "unknown", reason: `http_${status}` })
    }
  })
})

describe.each(Object.keys(CHANNEL_FACTORIES))("%s, where outgoing calls are blocked", (name) => {
  test.each([
    ["circuit_open", 12_000],
    ["budget_spent", null],
  ] as const)("is not sent, and retried: %s", async (reason, retryAfterMs) => {
    const closed = async () => {
      throw new NotSent(reason, retryAfterMs)
    }
    const maker = CHANNEL_FACTORIES[name]
    const sent = await maker?.make(fakeRemote.url, TIMEOUT_MS, closed).send(message(maker.to()), OPTIONS)
    expect(sent).toEqual({ kind: "retry", reason, retryAfterMs })
    expect(fakeRemote.recorded).toEqual([])
  })
})
