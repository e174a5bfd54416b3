/**
 * In whose name a provider's API is called: the one rule for every call. The deployment's own account belongs to the default
 * company. Any other company is reached through an account that is registered for it (`company_accounts`), under the
 * deployment's key as that account, or through a key of its own; otherwise no call is made. A provider hands out its API
 * only for a grant, and only this file makes one.
 */
import type { ProviderName } from "./domain/facts.ts"

/** Whose account a call is made in. `account` is what the owner in an answer is compared with; null: it has no name here. */
export type ProviderAccount =
  | { readonly kind: "deployment"; readonly account: string | null }
  /** Reached with the deployment's key: at Stripe by the header `Stripe-Account`. */
  | { readonly kind: "connected"; readonly account: string }
  /** The company's own account, under a key of its own. */
  | { readonly kind: "own"; readonly account: string | null; readonly apiKey: string }

/** What the rule asks about a call. */
export interface GrantRequest {
  readonly provider: ProviderName
  readonly companyId: string
  readonly defaultCompanyId: string | null
  /** The account that the event, the object or the comparison names; null: none. */
  readonly named: string | null
  /** Accounts at this provider that are registered for the company. */
  readonly registered: readonly string[]
  /** The account that the deployment's key belongs to, where that is known: Whop's company. Stripe's has no name here. */
  readonly keyAccount: string | null
  /** Whether that account is registered for another company. */
  readonly isKeyAccountForeign: boolean
  /** Whether every account that the default company's events name counts as the deployment's own (`WHOP_ACCOUNTS`). */
  readonly isAnyAccountOwn: boolean
}

/** Leave to call one provider for one company in one account's name. */
export class AccountGrant {
  readonly provider: ProviderName
  readonly companyId: string
  readonly account: ProviderAccount
  /** A private field makes the type nominal: an object of the same shape is no grant. */
  readonly #isGranted = true

  private constructor({ provider, companyId }: GrantRequest, account: ProviderAccount) {
    this.provider = provider
    this.companyId = companyId
    this.account = account
  }

  /** The grant; null: no call may be made for this company about this account. */
  static for(question: GrantRequest): AccountGrant | null {
    const account = question.provider === "stripe" ? stripeAccount(question) : whopAccount(question)
    return account === null ? null : new AccountGrant(question, account)
  }

  /** Whether this is a grant for that provider. */
  isFor(provider: ProviderName): boolean {
    return this.#isGranted && this.provider === provider
  }
}

function stripeAccount({ companyId, defaultCompanyId, named, registered }: GrantRequest): ProviderAccount | null {
  if (named !== null) return registered.includes(named) ? { kind: "connected", account: named } : null
  if (companyId === defaultCompanyId) return { kind: "deployment", account: null }
  const [only] = registered
  return only !== undefined && registered.length === 1 ? { kind: "connected", account: only } : null
}

/** Whop has no header that narrows a key to one account, so the deployment's key serves only the account it belongs to. */
function whopAccount(question: GrantRequest): ProviderAccount | null {
  const { companyId, defaultCompanyId, named, registered, keyAccount } = question
  if (companyId !== defaultCompanyId) {
    const isCovered = keyAccount !== null && registered.includes(keyAccount)
    return isCovered && (named === null || named === keyAccount) ? { kind: "connected", account: keyAccount } : null
  }
  if (question.isKeyAccountForeign) return null
  const known = keyAccount === null ? registered : [keyAccount, ...registered]
  if (named !== null && known.includes(named)) return { kind: "deployment", account: named }
  if (named !== null && !question.isAnyAccountOwn) return null
  return { kind: "deployment", account: keyAccount ?? (registered.length === 1 ? (registered[0] ?? null) : null) }
}
