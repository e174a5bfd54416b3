/**
 * A company's access to a provider's API: the rule of `shared/provider-account.ts`, applied to configuration,
 * registrations and the company's own credentials.
 */
import { accountOfSubject } from "../../db/queries/platform/companies.ts"
import type { ReconciliationTarget } from "../../db/queries/reconcile/reconciliation.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import type { ProviderApi } from "../../shared/provider.ts"
import { AccountGrant, type GrantRequest } from "../../shared/provider-account.ts"
import { companyOfAccount, ownsAllAccounts, registeredAccounts } from "./companies.ts"
import { accessOf, type CompanyAccess } from "./credentials.ts"
import type { Services } from "./services.ts"

/** `named`: the account of the company that a call is about; null means the account of events that name none. */
interface AccountCall {
  readonly provider: ProviderName
  readonly companyId: string
  readonly named: string | null
}

/** The grant for a call; null when the company has no account there, or the named account is not the company's. */
export async function grantFor(services: Services, call: AccountCall): Promise<AccountGrant | null> {
  const { provider, companyId, named } = call
  const { defaultCompanyId } = services.config.access
  const access = await accessOf(services, companyId)
  const ownKey = ownKeyOf(access, provider)
  const request = {
    ...grantRequestOf(services, call),
    ownKey,
    isDeploymentKeyAllowed: access.shared.has(provider) && hasDeploymentKey(services, provider),
  }
  const own = AccountGrant.for({
    ...request,
    registered: [],
    isKeyAccountForeign: false,
    isDeploymentKeyAllowed: false,
  })
  if (own !== null || !request.isDeploymentKeyAllowed) return own
  // The usual case needs no query.
  const needsRegistered = provider === "whop" || companyId !== defaultCompanyId || named !== null
  const registered = needsRegistered ? await registeredAccounts(services, provider, companyId) : []
  const keyOwner = request.keyAccount === null ? null : await companyOfAccount(services, provider, request.keyAccount)
  return AccountGrant.for({ ...request, registered, isKeyAccountForeign: keyOwner !== null && keyOwner !== companyId })
}

/** The API for a call of this company about this account; null when no call is allowed. */
export async function apiFor(services: Services, call: AccountCall): Promise<ProviderApi | null> {
  const grant = await grantFor(services, call)
  return grant === null ? null : services.providers[call.provider].apiFor(grant)
}

/**
 * The API for a call about a customer or an object of this company, in the account that its events name; null when no
 * call is allowed. A company with only one account needs no look-up of the event.
 */
export async function apiForSubject(
  services: Services,
  { provider, companyId, subject }: Omit<AccountCall, "named"> & { readonly subject: string },
): Promise<ProviderApi | null> {
  const { access, channels } = services.config
  const ownKey = ownKeyOf(await accessOf(services, companyId), provider)
  const registered = await registeredAccounts(services, provider, companyId)
  const keyAccount = provider === "whop" ? (channels.whop.companyId ?? "") : ""
  const known = new Set(companyId === access.defaultCompanyId ? [keyAccount, ...registered] : registered)
  if (ownKey !== null) known.add(ownKey.account ?? "")
  const named = known.size < 2 ? null : await accountOfSubject(services.db, companyId, provider, subject)
  return apiFor(services, { provider, companyId, named })
}

/** Of the accounts of all companies, those that may be called. A company's own key reaches the account without a name. */
export function accountsWithAccess<Account extends ReconciliationTarget>(
  services: Services,
  all: readonly Account[],
): readonly Account[] {
  return all.filter(({ provider, companyId, account, hasOwnKey, isShared }) => {
    if (hasOwnKey && account === "") return true
    const request = grantRequestOf(services, { provider, companyId, named: account === "" ? null : account })
    const at = all.filter((other) => other.provider === provider && other.account !== "")
    const registered = at.filter((other) => other.companyId === companyId).map((other) => other.account)
    const isKeyAccountForeign = at.some(
      (other) => other.account === request.keyAccount && other.companyId !== companyId,
    )
    const isDeploymentKeyAllowed = isShared && hasDeploymentKey(services, provider)
    const grant = AccountGrant.for({
      ...request,
      registered,
      isKeyAccountForeign,
      ownKey: null,
      isDeploymentKeyAllowed,
    })
    return grant !== null
  })
}

/** Whether this is the account of the company's own key; null names no account. */
export async function isOwnKeyAccount(
  services: Services,
  { provider, companyId, account }: Pick<AccountCall, "provider" | "companyId"> & { readonly account: string | null },
): Promise<boolean> {
  if (account === null) return false
  return ownKeyOf(await accessOf(services, companyId), provider)?.account === account
}

/** Whether the company has a key of its own at a provider. */
export const companyHasKey = async (services: Services, companyId: string, provider: ProviderName): Promise<boolean> =>
  ownKeyOf(await accessOf(services, companyId), provider) !== null

/** The company's own key at a provider; null: it has none. */
function ownKeyOf({ own }: CompanyAccess, provider: ProviderName): GrantRequest["ownKey"] {
  if (provider === "stripe") return own.stripe ? { apiKey: own.stripe.apiKey, account: null } : null
  return own.whop ? { apiKey: own.whop.apiKey, account: own.whop.accountId } : null
}

const hasDeploymentKey = ({ config }: Services, provider: ProviderName): boolean =>
  config.providers[provider].apiKey !== null

function grantRequestOf(
  services: Services,
  { provider, companyId, named }: AccountCall,
): Omit<GrantRequest, "registered" | "isKeyAccountForeign" | "ownKey" | "isDeploymentKeyAllowed"> {
  const { access, channels } = services.config
  return {
    ...{ provider, companyId, named },
    defaultCompanyId: access.defaultCompanyId,
    keyAccount: provider === "whop" ? channels.whop.companyId : null,
    isAnyAccountOwn: ownsAllAccounts(services, provider),
  }
}
