/** What every channel promises, whatever it sends by. */
import { describe, expect, test } from "vitest"
import {
  listenAsOtherSide,
  makers,
  message,
  OPTIONS,
  otherSide,
  reply,
  sendBy,
  TIMEOUT_MS,
} from "../../test/support/channels.ts"
import { NotSent } from "../outbound/outbound-fetch.ts"
import { dmChannel } from "./dm.ts"
import { emailChannel } from "./email.ts"
import { pushChannel } from "./push.ts"
import { slackChannel } from "./slack.ts"
import { smsChannel } from "./sms.ts"

listenAsOtherSide()

/** For the test of silence, which a busy machine may meet as well as not. */
const IMPATIENT_MS = 200

describe.each(Object.keys(makers))("%s", (name) => {
  test("carries the idempotency key and is sent once", async () => {
    expect((await sendBy(name)).kind).toBe("sent")
    const last = otherSide.recorded.at(-1)
    expect(last?.method).toBe("POST")
    expect(last?.headers["idempotency-key"]).toBe(OPTIONS.idempotencyKey)
    expect(otherSide.recorded.length).toBe(name === "dm" ? 2 : 1)
  })

  test.each([408, 429, 500, 503, 521, 523, 525, 526, 530])("tries again later after %i", async (status) => {
    otherSide.answer = reply(status)
    expect(await sendBy(name)).toEqual({ kind: "retry", reason: `http_${status}`, retryAfterMs: null })
  })

  test.each([502, 504, 520, 522])("cannot know after %i from something in between", async (status) => {
    otherSide.answer = (response, request) =>
      request.path.endsWith("/dm_channels")
        ? reply(200, { id: "feed_1" })(response, request)
        : reply(status)(response, request)
    expect(await sendBy(name)).toEqual({ kind: "unknown", reason: `http_${status}` })
  })

  test.each([400, 401, 403, 404, 410, 413, 422])("gives up after %i", async (status) => {
    otherSide.answer = reply(status, "<html>no</html>")
    expect(await sendBy(name)).toEqual({ kind: "refused", reason: `http_${status}` })
  })

  test("follows no redirect", async () => {
    otherSide.answer = reply(307, "", { Location: `${otherSide.url}/elsewhere` })
    expect(await sendBy(name)).toEqual({ kind: "refused", reason: "http_307" })
    expect(otherSide.recorded.length).toBe(1)
  })

  test("waits as long as it is told, within reason", async () => {
    for (const [headers, retryAfterMs] of [
      [{ "Retry-After": "7" }, 7_000],
      [{ "Retry-After": "99999999" }, 3_600_000],
      [{ "Retry-After": "Wed, 01 Jul 2026 10:00:30 GMT", Date: "Wed, 01 Jul 2026 10:00:00 GMT" }, 30_000],
      [{ "Retry-After": "Wed, 01 Jul 2026 09:00:00 GMT", Date: "Wed, 01 Jul 2026 10:00:00 GMT" }, 0],
      [{ "Retry-After": "soon" }, null],
      [{ "Retry-After": "-5" }, null],
    ] as const) {
      otherSide.answer = reply(429, "", headers)
      expect(await sendBy(name)).toEqual({ kind: "retry", reason: "http_429", retryAfterMs })
    }
  })

  test("takes a success whose body is garbage, truncated or huge as sent", async () => {
    for (const body of ["<html>", '{"id": "x', "x".repeat(300_000)]) {
      otherSide.answer = (response, request) =>
        reply(200, request.path.endsWith("/dm_channels") ? { id: "feed_1" } : body)(response, request)
      expect((await sendBy(name)).kind).toBe("sent")
    }
  })

  test("refuses to send without credentials, and calls nobody", async () => {
    const bare = {
      email: emailChannel({ apiKey: "", apiUrl: otherSide.url, from: "pay@acme.example", replyTo: null }),
      sms: smsChannel({ accountSid: "AC1", authToken: null, apiUrl: otherSide.url, from: "+15005550006" }),
      push: pushChannel({ apiKey: "k", apiUrl: otherSide.url, experienceId: null }),
      dm: dmChannel({ apiKey: null, apiUrl: otherSide.url }),
      slack: slackChannel({ webhookUrl: null, apiUrl: otherSide.url }),
    }[name]
    expect(bare?.isConfigured).toBe(false)
    expect(await bare?.send(message("x"), OPTIONS)).toEqual({
      kind: "refused",
      reason: "not_configured",
    })
    expect(otherSide.recorded).toEqual([])
  })

  test("refuses a key that no header can carry instead of throwing", async () => {
    const channel = makers[name]?.make(otherSide.url, TIMEOUT_MS)
    const to = makers[name]?.to() ?? ""
    expect(await channel?.send(message(to), { ...OPTIONS, idempotencyKey: "a\r\nb" })).toEqual({
      kind: "refused",
      reason: "invalid_request",
    })
    expect(otherSide.recorded).toEqual([])
  })
})

describe.each(["email", "sms", "push", "slack"])("%s, left without an answer", (name) => {
  test("is unknown when the other side is silent", async () => {
    otherSide.answer = () => {}
    expect(await sendBy(name, {}, IMPATIENT_MS)).toEqual({ kind: "unknown", reason: "timeout" })
  })

  test("is unknown when the connection breaks after the request", async () => {
    otherSide.answer = (response) => void response.destroy()
    expect(await sendBy(name)).toEqual({ kind: "unknown", reason: "connection_lost" })
  })

  test("stops reading an answer without end and lets the connection go", async () => {
    const closed = new Promise<void>((resolve) => {
      otherSide.answer = (response) => {
        const pour = () => {
          while (!response.destroyed && response.write("x".repeat(16_384)));
        }
        response.on("drain", pour).on("close", () => resolve())
        response.writeHead(202)
        pour()
      }
    })
    expect((await sendBy(name, {}, 60_000)).kind).toBe("sent")
    await closed
  })

  test("is sent when only the body breaks off", async () => {
    otherSide.answer = (response) => {
      response.writeHead(202, { "Content-Length": "1000" }).write("{")
      setTimeout(() => response.destroy(), 20)
    }
    expect((await sendBy(name)).kind).toBe("sent")
  })

  test("is unknown after an error that does not say what became of the request", async () => {
    for (const status of [501, 520, 522, 524]) {
      otherSide.answer = reply(status)
      expect(await sendBy(name)).toEqual({ kind: "unknown", reason: `http_${status}` })
    }
  })
})

describe.each(Object.keys(makers))("%s, where the way out is closed", (name) => {
  test.each([
    ["circuit_open", 12_000],
    ["budget_spent", null],
  ] as const)("is surely not sent and tried again: %s", async (reason, retryAfterMs) => {
    const closed = async () => {
      throw new NotSent(reason, retryAfterMs)
    }
    const maker = makers[name]
    const sent = await maker?.make(otherSide.url, TIMEOUT_MS, closed).send(message(maker.to()), OPTIONS)
    expect(sent).toEqual({ kind: "retry", reason, retryAfterMs })
    expect(otherSide.recorded).toEqual([])
  })
})
