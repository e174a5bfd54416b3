/**
 * Account grants: the one rule for which account a provider's API is called. A company with a key of its own uses that.
 * Otherwise the deployment's own account belongs to the default company, and any other company's calls use an account that
 * is registered for it (`company_accounts`), with the deployment's key where the operator allows it; otherwise no call is
 * made. A provider returns its API only for a grant, and only this file creates one.
 */
import type { ProviderName } from "./domain/facts.ts"

/** The account of a call. `account` is compared with the owner that an answer names; null: its id is not known. */
export type ProviderAccount =
  | { readonly kind: "deployment"; readonly account: string | null }
  /** Reached with the deployment's key: at Stripe by the header `Stripe-Account`. */
  | { readonly kind: "connected"; readonly account: string }
  /** The company's own account, under a key of its own. */
  | { readonly kind: "own"; readonly account: string | null; readonly apiKey: string }

/** What the rule needs to know about a call. */
export interface GrantRequest {
  readonly provider: ProviderName
  readonly companyId: string
  readonly defaultCompanyId: string | null
  /** The account that the event, the object or the comparison names; null: none. */
  readonly named: string | null
  /** Accounts at this provider that are registered for the company. */
  readonly registered: readonly string[]
  /** The account that the deployment's key belongs to, where that is known: Whop's company. Stripe's is not known. */
  readonly keyAccount: string | null
  /** Whether that account is registered for another company. */
  readonly isKeyAccountForeign: boolean
  /** Whether every account that the default company's events name counts as the deployment's own (`WHOP_ACCOUNTS`). */
  readonly isAnyAccountOwn: boolean
  /** The company's own key, with its account where that is known (Whop's company); null: it has none. */
  readonly ownKey: { readonly apiKey: string; readonly account: string | null } | null
  /** Whether there is a key of the deployment, and the company may use it. */
  readonly isDeploymentKeyAllowed: boolean
}

/** Permission to call one provider for one company, for one account. */
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
  static for(request: GrantRequest): AccountGrant | null {
    const account = ownAccount(request) ?? deploymentAccount(request)
    return account === null ? null : new AccountGrant(request, account)
  }

  /** Whether this is a grant for that provider. */
  isFor(provider: ProviderName): boolean {
    return this.#isGranted && this.provider === provider
  }
}

/** A key reaches its own account, which events at the company's own endpoint need not name. */
function ownAccount({ named, ownKey }: GrantRequest): ProviderAccount | null {
  if (ownKey === null || (named !== null && named !== ownKey.account)) return null
  return { kind: "own", account: ownKey.account, apiKey: ownKey.apiKey }
}

function deploymentAccount(request: GrantRequest): ProviderAccount | null {
  if (!request.isDeploymentKeyAllowed) return null
  return request.provider === "stripe" ? stripeAccount(request) : whopAccount(request)
}

function stripeAccount({ companyId, defaultCompanyId, named, registered }: GrantRequest): ProviderAccount | null {
  if (named !== null) return registered.includes(named) ? { kind: "connected", account: named } : null
  if (companyId === defaultCompanyId) return { kind: "deployment", account: null }
  const [only] = registered
  return only !== undefined && registered.length === 1 ? { kind: "connected", account: only } : null
}

/** Whop has no header that selects an account, so the deployment's key is used only for the account it belongs to. */
function whopAccount(request: GrantRequest): ProviderAccount | null {
  const { companyId, defaultCompanyId, named, registered, keyAccount } = request
  if (companyId !== defaultCompanyId) {
    const isCovered = keyAccount !== null && registered.includes(keyAccount)
    return isCovered && (named === null || named === keyAccount) ? { kind: "connected", account: keyAccount } : null
  }
  if (request.isKeyAccountForeign) return null
  const known = keyAccount === null ? registered : [keyAccount, ...registered]
  if (named !== null && known.includes(named)) return { kind: "deployment", account: named }
  if (named !== null && !request.isAnyAccountOwn) return null
  return { kind: "deployment", account: keyAccount ?? (registered.length === 1 ? (registered[0] ?? null) : null) }
}
