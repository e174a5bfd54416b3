import { randomBytes } from "node:crypto"
import { jsonReply, type Reply } from "../faults.ts"
import type { Form } from "./form.ts"
import type { ApiObject } from "./objects.ts"
import { parameterMissing, resourceMissing, stripeError } from "./stripe-errors.ts"
import { asResponse, update } from "./stripe-update.ts"
import type { StripeWorld } from "./stripe-world.ts"

/** One authorised request with parsed parameters. */
export type StripeCall = {
  readonly method: string
  readonly path: string
  readonly params: Form
  /** The connected account of the request, or that of a company's own key; empty: the world's own. */
  readonly account: string
}

/** Collection in the path → the name in Stripe's messages and in `object`. */
const KINDS: Readonly<Record<string, string>> = {
  customers: "customer",
  charges: "charge",
  invoices: "invoice",
  subscriptions: "subscription",
  events: "event",
  coupons: "coupon",
  invoice_payments: "invoice_payment",
  payment_intents: "payment_intent",
  disputes: "dispute",
  refunds: "refund",
  payment_methods: "payment_method",
}

const PREFIXES: Readonly<Record<string, string>> = { customers: "cus_", subscriptions: "sub_" }

/** Answers one call. */
export function handleStripe(call: StripeCall, world: StripeWorld): Reply {
  const [, version, collection = "", id, ...rest] = call.path.split("/").map(decodeURIComponent)
  const kind = Object.hasOwn(KINDS, collection) ? KINDS[collection] : undefined
  if (version === "v1" && rest.length === 0) {
    if (call.method === "POST" && collection === "billing_portal" && id === "sessions")
      return portalSession(call, world)
    if (call.method === "POST" && collection === "coupons" && id === undefined) return createCoupon(call, world)
    if (kind && call.method === "GET" && id === undefined) return list(collection, call, world)
    if (kind && call.method === "GET" && id !== undefined) {
      const object = world.objects.get(collection, id)
      if (object && !isVisible(collection, object, call, world)) return resourceMissing(kind, id)
      return object ? jsonReply(asResponse(object, call.params)) : resourceMissing(kind, id)
    }
    if (kind && call.method === "POST" && id !== undefined) {
      if (!exists(collection, id, call, world)) return resourceMissing(kind, id)
      const before = world.objects.get(collection, id) ?? { ...base(kind, "", world), id }
      return update(collection, before, call.params, world)
    }
  }
  if (call.method === "GET" && version === "v1" && collection === "account" && id === undefined) {
    return jsonReply({ id: call.account === "" ? "acct_world" : call.account, object: "account" })
  }
  if (call.method === "GET" && version === "v1" && collection === "checkout" && id === "sessions") {
    const object = world.objects.get("checkout_sessions", rest[0] ?? "")
    return object ? jsonReply(asResponse(object, call.params)) : resourceMissing("checkout.session", rest[0] ?? "")
  }
  if (call.method === "GET" && version === "v2" && collection === "core" && id === "events") {
    const event = world.objects.get("core_events", rest[0] ?? "")
    return event ? jsonReply(event) : jsonReply({ error: { code: "not_found", message: "Object not found." } }, 404)
  }
  return stripeError(404, {
    type: "invalid_request_error",
    message: `Unrecognized request URL (${call.method}: ${call.path}).`,
  })
}

/** Whether the object can be written by this request: created for its account, or assumed to exist. */
function exists(
  collection: string,
  id: string,
  { account }: StripeCall,
  { objects, adoptsUnknown }: StripeWorld,
): boolean {
  const prefix = PREFIXES[collection]
  const object = objects.get(collection, id)
  if (object !== undefined) return (object.account ?? "") === account
  return adoptsUnknown && prefix !== undefined && id.startsWith(prefix)
}

function portalSession(call: StripeCall, world: StripeWorld): Reply {
  const { params } = call
  const { customer, customer_account: account = null } = params
  if (typeof customer !== "string" && typeof account !== "string") return parameterMissing("customer")
  if (typeof customer === "string" && !exists("customers", customer, call, world))
    return resourceMissing("customer", customer, { param: "customer", status: 400 })
  return jsonReply({
    ...base("billing_portal.session", "bps_", world),
    configuration: params.configuration ?? "bpc_local",
    customer: customer ?? null,
    customer_account: account,
    flow: params.flow_data ?? null,
    locale: params.locale ?? null,
    on_behalf_of: null,
    return_url: params.return_url ?? null,
    url: `https://billing.stripe.com/p/session/test_${randomBytes(24).toString("base64url")}`,
  })
}

function createCoupon({ params }: StripeCall, world: StripeWorld): Reply {
  const { percent_off: percentOff, amount_off: amountOff, currency } = params
  if (percentOff === undefined && amountOff === undefined) {
    return stripeError(400, {
      type: "invalid_request_error",
      message: "You must pass either percent_off or amount_off.",
    })
  }
  if (amountOff !== undefined && currency === undefined) return parameterMissing("currency")
  if (typeof params.id === "string" && world.objects.get("coupons", params.id)) {
    return stripeError(400, {
      type: "invalid_request_error",
      code: "resource_already_exists",
      message: "Coupon already exists.",
      param: "id",
    })
  }
  const coupon = {
    ...base("coupon", "", world),
    ...params,
    ...(typeof params.id === "string" ? { id: params.id } : {}),
    duration: params.duration ?? "once",
    duration_in_months: numberOrNull(params.duration_in_months),
    percent_off: numberOrNull(percentOff),
    amount_off: numberOrNull(amountOff),
    max_redemptions: numberOrNull(params.max_redemptions),
    times_redeemed: 0,
    valid: true,
  }
  return jsonReply(world.objects.put("coupons", coupon))
}

const LIMIT_DEFAULT = 10
const LIMIT_MAX = 100

/** How long events can be listed and read. */
const EVENT_RETENTION_SECONDS = 30 * 24 * 60 * 60

/**
 * Whether the object is visible to this request: events for 30 days; every object belongs to the account in its
 * `account` field, or to the key's own.
 */
function isVisible(collection: string, object: ApiObject, { account }: StripeCall, { now }: StripeWorld): boolean {
  if ((typeof object.account === "string" ? object.account : "") !== account) return false
  return (
    collection !== "events" || creationTimeOf(object) >= Math.floor(now().getTime() / 1_000) - EVENT_RETENTION_SECONDS
  )
}

/** Canceled subscriptions are listed only with a `status` filter. */
function hasListedStatus(collection: string, { status }: ApiObject, wanted: Form[string] | undefined): boolean {
  if (collection !== "subscriptions" || wanted === "all") return true
  return wanted === undefined ? status !== "canceled" : status === wanted
}

/** A page of a collection, newest first, with Stripe's cursors and filters by field. */
function list(collection: string, call: StripeCall, world: StripeWorld): Reply {
  const { path, params } = call
  const limit = Number(params.limit ?? LIMIT_DEFAULT)
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    return stripeError(400, {
      type: "invalid_request_error",
      message: "Invalid limit: must be 1 to 100",
      param: "limit",
    })
  }
  const { starting_after: after, ending_before: before, limit: _limit, expand, ...wanted } = params
  const { status, ...others } = wanted
  const filters = collection === "subscriptions" || status === undefined ? others : wanted
  const all = world.objects
    .list(collection)
    .filter((object) => isVisible(collection, object, call, world) && hasListedStatus(collection, object, status))
    .toReversed()
    .toSorted((a, b) => creationTimeOf(b) - creationTimeOf(a))
    .filter((object) => fits(object, filters))
  const cursor = after ?? before
  const position = cursor === undefined ? -1 : all.findIndex(({ id }) => id === cursor)
  if (cursor !== undefined && position < 0)
    return resourceMissing(KINDS[collection] ?? collection, String(cursor), { param: "starting_after", status: 400 })
  const rest = before === undefined ? all.slice(position + 1) : all.slice(0, position).slice(-limit)
  const hasMore = before === undefined ? rest.length > limit : position > limit
  return jsonReply({
    object: "list",
    url: path,
    has_more: hasMore,
    data: rest.slice(0, limit).map((one) => asResponse(expanded(one, expand, world), {})),
  })
}

/** The object with the fields of `expand[]=data.<field>` replaced by the objects, if these were created. */
function expanded(object: ApiObject, expand: Form[string] | undefined, { objects }: StripeWorld): ApiObject {
  const fields = (Array.isArray(expand) ? expand : []).map((path) => String(path).replace(/^data\./, ""))
  const found = fields.flatMap((field) => {
    const whole = objects.get(`${field}s`, String(object[field]))
    return whole ? [[field, whole] as const] : []
  })
  return { ...object, ...Object.fromEntries(found) }
}

const creationTimeOf = (object: ApiObject): number => (typeof object.created === "number" ? object.created : 0)

/** Whether all filters match: `types` and ranges of `created` by their meaning, all others by deep equality. */
function fits(object: ApiObject, filters: Form): boolean {
  return Object.entries(filters).every(([name, wanted]) => {
    if (name === "types" && Array.isArray(wanted)) return wanted.includes(String(object.type))
    if (name === "created" && typeof wanted === "object") return inRange(creationTimeOf(object), wanted as Form)
    return contains(object[name], wanted)
  })
}

function contains(value: unknown, wanted: Form[string]): boolean {
  if (typeof wanted === "string") return String(value) === wanted
  if (typeof value !== "object" || value === null) return false
  return Object.entries(wanted).every(([name, inner]) => contains((value as Record<string, unknown>)[name], inner))
}

const inRange = (value: number, { gt, gte, lt, lte }: Form): boolean =>
  (gt === undefined || value > Number(gt)) &&
  (gte === undefined || value >= Number(gte)) &&
  (lt === undefined || value < Number(lt)) &&
  (lte === undefined || value <= Number(lte))

const numberOrNull = (value: Form[string] | undefined): number | null => (value === undefined ? null : Number(value))

function base(object: string, prefix: string, { now }: StripeWorld) {
  return {
    id: `${prefix}${randomBytes(12).toString("hex")}`,
    object,
    created: Math.floor(now().getTime() / 1_000),
    livemode: false,
  }
}
