/** Opens Stripe's customer portal, where a member can change the card. */
import type Stripe from "stripe"
import type { ProviderApi } from "../../../../shared/provider.ts"
import { apiErrorOf, callStripe, customerParam, isStripeError } from "./client.ts"

type Request = Parameters<ProviderApi["paymentPage"]>[0]
type Params = Stripe.BillingPortal.SessionCreateParams

/**
 * A portal session that starts at the change of the payment method; the plain portal where the company has disabled that;
 * null where it has no portal, or Stripe has no such customer. Sessions are short-lived: call this when the member clicks.
 */
export async function paymentPage(stripe: Stripe, { customer, returnUrl }: Request): Promise<string | null> {
  const session = { ...customerParam(customer), return_url: returnUrl }
  const open = (params: Params) => openPortal(stripe, params, customer)
  return (await open({ ...session, flow_data: { type: "payment_method_update" } })) ?? (await open(session))
}

/** The address of the session; null when Stripe will not open one like this. */
function openPortal(stripe: Stripe, params: Params, customer: string): Promise<string | null> {
  return callStripe("opening the portal", async () => {
    try {
      const opened = await stripe.billingPortal.sessions.create(params)
      const owners = [opened.customer, opened.customer_account]
      if (!owners.includes(customer)) throw apiErrorOf("the portal session belongs to another customer")
      return opened.url
    } catch (error) {
      if (isStripeError(error, 400) || isStripeError(error, 404)) return null
      throw error
    }
  })
}
