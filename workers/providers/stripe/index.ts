import type { OutboundFetch } from "../../../shared/network/outbound-fetch.ts"
import type { Provider } from "../../../shared/provider.ts"
import { apiErrorOf, type StripeApiConfig, stripeClient } from "./api/client.ts"
import { EVENT_LIST_DAYS, findSubscription, listEvents, listSubscriptions } from "./api/event-list.ts"
import { customerOf } from "./api/find-customer.ts"
import { listHistory } from "./api/history.ts"
import { applyIncentive } from "./api/incentive.ts"
import { paymentPage } from "./api/payment-page.ts"
import { normalize } from "./facts/normalize.ts"
import { expand } from "./thin/expand.ts"
import { verify } from "./verify.ts"

interface StripeOptions extends Omit<StripeApiConfig, "apiKey" | "account" | "fetch"> {
  /** The deployment's; null: it has none. */
  readonly apiKey: string | null
  /** For calls with the key of this company, or with the deployment's (null). */
  readonly fetchFor?: (companyId: string | null) => OutboundFetch
}

/** Stripe as a billing provider. No request is sent before a call of the API. */
export function stripeProvider({ apiKey, apiUrl, fetchFor }: StripeOptions): Provider {
  return {
    name: "stripe",
    verify,
    normalize: (body, { receivedAt }) => normalize(body, { receivedAt }),
    redirectHosts: [".stripe.com"],
    memberPage: null,
    incentiveKinds: ["discount", "free_days"],
    eventListDays: EVENT_LIST_DAYS,
    apiFor(grant) {
      if (!grant.isFor("stripe")) throw new TypeError("a grant for another provider")
      const { account } = grant.account
      const isOwn = grant.account.kind === "own"
      const key = grant.account.kind === "own" ? grant.account.apiKey : apiKey
      const send = fetchFor?.(isOwn ? grant.companyId : null)
      // Created when needed: a webhook never calls the API.
      const stripe = () => {
        if (key === null) throw apiErrorOf("no API key is configured")
        return stripeClient({ apiKey: key, apiUrl, account, ...(send && { fetch: send }) })
      }
      return {
        paymentPage: async (request) => paymentPage(stripe(), request),
        applyIncentive: async (request) => applyIncentive(stripe(), request),
        customerOf: async (objectId) => customerOf(stripe(), objectId),
        expand: async (delivery) => expand(stripe(), delivery, account),
        listHistory: async (request) => listHistory(stripe(), { ...request, account }),
        listEvents: async (request) => listEvents(stripe(), { ...request, account }),
        listSubscriptions: async (request) => listSubscriptions(stripe(), { ...request, account }),
        findSubscription: async (request) => findSubscription(stripe(), { ...request, account }),
      }
    },
  }
}
