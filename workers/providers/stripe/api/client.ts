/**
 * The client of Stripe's API, and its errors. Errors of the package contain headers, payloads and messages with personal
 * data; none of that leaves this file.
 */
import Stripe from "stripe"
import type { Incentive } from "../../../../shared/domain/facts.ts"
import { notSentOf, type OutboundFetch } from "../../../../shared/network/outbound-fetch.ts"
import { ProviderApiError } from "../../../../shared/provider.ts"

/** The version that the package is written for; the account's own version must not decide the shape of answers. */
export const API_VERSION = "2026-10-28.endive"

/** The package's own limit, for a call with its retries: above that of the outbound `fetch`, which applies first. */
const TIMEOUT_MS = 20_000

/** Where Stripe's API is, and the key and account to call it with. */
export interface StripeApiConfig {
  readonly apiKey: string
  /** Origin only, such as `https://api.stripe.com` or a local replacement. */
  readonly apiUrl: string
  /** The connected account that every call is for; null: the key's own. */
  readonly account: string | null
  /** The outbound `fetch`; the platform's own by default. It retries what may be retried, the package nothing. */
  readonly fetch?: OutboundFetch
}

/** A client of Stripe for Workers and Node alike. */
export function stripeClient({ apiKey, apiUrl, account, fetch: send }: StripeApiConfig): Stripe {
  const { protocol, hostname, port, pathname } = new URL(apiUrl)
  if (pathname !== "/") throw new TypeError("Stripe's API URL must be an origin, without a path")
  const isPlain = protocol === "http:"
  return new Stripe(apiKey, {
    apiVersion: API_VERSION,
    httpClient: Stripe.createFetchHttpClient(fetchAsAccount(account, send ?? ((input, init) => fetch(input, init)))),
    timeout: TIMEOUT_MS,
    maxNetworkRetries: 0,
    telemetry: false,
    protocol: isPlain ? "http" : "https",
    host: hostname,
    port: port === "" ? (isPlain ? 80 : 443) : Number(port),
  })
}

/**
 * Sets the account on every request, so that no call can forget or change it. v2 calls name the account by `Stripe-Context`,
 * all others by `Stripe-Account`.
 */
const fetchAsAccount =
  (account: string | null, send: OutboundFetch): OutboundFetch =>
  (input, init) => {
    const headers = new Headers(init?.headers)
    headers.delete("stripe-account")
    headers.delete("stripe-context")
    if (account !== null) {
      const { pathname } = new URL(input instanceof Request ? input.url : input)
      headers.set(pathname.startsWith("/v2/") ? "stripe-context" : "stripe-account", account)
    }
    return send(input, { ...init, headers })
  }

/** Runs one call; its errors become `ProviderApiError`, with the name of the call, the status and Stripe's code. */
export async function callStripe<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw toApiError(what, error)
  }
}

/** Whether Stripe answered with this status or this code of its own. */
export const isStripeError = (error: unknown, statusOrCode: number | string): boolean =>
  error instanceof Stripe.errors.StripeError && (error.statusCode === statusOrCode || error.code === statusOrCode)

/** An error of ours that a retry does not change. */
export const apiErrorOf = (message: string): ProviderApiError =>
  new ProviderApiError(`stripe: ${message}`, { retry: false, status: null })

/** The customer as a parameter: since accounts v2 a customer may be an account. */
export const customerParam = (customer: string): { customer: string } | { customer_account: string } =>
  customer.startsWith("acct_") ? { customer_account: customer } : { customer }

export type DiscountIncentive = Extract<Incentive, { kind: "discount" }>
export type FreeDaysIncentive = Extract<Incentive, { kind: "free_days" }>

function toApiError(what: string, error: unknown): ProviderApiError {
  if (error instanceof ProviderApiError) return error
  if (!(error instanceof Stripe.errors.StripeError)) {
    const cause = error instanceof Error ? error.name : typeof error
    return new ProviderApiError(`stripe: ${what} failed`, { retry: false, status: null, cause })
  }
  const notSent = notSentOf(error)
  if (notSent !== null) {
    return new ProviderApiError(`stripe: ${what} was not sent`, { retry: true, status: null, cause: notSent })
  }
  const status = error.statusCode ?? null
  const code = /^[a-z0-9_]{1,64}$/.test(error.code ?? "") ? error.code : undefined
  const cause = { type: error.type, code: code ?? null, requestId: error.requestId ?? null }
  const answer = status === null ? "got no answer" : `was answered ${status}${code === undefined ? "" : ` ${code}`}`
  return new ProviderApiError(`stripe: ${what} ${answer}`, { retry: isRetryable(status), status, cause })
}

/** No answer, a conflict of keys or locks, too many requests, or a server error. */
const isRetryable = (status: number | null): boolean =>
  status === null || status === 409 || status === 429 || status >= 500
