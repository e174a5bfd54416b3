/**
 * Expands a thin event: gets the snapshot event of the same change from Stripe, else the current object. Calls are made by id
 * to the collections named here; the URL in the event is not followed.
 */
import type Stripe from "stripe"
import * as z from "zod"
import type { Delivery, ExpandedEvent } from "../../../../shared/provider.ts"
import { isId } from "../../ids.ts"
import { apiErrorOf, callStripe, isStripeError } from "../api/client.ts"
import { isObject, type JsonObject, orNull } from "../events/fields.ts"
import { isSnapshotType } from "../events/thin-types.ts"
import { currentObjectDelivery, deletedObjectDelivery } from "./current-object.ts"

/**
 * Expands a thin event of this account. Throws `ProviderApiError` while Stripe does not answer or refuses, and for an event of
 * another account.
 */
export async function expand(stripe: Stripe, thin: Delivery, account: string | null): Promise<ExpandedEvent> {
  const { needs } = thin
  if (needs === undefined) return { kind: "delivery", delivery: thin }
  if (thin.account !== null && thin.account !== account) throw apiErrorOf("the event belongs to another account")
  const { snapshotEventId, previous } =
    needs.snapshotEventId === null
      ? await fullEvent(stripe, thin)
      : { ...NO_DETAILS, snapshotEventId: needs.snapshotEventId }
  const snapshotBody = snapshotEventId === null ? null : await snapshotEvent(stripe, thin, snapshotEventId, account)
  if (snapshotBody !== null) return { kind: "snapshot", body: snapshotBody }

  const object = needs.object === null ? null : await currentObject(stripe, needs.object)
  const delivery =
    object === null
      ? deletedObjectDelivery(thin, "thin event, and its object is gone")
      : currentObjectDelivery(thin, object, previous)
  return { kind: "delivery", delivery }
}

interface ThinDetails {
  readonly snapshotEventId: string | null
  /** The former values of the fields that changed. */
  readonly previous: JsonObject
}
const NO_DETAILS: ThinDetails = { snapshotEventId: null, previous: {} }

const full = z.lazy(() =>
  z.object({
    snapshot_event: orNull(z.string().refine(isId)),
    changes: orNull(z.object({ before: orNull(z.record(z.string(), z.unknown())) })),
  }),
)

/** The notification may leave out details that the event itself has: its snapshot event, and what changed. */
async function fullEvent(stripe: Stripe, { providerEventId }: Delivery): Promise<ThinDetails> {
  const event = await nullIfMissing("reading a thin event", () => stripe.v2.core.events.retrieve(providerEventId))
  const read = full.safeParse(event)
  if (!read.success) return NO_DETAILS
  return { snapshotEventId: read.data.snapshot_event, previous: read.data.changes?.before ?? {} }
}

const snapshot = z.lazy(() =>
  z.looseObject({
    id: z.string(),
    object: z.literal("event"),
    type: z.string(),
    account: orNull(z.string()),
  }),
)

/**
 * The snapshot event as its endpoint would receive it; null when Stripe no longer has it (after 30 days), or it is of another
 * type or account.
 */
async function snapshotEvent(
  stripe: Stripe,
  thin: Delivery,
  id: string,
  account: string | null,
): Promise<object | null> {
  const event = await nullIfMissing("reading an event", () => stripe.events.retrieve(id))
  if (event === null) return null
  const { data } = snapshot.safeParse(event)
  if (data === undefined || data.id !== id || !isSnapshotType(thin.type, data.type)) return null
  if (data.account !== null && data.account !== account) return null
  // When read for an account it may not name the account, as its delivery does; and the account is part of our event id.
  const { account: _, ...rest } = data
  return thin.account === null ? rest : { ...rest, account: thin.account }
}

async function currentObject(
  stripe: Stripe,
  { type, id }: { readonly type: string; readonly id: string },
): Promise<JsonObject | null> {
  const retrieve = RETRIEVERS.get(type)
  if (retrieve === undefined || /^\.+$/.test(id)) return null
  const object: unknown = await nullIfMissing(`reading ${type}`, () => retrieve(stripe, id))
  return isObject(object) && object.object === type && object.id === id ? object : null
}

type Retriever = (stripe: Stripe, id: string) => Promise<unknown>

/** By the type in `related_object`, which is the `object` field of the object itself. */
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

/** The answer; null for a 404. */
async function nullIfMissing<T>(what: string, call: () => Promise<T>): Promise<T | null> {
  return callStripe(what, async () => {
    try {
      return await call()
    } catch (error) {
      if (isStripeError(error, 404)) return null
      throw error
    }
  })
}
