/** Every channel against a server that records what it is sent and answers what the test wants. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import type { Channel, Message } from "./channel.ts"
import { dmChannel } from "./dm.ts"
import { emailChannel } from "./email.ts"
import { pushChannel } from "./push.ts"
import { slackChannel } from "./slack.ts"
import { smsChannel } from "./sms.ts"

interface Recorded {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

type Answer = (response: ServerResponse, request: Recorded) => void

let recorded: Recorded[] = []
let answer: Answer = () => {}
let apiUrl = ""

const server = createServer((incoming, response) => {
  const chunks: Buffer[] = []
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
  incoming.on("end", () => {
    const request = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString(),
    }
    recorded.push(request)
    answer(response, request)
  })
})

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // A TCP server's address is never a string or null while it listens.
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(() => {
  server.closeAllConnections()
  server.close()
})

beforeEach(() => {
  recorded = []
  answer = reply(200, { id: "dms_feed_1", sid: "SM123" })
})

const reply =
  (status: number, body: unknown = "", headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body))
  }

const message = (to: string, change: Partial<Message> = {}): Message => ({
  to,
  subject: "Your payment did not go through",
  text: "Hi Ada, https://pay.example.com/r/abc",
  html: "<p>Hi Ada</p>",
  unsubscribeUrl: "https://pay.example.com/unsubscribe/abc",
  ...change,
})

const KEY = "nudge_01:email"
/** Long enough that a busy machine never meets it; the test of silence sets its own. */
const TIMEOUT_MS = 5_000
const IMPATIENT_MS = 200

const makers: Record<string, { make: (url: string, timeoutMs: number) => Channel; to: () => string }> = {
  email: {
    make: (url, timeoutMs) =>
      emailChannel({
        apiKey: "SG.key",
        apiUrl: url,
        from: "Acme <pay@acme.example>",
        replyTo: "help@acme.example",
        timeoutMs,
      }),
    to: () => "ada@example.com",
  },
  sms: {
    make: (url, timeoutMs) =>
      smsChannel({ accountSid: "AC1", authToken: "token", apiUrl: url, from: "+15005550006", timeoutMs }),
    to: () => "+491701234567",
  },
  push: {
    make: (url, timeoutMs) =>
      pushChannel({ apiKey: "whop_key", apiUrl: `${url}/api/v1`, experienceId: "exp_1", timeoutMs }),
    to: () => "user_abc123",
  },
  dm: {
    make: (url, timeoutMs) =>
      dmChannel({ apiKey: "whop_key", apiUrl: `${url}/api/v1/`, companyId: "biz_1", timeoutMs }),
    to: () => "user_abc123",
  },
  slack: {
    make: (url, timeoutMs) => slackChannel({ webhookUrl: `${url}/services/T/B/x`, apiUrl: url, timeoutMs }),
    to: () => "",
  },
}

const sendBy = (name: string, change: Partial<Message> = {}, timeoutMs = TIMEOUT_MS) => {
  const maker = makers[name]
  if (!maker) throw new Error(`no channel ${name}`)
  return maker.make(apiUrl, timeoutMs).send(message(maker.to(), change), { idempotencyKey: KEY })
}

describe.each(Object.keys(makers))("%s", (name) => {
  test("carries the idempotency key and is sent once", async () => {
    expect((await sendBy(name)).kind).toBe("sent")
    const last = recorded.at(-1)
    expect(last?.method).toBe("POST")
    expect(last?.headers["idempotency-key"]).toBe(KEY)
    expect(recorded.length).toBe(name === "dm" ? 2 : 1)
  })

  test.each([408, 429, 500, 503, 521, 523, 525, 526, 530])("tries again later after %i", async (status) => {
    answer = reply(status)
    expect(await sendBy(name)).toEqual({ kind: "retry", reason: `http_${status}`, retryAfterMs: null })
  })

  test.each([502, 504, 520, 522])("cannot know after %i from something in between", async (status) => {
    answer = (response, request) =>
      request.path.endsWith("/dm_channels")
        ? reply(200, { id: "feed_1" })(response, request)
        : reply(status)(response, request)
    expect(await sendBy(name)).toEqual({ kind: "unknown", reason: `http_${status}` })
  })

  test.each([400, 401, 403, 404, 410, 413, 422])("gives up after %i", async (status) => {
    answer = reply(status, "<html>no</html>")
    expect(await sendBy(name)).toEqual({ kind: "refused", reason: `http_${status}` })
  })

  test("follows no redirect", async () => {
    answer = reply(307, "", { Location: `${apiUrl}/elsewhere` })
    expect(await sendBy(name)).toEqual({ kind: "refused", reason: "http_307" })
    expect(recorded.length).toBe(1)
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
      answer = reply(429, "", headers)
      expect(await sendBy(name)).toEqual({ kind: "retry", reason: "http_429", retryAfterMs })
    }
  })

  test("takes a success whose body is garbage, truncated or huge as sent", async () => {
    for (const body of ["<html>", '{"id": "x', "x".repeat(300_000)]) {
      answer = (response, request) =>
        reply(200, request.path.endsWith("/dm_channels") ? { id: "feed_1" } : body)(response, request)
      expect((await sendBy(name)).kind).toBe("sent")
    }
  })

  test("refuses to send without credentials, and calls nobody", async () => {
    const bare = {
      email: emailChannel({ apiKey: "", apiUrl, from: "pay@acme.example", replyTo: null }),
      sms: smsChannel({ accountSid: "AC1", authToken: null, apiUrl, from: "+15005550006" }),
      push: pushChannel({ apiKey: "k", apiUrl, experienceId: null }),
      dm: dmChannel({ apiKey: null, apiUrl, companyId: null }),
      slack: slackChannel({ webhookUrl: null, apiUrl }),
    }[name]
    expect(bare?.isConfigured).toBe(false)
    expect(await bare?.send(message("x"), { idempotencyKey: KEY })).toEqual({
      kind: "refused",
      reason: "not_configured",
    })
    expect(recorded).toEqual([])
  })

  test("refuses a key that no header can carry instead of throwing", async () => {
    const channel = makers[name]?.make(apiUrl, TIMEOUT_MS)
    const to = makers[name]?.to() ?? ""
    expect(await channel?.send(message(to), { idempotencyKey: "a\r\nb" })).toEqual({
      kind: "refused",
      reason: "invalid_request",
    })
    expect(recorded).toEqual([])
  })
})

describe.each(["email", "sms", "push", "slack"])("%s, left without an answer", (name) => {
  test("is unknown when the other side is silent", async () => {
    answer = () => {}
    expect(await sendBy(name, {}, IMPATIENT_MS)).toEqual({ kind: "unknown", reason: "timeout" })
  })

  test("is unknown when the connection breaks after the request", async () => {
    answer = (response) => void response.destroy()
    expect(await sendBy(name)).toEqual({ kind: "unknown", reason: "connection_lost" })
  })

  test("stops reading an answer without end and lets the connection go", async () => {
    const closed = new Promise<void>((resolve) => {
      answer = (response) => {
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
    answer = (response) => {
      response.writeHead(202, { "Content-Length": "1000" }).write("{")
      setTimeout(() => response.destroy(), 20)
    }
    expect((await sendBy(name)).kind).toBe("sent")
  })

  test("is unknown after an error that does not say what became of the request", async () => {
    for (const status of [501, 520, 522, 524]) {
      answer = reply(status)
      expect(await sendBy(name)).toEqual({ kind: "unknown", reason: `http_${status}` })
    }
  })
})

describe("e-mail", () => {
  test("is what SendGrid's Mail Send expects, with one-click unsubscribe and untouched links", async () => {
    answer = reply(202, "", { "X-Message-Id": "msg-1.abc" })
    expect(await sendBy("email")).toEqual({ kind: "sent", providerMessageId: "msg-1.abc" })
    expect(recorded[0]?.path).toBe("/v3/mail/send")
    expect(recorded[0]?.headers.authorization).toBe("Bearer SG.key")
    expect(JSON.parse(recorded[0]?.body ?? "")).toEqual({
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
    await sendBy("email", { html: null, unsubscribeUrl: null, subject: "a\r\nBcc: b@example.com" })
    const body = JSON.parse(recorded[0]?.body ?? "")
    expect(body.content.length).toBe(1)
    expect(body.headers).toBeUndefined()
    expect(body.subject).toBe("a Bcc: b@example.com")
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
    expect(await sendBy("email", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
    expect(recorded).toEqual([])
  })
})

describe("SMS", () => {
  test("is the form that Twilio expects", async () => {
    answer = reply(201, { sid: "SM42" })
    expect(await sendBy("sms")).toEqual({ kind: "sent", providerMessageId: "SM42" })
    expect(recorded[0]?.path).toBe("/2010-04-01/Accounts/AC1/Messages.json")
    expect(recorded[0]?.headers.authorization).toBe(`Basic ${btoa("AC1:token")}`)
    expect(recorded[0]?.headers["content-type"]).toBe("application/x-www-form-urlencoded")
    expect(Object.fromEntries(new URLSearchParams(recorded[0]?.body))).toEqual({
      To: "+491701234567",
      From: "+15005550006",
      Body: "Hi Ada, https://pay.example.com/r/abc",
    })
  })

  test("goes through a messaging service when the sender is one", async () => {
    await smsChannel({ accountSid: "AC1", authToken: "t", apiUrl, from: "MG7" }).send(message("+491701234567"), {
      idempotencyKey: KEY,
    })
    expect(recorded[0]?.body).toContain("MessagingServiceSid=MG7")
  })

  test.each([
    [21610, "opted_out"],
    [21211, "invalid_address"],
    [21614, "invalid_address"],
    [99999, "http_400"],
  ])("reads Twilio's error %i as %s", async (code, reason) => {
    answer = reply(400, { code, message: "The number +491701234567 …", status: 400 })
    expect(await sendBy("sms")).toEqual({ kind: "refused", reason })
  })

  test.each(["", "0170 1234567", "+0170", "491701234567", "+49170123456789012", "+49\n1701234567"])(
    "is not sent to %j",
    async (to) => {
      expect(await sendBy("sms", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
      expect(recorded).toEqual([])
    },
  )
})

describe("push", () => {
  test("notifies one user of the experience", async () => {
    answer = reply(200, { success: true })
    expect(await sendBy("push")).toEqual({ kind: "sent", providerMessageId: null })
    expect(recorded[0]?.path).toBe("/api/v1/notifications")
    expect(recorded[0]?.headers.authorization).toBe("Bearer whop_key")
    expect(JSON.parse(recorded[0]?.body ?? "")).toEqual({
      experience_id: "exp_1",
      user_ids: ["user_abc123"],
      title: "Your payment did not go through",
      content: "Hi Ada, https://pay.example.com/r/abc",
    })
  })

  test("is refused when Whop answers that it queued nothing", async () => {
    answer = reply(200, { success: false })
    expect(await sendBy("push")).toEqual({ kind: "refused", reason: "not_queued" })
  })
})

describe("a direct message", () => {
  test("opens the channel with that user and writes into it", async () => {
    answer = (response, request) =>
      reply(200, { id: request.path.endsWith("/messages") ? "post_9" : "feed_1" })(response, request)
    expect(await sendBy("dm")).toEqual({ kind: "sent", providerMessageId: "post_9" })
    expect(recorded.map((request) => [request.path, JSON.parse(request.body)])).toEqual([
      ["/api/v1/dm_channels", { with_user_ids: ["user_abc123"], company_id: "biz_1" }],
      ["/api/v1/messages", { channel_id: "feed_1", content: "Hi Ada, https://pay.example.com/r/abc" }],
    ])
  })

  test("may be tried again when only the opening of the channel was lost, since nobody saw anything", async () => {
    answer = (response) => void response.destroy()
    expect(await sendBy("dm")).toEqual({ kind: "retry", reason: "connection_lost", retryAfterMs: null })
    expect(recorded.length).toBe(1)
  })

  test("is unknown when the message itself was lost", async () => {
    answer = (response, request) =>
      request.path.endsWith("/messages") ? void response.destroy() : reply(200, { id: "feed_1" })(response, request)
    expect(await sendBy("dm")).toEqual({ kind: "unknown", reason: "connection_lost" })
  })

  test.each(["", "ada@example.com", "user_", "user_a/../x", "biz_1"])("is not sent to %j", async (to) => {
    expect(await sendBy("dm", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
    expect(recorded).toEqual([])
  })
})

describe("Slack", () => {
  test("gets the text, without previews of links", async () => {
    answer = reply(200, "ok")
    expect(await sendBy("slack")).toEqual({ kind: "sent", providerMessageId: null })
    expect(recorded[0]?.path).toBe("/services/T/B/x")
    expect(JSON.parse(recorded[0]?.body ?? "")).toEqual({
      text: "Hi Ada, https://pay.example.com/r/abc",
      unfurl_links: false,
      unfurl_media: false,
    })
  })

  test("may be sent to another webhook of the same host", async () => {
    await sendBy("slack", { to: `${apiUrl}/services/other` })
    expect(recorded[0]?.path).toBe("/services/other")
  })

  test.each([
    "https://evil.example/services/x",
    "http://0x7f.1/services/x",
    "http://127.0.0.1:1/services/x",
    "file:///etc/passwd",
    "no url",
    "//evil.example/x",
  ])("is never sent to %s", async (to) => {
    expect(await sendBy("slack", { to })).toEqual({ kind: "refused", reason: "invalid_address" })
    expect(recorded).toEqual([])
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
