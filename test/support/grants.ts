/** Grants made by the rule, for tests of a provider's API. */

import type { Provider, ProviderApi } from "../../shared/provider.ts"
import { AccountGrant, type GrantRequest } from "../../shared/provider-account.ts"

const DEFAULT_REQUEST: GrantRequest = {
  provider: "stripe",
  companyId: "company_default",
  defaultCompanyId: "company_default",
  named: null,
  registered: [],
  keyAccount: null,
  isKeyAccountForeign: false,
  isAnyAccountOwn: false,
  ownKey: null,
  isDeploymentKeyAllowed: true,
}

/** The grant for the default request with these changes. */
export const grantOf = (change: Partial<GrantRequest>): AccountGrant | null =>
  AccountGrant.for({ ...DEFAULT_REQUEST, ...change })

/** The API of a provider for the deployment's own account or for `account`. */
export function apiOf(provider: Provider, account: string | null = null): ProviderApi {
  const registered = account === null ? [] : [account]
  const grant = grantOf({ provider: provider.name, named: account, registered })
  if (grant === null) throw new Error("the rule grants no such call")
  return provider.apiFor(grant)
}
