/**
 * The interface of a billing provider. All knowledge of one provider is in its folder; only the registry in `make-services.ts`
 * names it.
 */
import type { Incentive, Instant, ProviderFactBody, ProviderName } from "./domain/facts.ts"
import type { AccountGrant } from "./provider-account.ts"
import type { Result } from "./result.ts"

/** Why a signature is rejected. Every reason is answered with 401; the reason itself is only logged. */
export type VerifyError =
  | { readonly reason: "signature_missing" }
  | { readonly reason: "signature_malformed"; readonly detail: string }
  | { readonly reason: "signature_mismatch" }
  | { readonly reason: "timestamp_out_of_range"; readonly ageMs: number }

/** A delivery as received: bytes and headers, not verified yet. */
export interface RawDelivery {
  readonly headers: Headers
  readonly rawBody: Uint8Array
  readonly now: Date
  /** All secrets that are valid now; several while one is being rotated. Never empty. */
  readonly secrets: readonly string[]
}

/** Which secret matched, by its index in `secrets`, and under which scheme (for the log; never the secret). */
export interface Verified {
  readonly secretIndex: number
  readonly scheme: string
}

/** The largest difference to now, before or after, inclusive (Stripe and Standard Webhooks: five minutes). */
export const TIMESTAMP_TOLERANCE_SECONDS = 300

/** A fact as `normalize` returns it; its id and subject are set when it is recorded. */
export type NewFact = ProviderFactBody & { readonly occurredAt: Instant }

/**
 * Contact data of the customer in an event. Absent: the event does not give it; null: the customer has none. This is
 * personal data: it is sealed before it is stored and never becomes part of a fact.
 */
export interface ContactChange {
  readonly name?: string | null
  readonly email?: string | null
  readonly phone?: string | null
  /** ISO 3166-1 alpha-2, where the person lives or is billed: it completes a phone number without country code. */
  readonly country?: string
  /** A page of the provider where the member can pay or change the card; only https pages of the provider. */
  readonly paymentPageUrl?: string | null
  /** True for a copy on another object, such as an invoice: it fills gaps and never overrides the customer object. */
  readonly isCopy?: boolean
}

/** One event, normalized. */
export interface Delivery {
  readonly provider: ProviderName
  /** The provider's account or company that the event belongs to (Stripe Connect account, Whop company); null: our own. */
  readonly account: string | null
  readonly providerEventId: string
  readonly type: string
  readonly apiVersion: string | null
  readonly occurredAt: Instant
  /** False: from the provider's test mode (Whop: its sandbox). Null: the event does not give its mode. */
  readonly isLive: boolean | null
  /** The provider's id of the customer; null when the event does not name one. */
  readonly customer: string | null
  /** Ids of charges, payment intents, invoices and subscriptions that belong to the same customer, most specific first. */
  readonly objects: readonly string[]
  readonly facts: readonly NewFact[]
  readonly contact: ContactChange | null
  /** Why the event is stored as `unhandled`; null when facts were read or there was nothing to read. */
  readonly unhandled: string | null
  /** For a thin event: what to look up at the provider, after the webhook was answered. Absent: the event is complete. */
  readonly needs?: LookupRequest
}

/** What to look up for a thin event. */
export interface LookupRequest {
  /** The snapshot event of the same change; null: the thin event names none. */
  readonly snapshotEventId: string | null
  /** The object that the event names, in the provider's terms; null: it names none. */
  readonly object: { readonly type: string; readonly id: string } | null
}

/**
 * The result of expanding a thin event. `snapshot`: the snapshot event, as the provider would have sent it. `delivery`: the
 * thin event itself with the current state of its object; without facts and with a reason where the object is gone.
 */
export type ExpandedEvent =
  | { readonly kind: "snapshot"; readonly body: unknown }
  | { readonly kind: "delivery"; readonly delivery: Delivery }

/** The envelope could not be read: answered with 400, nothing stored. `detail` is safe to show. */
export interface MalformedEvent {
  readonly reason: "malformed"
  readonly detail: string
}

/** A call to the provider's API failed; `retry` says whether the same call may succeed later. */
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

/** An event of the provider's past, in the form of its webhook. */
export interface HistoricalEvent {
  readonly providerEventId: string
  readonly occurredAt: Instant
  readonly type: string
  readonly rawBody: Uint8Array
  readonly headers: Headers
  /**
   * True for a body that we built from an object of the provider. The webhook of the same change has another id, so
   * whether it was received is decided by the facts in the ledger, not by the id.
   */
  readonly isConstructed?: boolean
}

/** A page of history; `cursor` is that of the next one, null: this was the last. */
export interface HistoryPage {
  readonly events: readonly HistoricalEvent[]
  readonly cursor: string | null
}

/**
 * Ids of imported events begin with this, followed by the object and what happened to it; no provider's id does. It marks
 * the event as history wherever it is read again.
 */
export const HISTORY_ID_PREFIX = "history_"

/**
 * Ids of events that we built from a fetched object, because its snapshots contradict each other, begin with this. It marks
 * their facts as fetched wherever they are read again.
 */
export const FETCHED_ID_PREFIX = "fetched_"

/** Which part of the past to list, page by page. */
export interface HistoryRequest {
  readonly since: Date
  readonly until: Date
  readonly cursor: string | null
  readonly limit: number
}

/** The current state of a subscription at the provider. */
export interface ProviderSubscription {
  readonly subscriptionId: string
  /**
   * The event that the provider would send for this state. `isRevived`: the subscription has ended in our state, so the
   * event must resume it.
   */
  toEvent(event: { readonly id: string; readonly at: Date; readonly isRevived: boolean }): HistoricalEvent
}

/**
 * The provider's API for one account, as jobs and member links use it. Each call has a time-out and throws
 * `ProviderApiError`, also when the answer is about another account or another customer than requested.
 */
export interface ProviderApi {
  /** A page of the provider where this customer can update the card or manage the subscription; null when there is none. */
  paymentPage(request: {
    readonly customer: string
    readonly subscriptionId: string | null
    readonly returnUrl: string
  }): Promise<string | null>
  /** Applies the incentive once per idempotency key; returns the provider's receipt id. */
  applyIncentive(request: {
    readonly customer: string
    readonly subscriptionId: string
    readonly incentive: Incentive
    readonly idempotencyKey: string
  }): Promise<{ readonly receiptId: string | null }>
  /** The customer that an object (charge, payment intent, invoice, …) belongs to, with further ids of the same payment. */
  customerOf(objectId: string): Promise<{ readonly customer: string; readonly objects: readonly string[] } | null>
  /** Looks up what a thin event needs; absent where the provider sends no thin events. */
  expand?(delivery: Delivery): Promise<ExpandedEvent>
  /**
   * A page of events built from the provider's objects of that time, with the same ids at every call. Customers and
   * subscriptions come first, whenever they were created. `limit` events at most, or one object's; a page may be empty
   * although `cursor` names a next one. Fewer events than the webhooks: an object keeps no record of each change.
   */
  listHistory(request: HistoryRequest): Promise<HistoryPage>
  /** A page of the provider's events in [since, until], newest first. */
  listEvents(request: HistoryRequest): Promise<HistoryPage>
  /** A page of the subscriptions that have not ended. */
  listSubscriptions(request: {
    readonly cursor: string | null
    readonly limit: number
  }): Promise<{ readonly subscriptions: readonly ProviderSubscription[]; readonly cursor: string | null }>
  /** One subscription, ended or not; null: the provider has none with that id. */
  findSubscription(request: { readonly subscriptionId: string }): Promise<ProviderSubscription | null>
}

/** One billing provider. `verify` and `normalize` do no I/O; `normalize` accepts any parsed JSON. */
export interface Provider {
  readonly name: ProviderName
  verify(delivery: RawDelivery): Promise<Result<Verified, VerifyError>>
  normalize(
    body: unknown,
    context: { readonly receivedAt: Date; readonly headers: Headers },
  ): Result<Delivery, MalformedEvent>
  /** Hosts to which a member may be redirected, as exact names or `.suffix`. */
  readonly redirectHosts: readonly string[]
  /** The page where any member, once logged in, finds what they pay for; null where the provider has none. */
  readonly memberPage: string | null
  /** The incentives that its API can apply; nudges of others are sent without one. */
  readonly incentiveKinds: readonly Incentive["kind"][]
  /** How many days `listEvents` reaches back; null where that has no bound. */
  readonly eventListDays: number | null
  /** The API for the granted account; it cannot be had without a grant. */
  apiFor(grant: AccountGrant): ProviderApi
}
