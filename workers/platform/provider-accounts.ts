/**
 * A company's access to a provider's API: the rule of `shared/provider-account.ts`, applied to configuration and
 * registrations.
 */
import { accountOfSubject } from "../../db/queries/platform/companies.ts"
import type { Target } from "../../db/queries/reconcile/reconciliation.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import type { ProviderApi } from "../../shared/provider.ts"
import { AccountGrant, type GrantRequest } from "../../shared/provider-account.ts"
import { companyOfAccount, ownsAllAccounts, registeredAccounts } from "./companies.ts"
import type { Services } from "./services.ts"

/** `named`: the account of the company that a call is about; null means the account of events that name none. */
interface AccountCall {
  readonly provider: ProviderName
  readonly companyId: string
  readonly named: string | null
}

/** The grant for a call; null when the company has no account there, or the named account is not the company's. */
export async function grantFor(
  services: Services,
  { provider, companyId, named }: AccountCall,
): Promise<AccountGrant | null> {
  const { defaultCompanyId } = services.config.access
  const own = grantRequestOf(services, { provider, companyId, named })
  // The usual case needs no query.
  const needsRegistered = provider === "whop" || companyId !== defaultCompanyId || named !== null
  const registered = needsRegistered ? await registeredAccounts(services, provider, companyId) : []
  const keyOwner = own.keyAccount === null ? null : await companyOfAccount(services, provider, own.keyAccount)
  return AccountGrant.for({ ...own, registered, isKeyAccountForeign: keyOwner !== null && keyOwner !== companyId })
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
  const registered = await registeredAccounts(services, provider, companyId)
  const keyAccount = provider === "whop" ? (channels.whop.companyId ?? "") : ""
  const known = new Set(companyId === access.defaultCompanyId ? [keyAccount, ...registered] : registered)
  const named = known.size < 2 ? null : await accountOfSubject(services.db, companyId, provider, subject)
  return apiFor(services, { provider, companyId, named })
}

/** Of the accounts of all companies, those that may be called. */
export function accountsWithAccess<Account extends Target>(
  services: Services,
  all: readonly Account[],
): readonly Account[] {
  return all.filter(({ provider, companyId, account }) => {
    const own = grantRequestOf(services, { provider, companyId, named: account === "" ? null : account })
    const at = all.filter((other) => other.provider === provider && other.account !== "")
    const registered = at.filter((other) => other.companyId === companyId).map((other) => other.account)
    const isKeyAccountForeign = at.some((other) => other.account === own.keyAccount && other.companyId !== companyId)
    return AccountGrant.for({ ...own, registered, isKeyAccountForeign }) !== null
  })
}

function grantRequestOf(
  services: Services,
  { provider, companyId, named }: AccountCall,
): Omit<GrantRequest, "registered" | "isKeyAccountForeign"> {
  const { access, channels } = services.config
  return {
    ...{ provider, companyId, named },
    defaultCompanyId: access.defaultCompanyId,
    keyAccount: provider === "whop" ? channels.whop.companyId : null,
    isAnyAccountOwn: ownsAllAccounts(services, provider),
  }
}
