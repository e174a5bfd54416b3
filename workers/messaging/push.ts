/**
 * Push notifications through Whop: `POST /notifications` (@whop/sdk 0.0.42, resources/notifications). A notification to a
 * company reaches only its team; members are reached through an experience they have access to, limited to one user.
 */

import type { Channel, Message, SendOptions } from "../../shared/channel.ts"
import type { SendOutcome } from "../../shared/domain/recovery/nudges/nudge-outcome.ts"
import { type ChannelOptions, classify, defaultFetch, fieldsOf, join, post, SEND_TIMEOUT_MS } from "./http.ts"

/** The Whop app. */
export interface PushOptions extends ChannelOptions {
  readonly apiKey: string | null
  /** `https://api.whop.com/api/v1` in production. */
  readonly apiUrl: string
  /** The experience through which members are notified (`exp_…`). */
  readonly experienceId: string | null
}

/** A Whop user, `user_…`. */
export const WHOP_USER_ID = /^user_[A-Za-z0-9_]{1,64}$/

/** A deployment without key or experience is not configured. A 2xx means queued by Whop; it returns no message id. */
export function pushChannel({
  apiKey,
  apiUrl,
  experienceId,
  timeoutMs = SEND_TIMEOUT_MS,
  fetch = defaultFetch,
}: PushOptions): Channel {
  async function send(message: Message, { idempotencyKey, grant }: SendOptions): Promise<SendOutcome> {
    if (!apiKey || !experienceId) return { kind: "refused", reason: "not_configured" }
    // The experience belongs to the account of this key, and reaches its members only.
    if (!grant?.isFor("whop")) return { kind: "refused", reason: "no_account" }
    const { account } = grant
    if (account.kind === "own" && account.apiKey !== apiKey) return { kind: "refused", reason: "no_account" }
    if (!WHOP_USER_ID.test(message.to)) return { kind: "refused", reason: "invalid_address" }
    const reply = await post({
      url: join(apiUrl, "/notifications"),
      headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" },
      body: JSON.stringify({
        experience_id: experienceId,
        user_ids: [message.to],
        title: message.subject,
        content: message.text,
      }),
      idempotencyKey,
      timeoutMs,
      fetch,
    })
    const outcome = classify(reply)
    const isRejected = reply.kind === "answered" && fieldsOf(reply.body).success === false
    return outcome.kind === "sent" && isRejected ? { kind: "refused", reason: "not_queued" } : outcome
  }

  return { name: "push", isConfigured: Boolean(apiKey && experienceId), send }
}
