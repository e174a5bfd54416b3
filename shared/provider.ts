/**
 * What the suite asks of a billing provider. All knowledge of one provider lives in its folder; nothing else learns its
 * name but the registry in `services.ts`.
 */
import type { Incentive, Instant, ProviderFactBody, ProviderName } from "./domain/facts.ts"
import type { AccountGrant } from "./provider-account.ts"
import type { Result } from "./result.ts"

/** Why a delivery is not believed. Every reason is answered 401; the reason itself goes to the log only. */
export type VerifyError =
  | { readonly reason: "signature_missing" }
  | { readonly reason: "signature_malformed"; readonly detail: string }
  | { readonly reason: "signature_mismatch" }
  | { readonly reason: "timestamp_out_of_range"; readonly ageMs: number }

/** A delivery as it came: bytes and headers, before anything is believed. */
export interface RawDelivery {
  readonly headers: Headers
  readonly rawBody: Uint8Array
  readonly now: Date
  /** All secrets that are valid at this moment; several while one is being rotated. Never empty. */
  readonly secrets: readonly string[]
}

/** Which secret verified, by its place in `secrets`, and by which reading of it (for the log; never the secret). */
export interface Verified {
  readonly secretIndex: number
  readonly scheme: string
}

/** Both sides of now, inclusive, and not a second more (Stripe and Standard Webhooks: five minutes). */
export const TIMESTAMP_TOLERANCE_SECONDS = 300

/** A fact as an adapter makes it; its id and subject are given when it is recorded. */
export type NewFact = ProviderFactBody & { readonly occurredAt: Instant }

/**
 * What an event says about how to reach the customer. Absent: not said; null: said to be none. This is personal data: it
 * is sealed before it is stored and never becomes part of a fact.
 */
export interface ContactChange {
  readonly name?: string | null
  readonly email?: string | null
  readonly phone?: string | null
  /** ISO 3166-1 alpha-2, where the person lives or is billed: it completes a phone number without its country code. */
  readonly country?: string
  /** A page of the provider where the member can pay or change the card; only https pages of the provider. */
  readonly paymentPageUrl?: string | null
  /** True for a copy that another object keeps (an invoice's, say): it fills gaps and never overrides the customer's own word. */
  readonly isCopy?: boolean
}

/** One raw event, read. */
export interface Delivery {
  readonly provider: ProviderName
  /** The provider's account or company that the event belongs to (Stripe Connect account, Whop company); null: our own. */
  readonly account: string | null
  readonly providerEventId: string
  readonly type: string
  readonly apiVersion: string | null
  readonly occurredAt: Instant
  /** False: it happened in the provider's test mode (Whop: its sandbox). Null: the event does not say. */
  readonly isLive: boolean | null
  /** The provider's id of the customer; null when the event does not name one. */
  readonly customer: string | null
  /** Ids of charges, payment intents, invoices and subscriptions that belong to the same customer, most specific first. */
  readonly objects: readonly string[]
  readonly facts: readonly NewFact[]
  readonly contact: ContactChange | null
  /** Null when facts were read or there was nothing to read; else why the event is kept as `unhandled`. */
  readonly unhandled: string | null
  /** The event only names what it is about: the provider must be asked, and never before the answer. Absent: it says all. */
  readonly needs?: LookupRequest
}

/** What a thin event leaves to be asked. */
export interface LookupRequest {
  /** The event that tells the same with its object in it; null: the thin event names none. */
  readonly snapshotEventId: string | null
  /** What the event is about, as its provider names it; null: it does not say. */
  readonly object: { readonly type: string; readonly id: string } | null
}

/**
 * What a thin event comes to. `twin`: the event that tells the same, as the provider would have sent it. `delivery`: the
 * thin event itself, read from its object as that is now; without facts and with a reason where nothing is there any more.
 */
export type ExpandedEvent =
  | { readonly kind: "twin"; readonly body: unknown }
  | { readonly kind: "delivery"; readonly delivery: Delivery }

/** The envelope could not be read at all: answered 400, nothing stored. `detail` is safe to show. */
export interface MalformedEvent {
  readonly reason: "malformed"
  readonly detail: string
}

/** A call to the provider's API did not work; `retry` says whether the same call may work later. */
export class ProviderApiError extends Error {
  readonly retry: boolean
  readonly status: number | null
  constructor(message: string, options: { retry: boolean; status: number | null; cause?: unknown }) {
    super(message, { cause: options.cause })
    this.name = "ProviderApiError"
    this.retry = options.retry
    this.status = options.status
  }
}

/** One thing the provider says happened, written as the webhook it would have been. */
export interface HistoricalEvent {
  readonly providerEventId: string
  readonly occurredAt: Instant
  readonly type: string
  readonly rawBody: Uint8Array
  readonly headers: Headers
  /**
   * True for a body that we wrote from an object of the provider. The webhook, had it come, bears another id; so whether
   * such a thing is known is told by the ledger's facts, not by the id.
   */
  readonly isConstructed?: boolean
}

/** A page of history; `cursor` leads to the next one, null: this was the last. */
export interface HistoryPage {
  readonly events: readonly HistoricalEvent[]
  readonly cursor: string | null
}

/**
 * Imported events have ids of ours that begin with this, made of the object and what happened to it; no provider's do. By
 * it an event is known as history wherever it is read again.
 */
export const HISTORY_ID_PREFIX = "history_"

/**
 * Events that we made of an object of the provider, because what was told of it was not clear, have ids of ours that begin
 * with this: by it their facts are known as fetched wherever they are read again.
 */
export const FETCHED_ID_PREFIX = "fetched_"

/** Which part of the past. */
export interface HistoryRequest {
  readonly since: Date
  readonly until: Date
  readonly cursor: string | null
  readonly limit: number
}

/** A subscription as the provider shows it now. */
export interface ProviderSubscription {
  readonly subscriptionId: string
  /**
   * The event by which the provider would tell of this state. `isRevived`: we take the subscription for ended, so the
   * event must say that it lives again.
   */
  toEvent(told: { readonly id: string; readonly at: Date; readonly isRevived: boolean }): HistoricalEvent
}

/**
 * What jobs and member links ask of the provider's API, in one account's name. Each call has a time-out and throws
 * `ProviderApiError`, also when the answer is about another account or another customer than was asked for.
 */
export interface ProviderApi {
  /** A page of the provider where this customer can update the card or manage the subscription; null when there is none. */
  paymentPage(request: {
    readonly customer: string
    readonly subscriptionId: string | null
    readonly returnUrl: string
  }): Promise<string | null>
  /** Applies the incentive once per idempotency key; answers the provider's receipt id. */
  applyIncentive(request: {
    readonly customer: string
    readonly subscriptionId: string
    readonly incentive: Incentive
    readonly idempotencyKey: string
  }): Promise<{ readonly receiptId: string | null }>
  /** The customer that an object (charge, payment intent, invoice, …) belongs to, with further ids of the same payment. */
  customerOf(objectId: string): Promise<{ readonly customer: string; readonly objects: readonly string[] } | null>
  /** Asks for what a thin event needs; only providers that send such events can. */
  expand?(delivery: Delivery): Promise<ExpandedEvent>
  /**
   * A page of what the provider's objects tell of the time between, with ids that repeat however often it is asked for.
   * Customers and subscriptions come first, whenever they began. `limit` events at most, or one object's; a page may be
   * empty while `cursor` says that more follows. Less than the webhooks told: an object keeps no record of each change.
   */
  listHistory(request: HistoryRequest): Promise<HistoryPage>
  /** A page of what the provider says happened in [since, until], newest first. */
  listEvents(request: HistoryRequest): Promise<HistoryPage>
  /** A page of the subscriptions that have not ended. */
  listSubscriptions(request: {
    readonly cursor: string | null
    readonly limit: number
  }): Promise<{ readonly subscriptions: readonly ProviderSubscription[]; readonly cursor: string | null }>
  /** One subscription, ended or not; null: the provider knows none of that id. */
  findSubscription(request: { readonly subscriptionId: string }): Promise<ProviderSubscription | null>
}

/** One billing provider. `verify` and `normalize` are free of I/O; `normalize` is total over parsed JSON. */
export interface Provider {
  readonly name: ProviderName
  verify(delivery: RawDelivery): Promise<Result<Verified, VerifyError>>
  normalize(
    body: unknown,
    context: { readonly receivedAt: Date; readonly headers: Headers },
  ): Result<Delivery, MalformedEvent>
  /** Hosts to which a member may be sent, as exact names or `.suffix`. */
  readonly redirectHosts: readonly string[]
  /** Where any member, once logged in, finds what they pay for; null where the provider has no such page. */
  readonly memberPage: string | null
  /** How many days `listEvents` reaches back; null where that has no bound. */
  readonly eventListDays: number | null
  /** The API in the name of the granted account; there is no other way to it. */
  apiFor(grant: AccountGrant): ProviderApi
}
