/** SMS by Twilio's Messages resource (twilio.com/docs/messaging/api/message-resource). It has no idempotency keys. */

import type { Channel, Message } from "../../shared/channel.ts"
import { E164 } from "../../shared/contact/address.ts"
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

/** `from` is an E.164 number, an alphanumeric sender or the id of a messaging service (`MG…`). */
export interface SmsOptions extends ChannelOptions {
  readonly accountSid: string | null
  readonly authToken: string | null
  /** `https://api.twilio.com` in production. */
  readonly apiUrl: string
  readonly from: string | null
}

/** twilio.com/docs/api/errors: codes that are more specific than the status. */
const REASONS: ReadonlyMap<unknown, string> = new Map([
  [21610, "opted_out"],
  [21211, "invalid_address"],
  [21217, "invalid_address"],
  [21614, "invalid_address"],
  [21408, "region_not_enabled"],
])

/** A deployment without account, token or sender is not configured. A 2xx means queued by Twilio, not yet delivered. */
export function smsChannel({
  accountSid,
  authToken,
  apiUrl,
  from,
  timeoutMs = SEND_TIMEOUT_MS,
  fetch = defaultFetch,
}: SmsOptions): Channel {
  async function send(message: Message, { idempotencyKey }: { idempotencyKey: string }): Promise<SendOutcome> {
    if (!accountSid || !authToken || !from) return { kind: "refused", reason: "not_configured" }
    if (!E164.test(message.to)) return { kind: "refused", reason: "invalid_address" }
    const sender = from.startsWith("MG") ? { MessagingServiceSid: from } : { From: from }
    const reply = await post({
      url: join(apiUrl, `/2010-04-01/Accounts/${encodeURIComponent(accountSid)}/Messages.json`),
      headers: {
        Authorization: `Basic ${btoa(`${accountSid}:${authToken}`)}`,
        "Content-Type": "application/x-www-form-urlencoded",
      },
      body: new URLSearchParams({ To: message.to, ...sender, Body: message.text }).toString(),
      idempotencyKey,
      timeoutMs,
      fetch,
    })
    const outcome = classify(reply)
    const fields = reply.kind === "answered" ? fieldsOf(reply.body) : {}
    if (outcome.kind === "refused") return { ...outcome, reason: REASONS.get(fields.code) ?? outcome.reason }
    return withId(outcome, idOf(fields.sid))
  }

  return { name: "sms", isConfigured: Boolean(accountSid && authToken && from), send }
}
