import { type Faults, type Listening, type Reply, type StandInRequest, serve, textReply } from "../faults.ts"
import { headerOf } from "../loopback.ts"
import { accountOfKey } from "../own-key.ts"
import type { Mailbox } from "./mailbox.ts"

/** A local replacement of Slack's incoming webhooks, each channel with its own (local/own-key.ts). Two equal posts are two messages; the answer is `ok`. */
export function startSlack({
  faults,
  onRequest,
  ...parts
}: SlackParts & { readonly faults: Faults; readonly onRequest?: () => void }): Promise<Listening> {
  return serve(undefined, (req, res) =>
    faults.intercept("slack", req, res, (body) => {
      onRequest?.()
      return handleSlack(req, body, parts)
    }),
  )
}

type SlackParts = {
  readonly mailbox: Mailbox
  /** The secret path of the webhook, `/services/T…/B…/…`. */
  readonly path: string
}

/** Answers one request, without a server. */
export function handleSlack(req: StandInRequest, body: Buffer, { mailbox, path }: SlackParts): Reply {
  const to = req.url ?? ""
  if (req.method !== "POST" || accountOfKey(to, path) === null) return textReply("no_service", 404)
  const payload = parseObject(body)
  if (!payload) return textReply("invalid_payload", 400)
  const { text, blocks } = payload
  if (typeof text !== "string" && !Array.isArray(blocks)) return textReply("no_text", 400)
  mailbox.deliver({
    channel: "slack",
    to,
    subject: "",
    body: typeof text === "string" ? text : JSON.stringify(blocks),
    idempotencyKey: headerOf(req, "idempotency-key"),
  })
  return textReply("ok", 200)
}

function parseObject(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"))
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
