/**
 * Direct messages through Whop, in two calls (@whop/sdk 0.0.42, resources/dm-channels and resources/messages): opening the
 * channel returns an existing one and is invisible to the member, so only the second call can have an ambiguous outcome.
 */

import type { Channel, Message, SendOptions } from "../../shared/channel.ts"
import type { SendOutcome } from "../../shared/domain/recovery/nudges/nudge-outcome.ts"
import {
  type ChannelOptions,
  classify,
  defaultFetch,
  fieldsOf,
  idOf,
  join,
  post,
  SEND_TIMEOUT_MS,
  withId,
} from "./http.ts"
import { WHOP_USER_ID } from "./push.ts"

/** The Whop app. */
export interface DmOptions extends ChannelOptions {
  readonly apiKey: string | null
  /** `https://api.whop.com/api/v1` in production. */
  readonly apiUrl: string
}

/**
 * A deployment without a key is not configured. The text is sent as Whop's Markdown, within the company of the grant; without
 * a grant nothing is sent.
 */
export function dmChannel({ apiKey, apiUrl, timeoutMs = SEND_TIMEOUT_MS, fetch = defaultFetch }: DmOptions): Channel {
  const call = (path: string, key: string, body: unknown, idempotencyKey: string) =>
    post({
      url: join(apiUrl, path),
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      idempotencyKey,
      timeoutMs,
      fetch,
    })

  async function send(message: Message, { idempotencyKey, grant }: SendOptions): Promise<SendOutcome> {
    const key = grant?.account.kind === "own" ? grant.account.apiKey : apiKey
    if (!key) return { kind: "refused", reason: "not_configured" }
    if (!grant?.isFor("whop")) return { kind: "refused", reason: "no_account" }
    if (!WHOP_USER_ID.test(message.to)) return { kind: "refused", reason: "invalid_address" }

    const { account } = grant.account
    const channel = { with_user_ids: [message.to], ...(account !== null && { company_id: account }) }
    const opened = await call("/dm_channels", key, channel, `${idempotencyKey}-channel`)
    const opening = classify(opened)
    if (opening.kind === "unknown") return { kind: "retry", reason: opening.reason, retryAfterMs: null }
    if (opening.kind !== "sent") return opening
    const channelId = opened.kind === "answered" ? idOf(fieldsOf(opened.body).id) : null
    if (channelId === null) return { kind: "retry", reason: "no_channel_id", retryAfterMs: null }

    const posted = await call("/messages", key, { channel_id: channelId, content: message.text }, idempotencyKey)
    return withId(classify(posted), posted.kind === "answered" ? idOf(fieldsOf(posted.body).id) : null)
  }

  return { name: "dm", isConfigured: Boolean(apiKey), send }
}
