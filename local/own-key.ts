/**
 * Keys of companies' own accounts in the local world: the world's key, `_of_` and the name of the account. So a test makes an
 * account by naming it, and two keys reach two accounts.
 */

/** The key of an account of its own. */
export const keyOfAccount = (worldKey: string, account: string): string => `${worldKey}_of_${account}`

/** The account that a key reaches: empty for the world's own; null for a key that is not known. */
export function accountOfKey(key: string, worldKey: string): string | null {
  if (key === worldKey) return ""
  const [, account] = /_of_(\w{1,64})$/.exec(key) ?? []
  return account !== undefined && key === keyOfAccount(worldKey, account) ? account : null
}

/** The key in an `Authorization: Bearer` header; null without one. */
export const bearerOf = (header: string | null): string | null => /^Bearer (\S+)$/.exec(header ?? "")?.[1] ?? null

/** A company's own keys at every local replacement that knows accounts. */
export interface OwnKeys {
  readonly stripeApiKey: string
  readonly whopApiKey: string
  readonly sendgridApiKey: string
  readonly slackWebhookUrl: string
}

/** The keys of the accounts named `name` (`acct_…` at Stripe, `biz_…` at Whop), from the variables of the world's Worker. */
export function ownKeys(vars: Readonly<Record<string, string | undefined>>, name: string): OwnKeys {
  const of = (variable: string, account: string): string => keyOfAccount(vars[variable] ?? "", account)
  return {
    stripeApiKey: of("STRIPE_API_KEY", `acct_${name}`),
    whopApiKey: of("WHOP_API_KEY", `biz_${name}`),
    sendgridApiKey: of("SENDGRID_API_KEY", name),
    slackWebhookUrl: of("SLACK_WEBHOOK_URL", name),
  }
}
