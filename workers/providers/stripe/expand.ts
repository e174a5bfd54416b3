/**
 * Asks Stripe for what a thin event only names: the snapshot event that tells the same, else the object as it is now. Calls
 * are made by id to the collections named here; the URL in the event is not followed.
 */
import type Stripe from "stripe"
import * as z from "zod"
import { isId } from "../ids.ts"
import type { Delivery, Expanded } from "../provider.ts"
import { ask, isAnswer } from "./api.ts"
import { isObject, type JsonObject, orNull } from "./fields.ts"
import { goneDelivery, presentDelivery } from "./present.ts"
import { isTwinType } from "./thin-types.ts"

/** What a thin event comes to. Throws `ProviderApiError` while Stripe does not answer or refuses. */
export async function expand(stripe: Stripe, thin: Delivery): Promise<Expanded> {
  const { needs } = thin
  if (needs === undefined) return { kind: "delivery", delivery: thin }
  const told =
    needs.snapshotEventId === null ? await fullEvent(stripe, thin) : { ...SILENT, twin: needs.snapshotEventId }
  const twin = told.twin === null ? null : await snapshotEvent(stripe, thin, told.twin)
  if (twin !== null) return { kind: "twin", body: twin }

  const object = needs.object === null ? null : await currentObject(stripe, thin, needs.object)
  const delivery =
    object === null
      ? goneDelivery(thin, "thin event, and its object is gone")
      : presentDelivery(thin, object, told.previous)
  return { kind: "delivery", delivery }
}

interface Told {
  readonly twin: string | null
  readonly previous: JsonObject
}
const SILENT: Told = { twin: null, previous: {} }

const full = z.object({
  snapshot_event: orNull(z.string().refine(isId)),
  changes: orNull(z.object({ before: orNull(z.record(z.string(), z.unknown())) })),
})

/** The notification may leave out what the event itself says: its twin, and what changed. */
async function fullEvent(stripe: Stripe, { providerEventId, account }: Delivery): Promise<Told> {
  const event = await orNone("reading a thin event", () =>
    stripe.v2.core.events.retrieve(providerEventId, {}, account === null ? {} : { stripeContext: account }),
  )
  const read = full.safeParse(event)
  return read.success ? { twin: read.data.snapshot_event, previous: read.data.changes?.before ?? {} } : SILENT
}

const snapshot = z.looseObject({
  id: z.string(),
  object: z.literal("event"),
  type: z.string(),
  account: orNull(z.string()),
})

/** The twin as its endpoint would receive it; null when Stripe has it no more (after 30 days), or it tells another thing. */
async function snapshotEvent(stripe: Stripe, thin: Delivery, id: string): Promise<object | null> {
  const event = await orNone("reading an event", () => stripe.events.retrieve(id, {}, inAccount(thin)))
  if (event === null) return null
  const { data } = snapshot.safeParse(event)
  if (data === undefined || data.id !== id || !isTwinType(thin.type, data.type)) return null
  // Asked for in an account's name it may not say whose it is, as its delivery does; and that is a part of its key.
  const { account, ...rest } = data
  const owner = account ?? thin.account
  return owner === null ? rest : { ...rest, account: owner }
}

async function currentObject(
  stripe: Stripe,
  thin: Delivery,
  { type, id }: { readonly type: string; readonly id: string },
): Promise<JsonObject | null> {
  const retrieve = RETRIEVERS.get(type)
  if (retrieve === undefined) return null
  const object: unknown = await orNone(`reading ${type}`, () => retrieve(stripe, id, inAccount(thin)))
  return isObject(object) && object.object === type && object.id === id ? object : null
}

type Options = { readonly stripeAccount?: string }
type Retriever = (stripe: Stripe, id: string, options: Options) => Promise<unknown>

/** By the type that `related_object` names, which is the `object` of what is there. */
const RETRIEVERS: ReadonlyMap<string, Retriever> = new Map<string, Retriever>([
  ["charge", (stripe, id, options) => stripe.charges.retrieve(id, {}, options)],
  ["checkout.session", (stripe, id, options) => stripe.checkout.sessions.retrieve(id, {}, options)],
  ["customer", (stripe, id, options) => stripe.customers.retrieve(id, {}, options)],
  ["dispute", (stripe, id, options) => stripe.disputes.retrieve(id, {}, options)],
  ["invoice", (stripe, id, options) => stripe.invoices.retrieve(id, {}, options)],
  ["invoice_payment", (stripe, id, options) => stripe.invoicePayments.retrieve(id, {}, options)],
  ["payment_intent", (stripe, id, options) => stripe.paymentIntents.retrieve(id, {}, options)],
  ["payment_method", (stripe, id, options) => stripe.paymentMethods.retrieve(id, {}, options)],
  ["refund", (stripe, id, options) => stripe.refunds.retrieve(id, {}, options)],
  ["subscription", (stripe, id, options) => stripe.subscriptions.retrieve(id, {}, options)],
])

/** A connected account is asked in its own name. */
const inAccount = ({ account }: Delivery): Options => (account === null ? {} : { stripeAccount: account })

/** The answer; null for what is not there. */
async function orNone<T>(what: string, call: () => Promise<T>): Promise<T | null> {
  return ask(what, async () => {
    try {
      return await call()
    } catch (error) {
      if (isAnswer(error, 404)) return null
      throw error
    }
  })
}
