import type { OutboundFetch } from "../../../shared/network/outbound-fetch.ts"
import type { Provider } from "../../../shared/provider.ts"
import { type WhopApiOptions, whopApi } from "./api/client.ts"
import { EVENT_LIST_DAYS } from "./api/delivery-log.ts"
import { WHOP_HOSTS } from "./events/event-reading.ts"
import { normalize } from "./facts/normalize.ts"
import { verify } from "./verify.ts"

/** Whop's sandbox is another installation, with keys and webhooks of its own (docs.whop.com/developer/guides/sandbox). */
const SANDBOX_API_HOST = "sandbox-api.whop.com"

interface WhopOptions extends Omit<WhopApiOptions, "companyId" | "fetch"> {
  /** For calls with the key of this company, or with the deployment's (null). */
  readonly fetchFor?: (companyId: string | null) => OutboundFetch
}

/** Whop as a billing provider. */
export const whopProvider = ({ fetchFor, ...options }: WhopOptions): Provider => ({
  name: "whop",
  verify,
  normalize: (body, context) => normalize(body, context, { isSandbox: isSandbox(options.apiUrl) }),
  redirectHosts: WHOP_HOSTS,
  // docs.whop.com/payments-and-billing/manage-billing/billing-portal
  memberPage: "https://whop.com/@me/settings/orders/",
  // A running membership cannot get a discount.
  incentiveKinds: ["free_days"],
  eventListDays: EVENT_LIST_DAYS,
  apiFor(grant) {
    if (!grant.isFor("whop")) throw new TypeError("a grant for another provider")
    const { account } = grant
    const isOwn = account.kind === "own"
    const apiKey = account.kind === "own" ? account.apiKey : options.apiKey
    const send = fetchFor?.(isOwn ? grant.companyId : null)
    // Each company with a key of its own has an endpoint of its own.
    const webhookUrl = isOwn && options.webhookUrl ? `${options.webhookUrl}/${grant.companyId}` : options.webhookUrl
    return whopApi({
      ...{ ...options, apiKey, companyId: account.account },
      ...(webhookUrl !== undefined && { webhookUrl }),
      ...(send && { fetch: send }),
    })
  },
})

const isSandbox = (apiUrl: string | undefined): boolean =>
  apiUrl !== undefined && URL.parse(apiUrl)?.hostname === SANDBOX_API_HOST
