/** Stripe as a billing provider. */
import type { Provider } from "../provider.ts"
import { refusal, type StripeApiConfig, stripeClient } from "./api.ts"
import { customerOf } from "./customer-of.ts"
import { EVENT_LIST_DAYS, findSubscription, listEvents, listSubscriptions } from "./event-list.ts"
import { expand } from "./expand.ts"
import { listHistory } from "./history.ts"
import { applyIncentive } from "./incentive.ts"
import { normalize } from "./normalize.ts"
import { paymentPage } from "./payment-page.ts"
import { verify } from "./verify.ts"

/** Everything the suite knows about Stripe, for one account's key. Nothing is sent before the API is asked something. */
export function stripeProvider({
  apiKey,
  apiUrl,
  ...way
}: Omit<StripeApiConfig, "apiKey"> & { readonly apiKey: string | null }): Provider {
  // Made when it is needed: a webhook never asks the API.
  const stripe = () => {
    if (apiKey === null) throw refusal("no API key is configured")
    return stripeClient({ apiKey, apiUrl, ...way })
  }
  return {
    name: "stripe",
    verify,
    normalize: (body, { receivedAt }) => normalize(body, { receivedAt, canAsk: apiKey !== null }),
    redirectHosts: [".stripe.com"],
    memberPage: null,
    eventListDays: EVENT_LIST_DAYS,
    api: {
      paymentPage: async (request) => paymentPage(stripe(), request),
      applyIncentive: async (request) => applyIncentive(stripe(), request),
      customerOf: async (objectId) => customerOf(stripe(), objectId),
      expand: async (delivery) => expand(stripe(), delivery),
      listHistory: async (request) => listHistory(stripe(), request),
      listEvents: async (request) => listEvents(stripe(), request),
      listSubscriptions: async (request) => listSubscriptions(stripe(), request),
      findSubscription: async (request) => findSubscription(stripe(), request),
    },
  }
}
