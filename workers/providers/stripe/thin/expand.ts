/**
 * Asks Stripe for what a thin event only names: the snapshot event that tells the same, else the object as it is now. Calls
 * are made by id to the collections named here; the URL in the event is not followed.
 */
import type Stripe from "stripe"
import * as z from "zod"
import type { Delivery, ExpandedEvent } from "../../../../shared/provider.ts"
import { isId } from "../../ids.ts"
import { apiErrorOf, callStripe, isStripeError } from "../api/client.ts"
import { isObject, type JsonObject, orNull } from "../facts/fields.ts"
import { isSnapshotType } from "../facts/thin-types.ts"
import { currentObjectDelivery, deletedObjectDelivery } from "./current-object.ts"

/**
 * What a thin event of this account comes to. Throws `ProviderApiError` while Stripe does not answer or refuses, and for an
 * event of another account.
 */
export async function expand(stripe: Stripe, thin: Delivery, account: string | null): Promise<ExpandedEvent> {
  const { needs } = thin
  if (needs === undefined) return { kind: "delivery", delivery: thin }
  if (thin.account !== null && thin.account !== account) throw apiErrorOf("the event belongs to another account")
  const told =
    needs.snapshotEventId === null ? await fullEvent(stripe, thin) : { ...SILENT, twin: needs.snapshotEventId }
  const twin = told.twin === null ? null : await snapshotEvent(stripe, thin, told.twin, account)
  if (twin !== null) return { kind: "twin", body: twin }

  const object = needs.object === null ? null : await currentObject(stripe, needs.object)
  const delivery =
    object === null
      ? deletedObjectDelivery(thin, "thin event, and its object is gone")
      : currentObjectDelivery(thin, object, told.previous)
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
async function fullEvent(stripe: Stripe, { providerEventId }: Delivery): Promise<Told> {
  const event = await orNone("reading a thin event", () => stripe.v2.core.events.retrieve(providerEventId))
  const read = full.safeParse(event)
  return read.success ? { twin: read.data.snapshot_event, previous: read.data.changes?.before ?? {} } : SILENT
}

const snapshot = z.looseObject({
  id: z.string(),
  object: z.literal("event"),
  type: z.string(),
  account: orNull(z.string()),
})

/**
 * The twin as its endpoint would receive it; null when Stripe has it no more (after 30 days), it tells another thing, or it is
 * another account's.
 */
async function snapshotEvent(
  stripe: Stripe,
  thin: Delivery,
  id: string,
  account: string | null,
): Promise<object | null> {
  const event = await orNone("reading an event", () => stripe.events.retrieve(id))
  if (event === null) return null
  const { data } = snapshot.safeParse(event)
  if (data === undefined || data.id !== id || !isSnapshotType(thin.type, data.type)) return null
  if (data.account !== null && data.account !== account) return null
  // Asked for in an account's name it may not say whose it is, as its delivery does; and that is a part of its key.
  const { account: _, ...rest } = data
  return thin.account === null ? rest : { ...rest, account: thin.account }
}

async function currentObject(
  stripe: Stripe,
  { type, id }: { readonly type: string; readonly id: string },
): Promise<JsonObject | null> {
  const retrieve = RETRIEVERS.get(type)
  if (retrieve === undefined || /^\.+$/.test(id)) return null
  const object: unknown = await orNone(`reading ${type}`, () => retrieve(stripe, id))
  return isObject(object) && object.object === type && object.id === id ? object : null
}

type Retriever = (stripe: Stripe, id: string) => Promise<unknown>

/** By the type that `related_object` names, which is the `object` of what is there. */
const RETRIEVERS: ReadonlyMap<string, Retriever> = new Map<string, Retriever>([
  ["charge", (stripe, id) => stripe.charges.retrieve(id)],
  ["checkout.session", (stripe, id) => stripe.checkout.sessions.retrieve(id)],
  ["customer", (stripe, id) => stripe.customers.retrieve(id)],
  ["dispute", (stripe, id) => stripe.disputes.retrieve(id)],
  ["invoice", (stripe, id) => stripe.invoices.retrieve(id)],
  ["invoice_payment", (stripe, id) => stripe.invoicePayments.retrieve(id)],
  ["payment_intent", (stripe, id) => stripe.paymentIntents.retrieve(id)],
  ["payment_method", (stripe, id) => stripe.paymentMethods.retrieve(id)],
  ["refund", (stripe, id) => stripe.refunds.retrieve(id)],
  ["subscription", (stripe, id) => stripe.subscriptions.retrieve(id)],
])

/** The answer; null for what is not there. */
async function orNone<T>(what: string, call: () => Promise<T>): Promise<T | null> {
  return callStripe(what, async () => {
    try {
      return await call()
    } catch (error) {
      if (isStripeError(error, 404)) return null
      throw error
    }
  })
}
