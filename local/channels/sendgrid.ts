import { randomBytes } from "node:crypto"
import { z } from "zod"
import { type Faults, jsonReply, type Listening, type Reply, type StandInRequest, serve } from "../faults.ts"
import { headerOf } from "../loopback.ts"
import { accountOfKey, bearerOf } from "../own-key.ts"
import type { Mailbox } from "./mailbox.ts"

const address = z.object({ email: z.email(), name: z.string().optional() })
const strings = z.record(z.string(), z.string())

/** The parts of `POST /v3/mail/send` that a plain message uses; other fields are accepted and ignored. */
const mail = z.object({
  personalizations: z
    .array(
      z.object({
        to: z.array(address).min(1),
        subject: z.string().optional(),
        headers: strings.optional(),
        custom_args: strings.optional(),
      }),
    )
    .min(1)
    .max(1_000),
  from: address,
  reply_to: address.optional(),
  subject: z.string().optional(),
  content: z.array(z.object({ type: z.string().min(1), value: z.string().min(1) })).min(1),
  headers: strings.optional(),
  custom_args: strings.optional(),
})

/**
 * A local replacement of SendGrid's v3 API. Like the real one it answers 202 with `X-Message-Id` and no body, and has
 * no idempotency keys: two equal requests are two messages.
 */
export function startSendgrid({
  faults,
  onRequest,
  ...parts
}: SendgridParts & { readonly faults: Faults; readonly onRequest?: () => void }): Promise<Listening> {
  return serve(undefined, (req, res) =>
    faults.intercept("email", req, res, (body) => {
      onRequest?.()
      return handleSendgrid(req, body, parts)
    }),
  )
}

type SendgridParts = { readonly mailbox: Mailbox; readonly apiKey: string }

/** Answers one request, without a server. */
export function handleSendgrid(req: StandInRequest, body: Buffer, { mailbox, apiKey }: SendgridParts): Reply {
  const account = accountOfKey(bearerOf(headerOf(req, "authorization")) ?? "", apiKey)
  if (account === null) {
    return refusal(401, "The provided authorization grant is invalid, expired, or revoked")
  }
  if (req.method === "GET" && req.url?.split("?")[0] === "/v3/whitelabel/domains") return authenticatedDomains(account)
  if (req.method !== "POST" || req.url !== "/v3/mail/send") return refusal(404, "Not Found")
  return send(body, { account, idempotencyKey: headerOf(req, "idempotency-key") }, mailbox)
}

/** An account has one domain, named like it; another one waits for its DNS records. */
const authenticatedDomains = (account: string): Reply =>
  jsonReply([
    { id: 1, domain: account === "" ? "churn-saver.example" : `${account}.example`, valid: true },
    { id: 2, domain: "pending.example", valid: false },
  ])

interface Sent {
  /** Of a company's own key; empty: the world's. */
  readonly account: string
  readonly idempotencyKey: string | null
}

function send(body: Buffer, { account, idempotencyKey }: Sent, mailbox: Mailbox): Reply {
  const parsed = mail.safeParse(parseJson(body))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refusal(400, issue?.message ?? "Bad Request", issue?.path.join(".") ?? null)
  }
  const { personalizations, from, reply_to: replyTo, content, ...common } = parsed.data
  const providerMessageId = randomBytes(11).toString("base64url")
  for (const person of personalizations) {
    const subject = person.subject ?? common.subject
    if (!subject)
      return refusal(
        400,
        "The subject is required. You can get around this requirement if you use a template.",
        "subject",
      )
    const part = (type: string): string | undefined => content.find((one) => one.type === type)?.value
    for (const { email } of person.to) {
      mailbox.deliver({
        channel: "email",
        to: email,
        from: from.email,
        ...(replyTo && { replyTo: replyTo.email }),
        ...(account !== "" && { account }),
        subject,
        body: part("text/plain") ?? "",
        html: part("text/html") ?? null,
        headers: { ...common.headers, ...person.headers },
        customArgs: { ...common.custom_args, ...person.custom_args },
        idempotencyKey,
        providerMessageId,
      })
    }
  }
  return { status: 202, headers: { "x-message-id": providerMessageId }, body: "" }
}

const refusal = (status: number, message: string, field: string | null = null): Reply =>
  jsonReply({ errors: [{ message, field, help: null }] }, status)

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"))
  } catch {
    return null // refused by the schema
  }
}
