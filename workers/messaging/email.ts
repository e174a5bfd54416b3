/** E-mail by SendGrid's v3 Mail Send (docs.sendgrid.com/api-reference/mail-send/mail-send). It has no idempotency keys. */

import type { Channel, Message } from "../../shared/channel.ts"
import { normalizeEmail } from "../../shared/contact/address.ts"
import { parseMailbox } from "../../shared/contact/mailbox.ts"
import type { SendOutcome } from "../../shared/domain/recovery/nudges/nudge-outcome.ts"
import { type ChannelOptions, classify, defaultFetch, idOf, join, post, SEND_TIMEOUT_MS, withId } from "./http.ts"

/** `from` and `replyTo` are addresses or `Name <address>`. */
export interface EmailOptions extends ChannelOptions {
  readonly apiKey: string | null
  /** `https://api.sendgrid.com` in production. */
  readonly apiUrl: string
  readonly from: string | null
  readonly replyTo: string | null
}

/** A deployment without key or sender address is not configured. A 2xx means accepted by SendGrid, not yet delivered. */
export function emailChannel({
  apiKey,
  apiUrl,
  from,
  replyTo,
  timeoutMs = SEND_TIMEOUT_MS,
  fetch = defaultFetch,
}: EmailOptions): Channel {
  async function send(message: Message, { idempotencyKey }: { idempotencyKey: string }): Promise<SendOutcome> {
    const sender = from === null ? null : parseMailbox(from)
    if (!apiKey || !sender) return { kind: "refused", reason: "not_configured" }
    const to = normalizeEmail(message.to)
    const answerTo = parseMailbox(message.replyTo ?? "") ?? parseMailbox(replyTo ?? "")
    if (to === null) return { kind: "refused", reason: "invalid_address" }
    const reply = await post({
      url: join(apiUrl, "/v3/mail/send"),
      headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" },
      body: JSON.stringify({
        personalizations: [{ to: [{ email: to }], custom_args: { nudge_key: idempotencyKey } }],
        from: sender,
        ...(answerTo && { reply_to: answerTo }),
        subject: message.subject.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " "),
        content: [
          { type: "text/plain", value: message.text },
          ...(message.html === null ? [] : [{ type: "text/html", value: message.html }]),
        ],
        ...oneClick(message.unsubscribeUrl),
        // No rewritten links: they would break the one-click unsubscribe header and hide their target.
        tracking_settings: {
          click_tracking: { enable: false, enable_text: false },
          open_tracking: { enable: false },
          subscription_tracking: { enable: false },
        },
      }),
      idempotencyKey,
      timeoutMs,
      fetch,
    })
    return withId(classify(reply), reply.kind === "answered" ? idOf(reply.headers.get("x-message-id")) : null)
  }

  return { name: "email", isConfigured: Boolean(apiKey && from), send }
}

/** RFC 8058, section 3: both headers, and the URL in angle brackets, in canonical form. */
function oneClick(unsubscribeUrl: string | null) {
  if (unsubscribeUrl === null || !URL.canParse(unsubscribeUrl)) return {}
  const target = `<${new URL(unsubscribeUrl).href}>`
  return { headers: { "List-Unsubscribe": target, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" } }
}
