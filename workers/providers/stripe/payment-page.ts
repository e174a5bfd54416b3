/** The page of Stripe's customer portal where a member can change the card. */
import type Stripe from "stripe"
import type { ProviderApi } from "../provider.ts"
import { ask, customerParam, isAnswer } from "./api.ts"

type Request = Parameters<ProviderApi["paymentPage"]>[0]

/**
 * A portal session that starts at the change of the payment method; the plain portal where the company has that switched
 * off; null where it has no portal, or Stripe does not know the customer. A session is short-lived: ask when it is opened.
 */
export async function paymentPage(stripe: Stripe, { customer, returnUrl }: Request): Promise<string | null> {
  const session = { ...customerParam(customer), return_url: returnUrl }
  return (
    (await openPortal(stripe, { ...session, flow_data: { type: "payment_method_update" } })) ??
    (await openPortal(stripe, session))
  )
}

/** The address of the session; null when Stripe will not open one like this. */
function openPortal(stripe: Stripe, params: Stripe.BillingPortal.SessionCreateParams): Promise<string | null> {
  return ask("opening the portal", async () => {
    try {
      const { url } = await stripe.billingPortal.sessions.create(params)
      return url
    } catch (error) {
      if (isAnswer(error, 400) || isAnswer(error, 404)) return null
      throw error
    }
  })
}
