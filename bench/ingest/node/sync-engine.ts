/** The Stripe Sync Engine, as its documentation uses it: the webhook's object is upserted into its own table. */
import { StripeSync } from "./engine.ts"
import { serveWebhooks, variable } from "./serve.ts"

const sync = new StripeSync({
  poolConfig: { connectionString: variable("DATABASE_URL"), max: 10 },
  stripeSecretKey: variable("STRIPE_API_KEY"),
  stripeWebhookSecret: variable("STRIPE_WEBHOOK_SECRET"),
})

serveWebhooks(async (body, signature) => {
  try {
    await sync.processWebhook(body, signature)
    return true
  } catch (error) {
    if ((error as { readonly type?: unknown }).type === "StripeSignatureVerificationError") return false
    throw error
  }
})
