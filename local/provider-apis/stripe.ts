import { createHash, randomBytes } from "node:crypto"
import type { Mailbox } from "../channels/mailbox.ts"
import { type Faults, type Listening, type Reply, type StandInRequest, serve } from "../faults.ts"
import { headerOf } from "../loopback.ts"
import { accountOfKey, bearerOf } from "../own-key.ts"
import { parseForm } from "./form.ts"
import { answerObjectSetup, createObjects, type ObjectStore } from "./objects.ts"
import { stripeError } from "./stripe-errors.ts"
import { handleStripe } from "./stripe-routes.ts"

/** A running local replacement of a provider's API, with its objects. */
export type ProviderApiServer = Listening & {
  readonly objects: ObjectStore
  /** Forgets objects and idempotency keys. */
  clear(): void
}

/** Stripe keeps a key for at least a day; here it is exactly a day. */
const KEY_TTL_MS = 24 * 60 * 60 * 1_000

type StoredReply = { readonly fingerprint: string; readonly reply: Reply; readonly untilMs: number }

/** A provider's API without a server. */
export type ProviderApi = {
  readonly objects: ObjectStore
  answer(req: StandInRequest, body: Buffer): Reply
  /** Forgets objects and idempotency keys. */
  clear(): void
}

/** The options of a provider's API. */
export type ProviderApiOptions = {
  readonly mailbox: Mailbox
  readonly apiKey: string
  readonly now: () => Date
  /** Lets writes accept objects that only a webhook has named; on by default. */
  readonly adoptsUnknown?: boolean
}

/**
 * A local replacement of Stripe's API. A repeated idempotency key gets the first answer, and is refused with other
 * parameters; validation errors and refused keys are not stored. With `adoptsUnknown` (on by default) writes accept
 * customers and subscriptions that only a webhook has named; reads of them stay 404.
 */
export async function startStripeApi({
  faults,
  onRequest,
  ...options
}: ProviderApiOptions & { readonly faults: Faults; readonly onRequest?: () => void }): Promise<ProviderApiServer> {
  const { objects, answer, clear } = createStripeApi({ ...options, ...(onRequest && { onRequest }) })
  const server = await serve(undefined, (req, res) =>
    faults.intercept("stripe-api", req, res, (body) => answer(req, body)),
  )
  return { ...server, objects, clear }
}

/** The same without a server. `onRequest` is not called for objects that a test creates. */
export function createStripeApi({
  mailbox,
  apiKey,
  now,
  adoptsUnknown = true,
  onRequest,
}: ProviderApiOptions & { readonly onRequest?: () => void }): ProviderApi {
  const objects = createObjects()
  const replies = new Map<string, StoredReply>()

  function once(
    key: string,
    fingerprint: string,
    perform: () => Reply,
  ): { readonly reply: Reply; readonly isReplay: boolean } {
    const known = replies.get(key)
    if (known && known.untilMs > now().getTime()) {
      return known.fingerprint === fingerprint
        ? {
            reply: { ...known.reply, headers: { ...known.reply.headers, "idempotent-replayed": "true" } },
            isReplay: true,
          }
        : { reply: keyReused(key), isReplay: false }
    }
    const reply = perform()
    if (reply.status < 400) replies.set(key, { fingerprint, reply, untilMs: now().getTime() + KEY_TTL_MS })
    return { reply, isReplay: false }
  }

  function answer(req: StandInRequest, body: Buffer): Reply {
    const [path = "/", query = ""] = (req.url ?? "/").split("?", 2)
    const method = req.method ?? "GET"
    const setup = answerObjectSetup(objects, method, path, body)
    if (setup) return setup
    onRequest?.()
    const ownAccount = accountOfKey(keyOf(headerOf(req, "authorization")), apiKey)
    if (ownAccount === null) {
      return stripeError(401, { type: "invalid_request_error", message: "Invalid API Key provided." })
    }
    const text = method === "GET" ? query : body.toString("utf8")
    const params = parseForm(new URLSearchParams(text))
    const key = method === "POST" ? headerOf(req, "idempotency-key") : null
    const account = headerOf(req, "stripe-account") ?? ownAccount
    const perform = (): Reply => handleStripe({ method, path, params, account }, { objects, now, adoptsUnknown })
    const fingerprint = createHash("sha256").update(`${method} ${path} ${text}`).digest("hex")
    const { reply, isReplay } =
      key === null ? { reply: perform(), isReplay: false } : once(`${account} ${key}`, fingerprint, perform)
    mailbox.record({
      provider: "stripe",
      target: "stripe-api",
      method,
      path,
      account: account === "" ? null : account,
      body: params,
      idempotencyKey: key,
      status: reply.status,
      isReplay,
    })
    const shown = ownAccount === "" ? reply : withoutAccounts(reply)
    return { ...shown, headers: { ...shown.headers, "request-id": `req_${randomBytes(7).toString("hex")}` } }
  }

  return {
    objects,
    answer,
    clear() {
      objects.clear()
      replies.clear()
    },
  }
}

/** Objects say their account to a platform only; an account's own key sees them without. */
const withoutAccounts = (reply: Reply): Reply => ({
  ...reply,
  body: JSON.stringify(
    JSON.parse(String(reply.body), (name, value) =>
      name === "account" && typeof value === "string" ? undefined : value,
    ),
  ),
})

/** Stripe accepts a key as a Bearer token, and as the user of Basic authentication. */
function keyOf(header: string | null): string {
  const basic = /^Basic (\S+)$/.exec(header ?? "")?.[1]
  return basic === undefined
    ? (bearerOf(header) ?? "")
    : Buffer.from(basic, "base64").toString("utf8").replace(/:$/, "")
}

const keyReused = (key: string): Reply =>
  stripeError(400, {
    type: "idempotency_error",
    message: `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key.trim()}' if you meant to execute a different request.`,
  })
