/** Every channel, against a server that records requests and answers as the test sets. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach } from "vitest"
import type { Channel, Message } from "../../shared/channel.ts"
import type { OutboundFetch } from "../../shared/network/outbound-fetch.ts"
import { dmChannel } from "../../workers/messaging/dm.ts"
import { emailChannel } from "../../workers/messaging/email.ts"
import { defaultFetch } from "../../workers/messaging/http.ts"
import { pushChannel } from "../../workers/messaging/push.ts"
import { slackChannel } from "../../workers/messaging/slack.ts"
import { smsChannel } from "../../workers/messaging/sms.ts"
import { grantOf } from "./grants.ts"

export interface Recorded {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Answer = (response: ServerResponse, request: Recorded) => void

/** What the server received in this test, and how it answers. */
export const fakeRemote: { recorded: Recorded[]; answer: Answer; url: string } = {
  recorded: [],
  answer: () => {},
  url: "",
}

/** Starts the server for the tests of a file. */
export function startFakeRemote(): void {
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
      fakeRemote.recorded.push(request)
      fakeRemote.answer(response, request)
    })
  })

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    // A TCP server's address is never a string or null while it listens.
    fakeRemote.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  beforeEach(() => {
    fakeRemote.recorded = []
    fakeRemote.answer = reply(200, { id: "dms_feed_1", sid: "SM123" })
  })
}

/** An answer with this status. */
export const reply =
  (status: number, body: unknown = "", headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body))
  }

/** A message to this address. */
export const message = (to: string, change: Partial<Message> = {}): Message => ({
  to,
  subject: "Your payment did not go through",
  text: "Hi Ada, https://pay.example.com/r/abc",
  html: "<p>Hi Ada</p>",
  unsubscribeUrl: "https://pay.example.com/unsubscribe/abc",
  ...change,
})

export const KEY = "nudge_01:email"
/** Sends from the deployment's own account at Whop. */
export const OPTIONS = { idempotencyKey: KEY, grant: grantOf({ provider: "whop", keyAccount: "biz_1" }) }
/** Longer than a busy machine needs; the test of a time-out sets its own. */
export const TIMEOUT_MS = 5_000

/** One of each channel, and an address that it accepts. */
export const CHANNEL_FACTORIES: Record<
  string,
  { make: (url: string, timeoutMs: number, fetch?: OutboundFetch) => Channel; to: () => string }
> = {
  email: {
    make: (url, timeoutMs, fetch = defaultFetch) =>
      emailChannel({
        apiKey: "SG.key",
        apiUrl: url,
        from: "Acme <pay@acme.example>",
        replyTo: "help@acme.example",
        timeoutMs,
        fetch,
      }),
    to: () => "ada@example.com",
  },
  sms: {
    make: (url, timeoutMs, fetch = defaultFetch) =>
      smsChannel({ accountSid: "AC1", authToken: "token", apiUrl: url, from: "+15005550006", timeoutMs, fetch }),
    to: () => "+491701234567",
  },
  push: {
    make: (url, timeoutMs, fetch = defaultFetch) =>
      pushChannel({ apiKey: "whop_key", apiUrl: `${url}/api/v1`, experienceId: "exp_1", timeoutMs, fetch }),
    to: () => "user_abc123",
  },
  dm: {
    make: (url, timeoutMs, fetch = defaultFetch) =>
      dmChannel({ apiKey: "whop_key", apiUrl: `${url}/api/v1/`, timeoutMs, fetch }),
    to: () => "user_abc123",
  },
  slack: {
    make: (url, timeoutMs, fetch = defaultFetch) =>
      slackChannel({ webhookUrl: `${url}/services/T/B/x`, apiUrl: url, timeoutMs, fetch }),
    to: () => "",
  },
}

/** Sends a message through the channel of this name. */
export const sendThrough = (name: string, change: Partial<Message> = {}, timeoutMs = TIMEOUT_MS) => {
  const maker = CHANNEL_FACTORIES[name]
  if (!maker) throw new Error(`no channel ${name}`)
  return maker.make(fakeRemote.url, timeoutMs).send(message(maker.to(), change), OPTIONS)
}
