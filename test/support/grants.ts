/** Grants as the rule makes them, for tests of what a provider's API does once it may be called. */

import type { Provider, ProviderApi } from "../../shared/provider.ts"
import { AccountGrant, type GrantRequest } from "../../shared/provider-account.ts"

const QUESTION: GrantRequest = {
  provider: "stripe",
  companyId: "company_default",
  defaultCompanyId: "company_default",
  named: null,
  registered: [],
  keyAccount: null,
  isKeyAccountForeign: false,
  isAnyAccountOwn: false,
}

/** The answer of the rule to a question that differs in this from the plainest one. */
export const grantOf = (question: Partial<GrantRequest>): AccountGrant | null =>
  AccountGrant.for({ ...QUESTION, ...question })

/** The API of a provider in the deployment's own name or, with an account, in that account's. */
export function apiOf(provider: Provider, account: string | null = null): ProviderApi {
  const registered = account === null ? [] : [account]
  const grant = grantOf({ provider: provider.name, named: account, registered })
  if (grant === null) throw new Error("the rule grants no such call")
  return provider.apiFor(grant)
}
