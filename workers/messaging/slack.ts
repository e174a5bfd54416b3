/**
 * The team's Slack, by an incoming webhook (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). The webhook
 * URL is both secret and address, so only Slack's own host is called, regardless of settings.
 */

import type { Channel, Message } from "../../shared/channel.ts"
import type { SendOutcome } from "../../shared/domain/recovery/nudges/nudge-outcome.ts"
import { type ChannelOptions, classify, defaultFetch, post, SEND_TIMEOUT_MS } from "./http.ts"

/** The default webhook; a message can name another one of the same host. */
export interface SlackOptions extends ChannelOptions {
  readonly webhookUrl: string | null
  /** `https://hooks.slack.com` in production. */
  readonly apiUrl: string
}

/** The webhook if it is of that host and without credentials; else null. */
function webhookOf(text: string, apiUrl: string): string | null {
  if (!URL.canParse(text) || !URL.canParse(apiUrl)) return null
  const url = new URL(text)
  const isOfHost = url.origin === new URL(apiUrl).origin && url.username === "" && url.password === ""
  return isOfHost && url.pathname !== "/" ? url.href : null
}

/** A deployment without a webhook is not configured. `message.to` is a webhook of that host, or empty for the default one. */
export function slackChannel({
  webhookUrl,
  apiUrl,
  timeoutMs = SEND_TIMEOUT_MS,
  fetch = defaultFetch,
}: SlackOptions): Channel {
  const defaultWebhook = webhookUrl === null ? null : webhookOf(webhookUrl, apiUrl)

  async function send(message: Message, { idempotencyKey }: { idempotencyKey: string }): Promise<SendOutcome> {
    if (defaultWebhook === null) return { kind: "refused", reason: "not_configured" }
    const url = message.to === "" ? defaultWebhook : webhookOf(message.to, apiUrl)
    if (url === null) return { kind: "refused", reason: "invalid_address" }
    const reply = await post({
      url,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: message.text, unfurl_links: false, unfurl_media: false }),
      idempotencyKey,
      timeoutMs,
      fetch,
    })
    return classify(reply)
  }

  return { name: "slack", isConfigured: defaultWebhook !== null, send }
}
