/** Whop as a billing provider. */
import type { Provider } from "../provider.ts"
import { type WhopApiOptions, whopApi } from "./api.ts"
import { EVENT_LIST_DAYS } from "./delivery-log.ts"
import { normalize } from "./normalize.ts"
import { WHOP_HOSTS } from "./reading.ts"
import { verify } from "./verify.ts"

/** Everything that the suite knows of Whop. */
export const whopProvider = (options: WhopApiOptions): Provider => ({
  name: "whop",
  verify,
  normalize,
  redirectHosts: WHOP_HOSTS,
  // docs.whop.com/payments-and-billing/manage-billing/billing-portal
  memberPage: "https://whop.com/@me/settings/orders/",
  eventListDays: EVENT_LIST_DAYS,
  api: whopApi(options),
})
