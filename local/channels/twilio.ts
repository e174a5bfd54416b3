import { randomBytes } from "node:crypto"
import { type Faults, jsonReply, type Listening, type Reply, type StandInRequest, serve } from "../faults.ts"
import { headerOf } from "../loopback.ts"
import type { Mailbox } from "./mailbox.ts"

/** E.164, as Twilio requires. */
const PHONE_NUMBER = /^\+[1-9]\d{6,14}$/
/** Ten segments of 160 characters; Twilio refuses more. */
const BODY_CHARS_MAX = 1_600

/**
 * A local replacement of Twilio's Messages resource. It has no idempotency keys: two equal requests are two messages.
 */
export function startTwilio({
  faults,
  onRequest,
  ...parts
}: TwilioParts & { readonly faults: Faults; readonly onRequest?: () => void }): Promise<Listening> {
  return serve(undefined, (req, res) =>
    faults.intercept("sms", req, res, (body) => {
      onRequest?.()
      return handleTwilio(req, body, parts)
    }),
  )
}

type TwilioParts = { readonly mailbox: Mailbox; readonly accountSid: string; readonly authToken: string }

/** Answers one request, without a server. */
export function handleTwilio(
  req: StandInRequest,
  body: Buffer,
  { mailbox, accountSid, authToken }: TwilioParts,
): Reply {
  const authorization = `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString("base64")}`
  if (headerOf(req, "authorization") !== authorization) return refusal(401, 20003, "Authenticate")
  if (req.method === "GET" && req.url === `/2010-04-01/Accounts/${accountSid}.json`) {
    return jsonReply({ sid: accountSid, status: "active" })
  }
  if (req.method !== "POST" || req.url !== `/2010-04-01/Accounts/${accountSid}/Messages.json`) {
    return refusal(404, 20404, `The requested resource ${req.url} was not found`)
  }
  return send(new URLSearchParams(body.toString("utf8")), accountSid, headerOf(req, "idempotency-key"), mailbox)
}

function send(form: URLSearchParams, accountSid: string, idempotencyKey: string | null, mailbox: Mailbox): Reply {
  const to = form.get("To") ?? ""
  const from = form.get("From") ?? form.get("MessagingServiceSid") ?? ""
  const body = form.get("Body") ?? ""
  if (to === "") return refusal(400, 21604, "A 'To' phone number is required.")
  if (!PHONE_NUMBER.test(to)) return refusal(400, 21211, `Invalid 'To' Phone Number: ${to}`)
  if (from === "") return refusal(400, 21603, "A 'From' phone number is required.")
  if (body === "") return refusal(400, 21602, "Message body is required.")
  if (body.length > BODY_CHARS_MAX)
    return refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit")
  const sid = `SM${randomBytes(16).toString("hex")}`
  mailbox.deliver({ channel: "sms", to, from, subject: "", body, idempotencyKey, providerMessageId: sid })
  return jsonReply(
    {
      sid,
      account_sid: accountSid,
      to,
      from,
      body,
      status: "queued",
      direction: "outbound-api",
      num_segments: String(Math.ceil(body.length / 160)),
      error_code: null,
      error_message: null,
      uri: `/2010-04-01/Accounts/${accountSid}/Messages/${sid}.json`,
    },
    201,
  )
}

const refusal = (status: number, code: number, message: string): Reply =>
  jsonReply({ code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status }, status)
