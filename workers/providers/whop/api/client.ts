/**
 * The client of Whop's REST API, as far as jobs and member links need it. Paths are those of `@whop/sdk` 0.0.42, which is not
 * used at run time: it is larger than this whole folder and has no time-out per call.
 *
 * Trade-off: Whop documents `Idempotency-Key` for the calls that change a membership (docs.whop.com/api-reference/
 * memberships/extend-membership); for `add_free_days`, which the SDK calls, the key is sent but not documented. A call whose
 * reply was lost is therefore not repeated: days given twice cost more than a message that does not promise them.
 */
import * as z from "zod"
import { notSentOf, type OutboundFetch } from "../../../../shared/network/outbound-fetch.ts"
import { type ProviderApi, ProviderApiError } from "../../../../shared/provider.ts"
import { pruneToBounds } from "../../json.ts"
import { isOfCompany } from "../events/envelope.ts"
import { customerOf, whopPage } from "../events/event-reading.ts"
import { idOf, type JsonObject, relatedId } from "../events/fields.ts"
import { whopHistory } from "./delivery-log.ts"
import { listHistory, listReply } from "./history.ts"

/** The base URL of the SDK; a deployment may name another. */
export const WHOP_API_URL = "https://api.whop.com/api/v1"

/** For a call with its retries: a member waits for the tracked link, and a job has other work. */
const TIMEOUT_MS = 17_000

/** The largest object that we read is a payment with its refunds, some tens of kilobytes. */
const REPLY_LENGTH_MAX = 1_048_576

/** Whop adds between one day and three years (@whop/sdk, MembershipAddFreeDaysParams). */
const FREE_DAYS_MAX = 1_095

/** Whop's documented limit of the header. */
const IDEMPOTENCY_KEY_LENGTH_MAX = 255

/** How to reach Whop. Without a key every call is refused. */
export interface WhopApiOptions {
  readonly apiKey: string | null
  readonly apiUrl?: string
  /** The company that calls are for, and that answers are compared with; null: that of the key. */
  readonly companyId?: string | null
  /** The URL of our own webhook endpoint, to find its delivery log among others. */
  readonly webhookUrl?: string | null
  /** The outbound `fetch`; the platform's own by default. */
  readonly fetch?: OutboundFetch
}

/** The collection of each kind of object, by the prefix of its id. */
const COLLECTIONS: ReadonlyMap<string, string> = new Map([
  ["pay", "payments"],
  ["mem", "memberships"],
  ["inv", "invoices"],
  ["dspt", "disputes"],
  ["mber", "members"],
])

const objectReply = z.looseObject({ id: z.string() })
const membershipReply = z.looseObject({ id: z.string(), manage_url: z.string().nullish() })
type Membership = z.output<typeof membershipReply>

/** The API under one key. */
export function whopApi({
  apiKey,
  apiUrl = WHOP_API_URL,
  companyId = null,
  webhookUrl = null,
  fetch: send = (input, init) => fetch(input, init),
}: WhopApiOptions): ProviderApi {
  const call = async <T>(request: Call<T>): Promise<T | null> => {
    if (!apiKey) throw new ProviderApiError("Whop: no API key is configured", { retry: false, status: null })
    return callWhop(request, { apiKey, apiUrl, send })
  }
  /** One object; null: there is none. Throws when it belongs to another company than `companyId`. */
  const callObject = async <T extends JsonObject>(request: Call<T>): Promise<T | null> => {
    const object = await call(request)
    if (object !== null && !isOfCompany(object, companyId)) throw apiErrorOf("the answer belongs to another company")
    return object
  }
  /** The membership, if it is this user's. */
  const membershipOf = async (id: string, user: string): Promise<Membership | null> => {
    const membership = await callObject({ path: `/memberships/${encodeURIComponent(id)}`, reply: membershipReply })
    if (membership === null) return null
    const owner = customerOf(membership)
    if (membership.id !== id || (owner !== null && owner !== user)) {
      throw apiErrorOf("the membership belongs to another user")
    }
    return membership
  }

  return {
    async paymentPage({ customer, subscriptionId }) {
      const id = idOf(subscriptionId)
      return id === null ? null : whopPage((await membershipOf(id, customer))?.manage_url)
    },

    async applyIncentive({ customer, subscriptionId, incentive, idempotencyKey }) {
      if (incentive.kind !== "free_days")
        throw apiErrorOf("Whop can give free days, not a discount on a running membership")
      const { days } = incentive
      if (!Number.isSafeInteger(days) || days < 1 || days > FREE_DAYS_MAX) {
        throw apiErrorOf(`Whop adds between 1 and ${FREE_DAYS_MAX} free days`)
      }
      const id = idOf(subscriptionId)
      if (id === null) throw apiErrorOf("the membership id has a form we do not send")
      if (!/^[\x21-\x7e]+$/.test(idempotencyKey) || idempotencyKey.length > IDEMPOTENCY_KEY_LENGTH_MAX) {
        throw apiErrorOf("the idempotency key has a form we do not send")
      }
      // Read first, to check its owner. A membership that is not found is left to the call itself, which may still find it.
      await membershipOf(id, customer)
      const path = `/memberships/${encodeURIComponent(id)}/add_free_days`
      const request = { path, post: { free_days: days }, idempotencyKey, reply: membershipReply }
      const membership = await callObject(request).catch((error: unknown) => {
        throw isLostReply(error) ? apiErrorOf("no reply to free days; they may have been added") : error
      })
      if (membership === null) throw new ProviderApiError("Whop: no such membership", { retry: false, status: 404 })
      return { receiptId: null } // Whop answers with the membership; there is no receipt of the days
    },

    async customerOf(objectId) {
      const id = idOf(objectId)
      const collection = COLLECTIONS.get(/^[a-z]+(?=_)/.exec(id ?? "")?.[0] ?? "")
      if (id === null || collection === undefined) return null
      const object = await callObject({ path: `/${collection}/${encodeURIComponent(id)}`, reply: objectReply })
      return object === null || object.id !== id ? null : ownerOf(object)
    },

    async listHistory(request) {
      const company = idOf(companyId)
      if (company === null) throw apiErrorOf("no company is configured whose lists could be read")
      return listHistory(request, company, async (path) => {
        const page = await call({ path, reply: listReply })
        return page === null ? null : { ...page, data: page.data.filter((object) => isOfCompany(object, company)) }
      })
    },
    ...whopHistory({ get: call, getObject: callObject }, { companyId, webhookUrl }),
  }
}

/** No answer, or a success that cannot be read: in both cases the call may have had its effect. */
const isLostReply = (error: unknown): boolean =>
  error instanceof ProviderApiError &&
  (error.status === null || error.status < 300) &&
  error.retry &&
  notSentOf(error) === null

/** The customer and related objects. A dispute names the user within its payment, all others themselves. */
function ownerOf(object: JsonObject): { readonly customer: string; readonly objects: readonly string[] } | null {
  const payment = z.looseObject({}).safeParse(object.payment).data ?? {}
  const customer = customerOf(object) ?? customerOf(payment)
  if (customer === null) return null
  const ids = [
    idOf(object.id),
    relatedId(object, "payment"),
    relatedId(object, "membership") ?? relatedId(payment, "membership"),
    relatedId(object, "member") ?? relatedId(payment, "member"),
  ]
  return { customer, objects: [...new Set(ids.filter((id) => id !== null))] }
}

interface Call<T> {
  readonly path: string
  readonly reply: z.ZodType<T>
  readonly post?: Readonly<Record<string, unknown>>
  readonly idempotencyKey?: string
}

interface Connection {
  readonly apiKey: string
  readonly apiUrl: string
  readonly send: OutboundFetch
}

/** The parsed reply; null when Whop has no such object. Throws `ProviderApiError` for everything else. */
async function callWhop<T>(
  { path, reply, post, idempotencyKey }: Call<T>,
  { apiKey, apiUrl, send }: Connection,
): Promise<T | null> {
  let response: Response
  let text: string
  try {
    response = await send(`${apiUrl.replace(/\/+$/, "")}${path}`, {
      method: post ? "POST" : "GET",
      headers: {
        authorization: `Bearer ${apiKey}`,
        accept: "application/json",
        ...(post && { "content-type": "application/json" }),
        ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      },
      ...(post && { body: JSON.stringify(post) }),
      redirect: "manual", // the key must not follow a redirect to another host
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    text = await response.text() // always read, so that the connection is released
  } catch (cause) {
    const what = notSentOf(cause) === null ? "no answer" : "not sent"
    throw new ProviderApiError(`Whop: ${what}`, { retry: true, status: null, cause })
  }

  const { status } = response
  if (status === 404) return null
  if (!response.ok) {
    const retry = status === 408 || status === 429 || status >= 500
    throw new ProviderApiError(`Whop: answered ${status}`, { retry, status })
  }
  const parsed = reply.safeParse(text.length <= REPLY_LENGTH_MAX ? parseJson(text) : undefined)
  // A 200 with half a body, or with a proxy's error page, counts as no answer.
  if (!parsed.success) throw new ProviderApiError("Whop: answer not readable", { retry: true, status })
  return parsed.data
}

function parseJson(text: string): unknown {
  try {
    return pruneToBounds(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** An error of ours that a retry does not change. */
const apiErrorOf = (message: string): ProviderApiError => new ProviderApiError(message, { retry: false, status: null })
