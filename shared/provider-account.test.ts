/** The account of every call of every provider, for every kind of company; a call without a row does not compile. */
import { describe, expect, test } from "vitest"
import { grantOf } from "../test/support/grants.ts"
import type { ProviderApi } from "./provider.ts"

/** All calls of a provider's API and of the channels that use it, and which providers have them. */
const CALLS = {
  paymentPage: ["stripe", "whop"],
  applyIncentive: ["stripe", "whop"],
  customerOf: ["stripe", "whop"],
  expand: ["stripe"],
  listHistory: ["stripe", "whop"],
  listEvents: ["stripe", "whop"],
  listSubscriptions: ["stripe", "whop"],
  findSubscription: ["stripe", "whop"],
  dm: ["whop"],
  push: ["whop"],
} as const satisfies Record<keyof ProviderApi | "dm" | "push", readonly ("stripe" | "whop")[]>

const KEY_ACCOUNT = { stripe: null, whop: "biz_key" } as const
const B = { companyId: "company_b" }

const ROWS = Object.entries(CALLS).flatMap(([call, providers]) =>
  providers.map((provider) => [call, provider] as const),
)

describe.each(ROWS)("%s at %s", (_, provider) => {
  const keyAccount = KEY_ACCOUNT[provider]
  const accountOf = (request: Parameters<typeof grantOf>[0]) =>
    grantOf({ provider, keyAccount, ...request })?.account ?? null

  test("uses the deployment's own account for the default company, unless another account is named", () => {
    expect(accountOf({})).toEqual({ kind: "deployment", account: keyAccount })
    expect(accountOf({ named: "foreign" })).toBeNull()
    expect(accountOf({ named: "foreign", registered: ["other"] })).toBeNull()
  })

  test("uses the company's own key first, for its own account and for events that name none", () => {
    const ownKey = { apiKey: "own_key", account: provider === "whop" ? "biz_own" : null }
    const own = { kind: "own", ...ownKey }
    for (const company of [{}, B]) {
      expect(accountOf({ ...company, ownKey })).toEqual(own)
      expect(accountOf({ ...company, ownKey, named: "foreign" })).toBeNull()
      if (ownKey.account !== null) expect(accountOf({ ...company, ownKey, named: ownKey.account })).toEqual(own)
    }
    // An account that the operator registered besides is reached as before.
    const registered = [keyAccount ?? "acct_b"]
    const connected = { kind: "connected", account: registered[0] }
    expect(accountOf({ ...B, ownKey, registered, named: registered[0] ?? null })).toEqual(connected)
  })

  test("does not use the deployment's key where the operator does not allow it, or there is none", () => {
    const registered = [keyAccount ?? "acct_b"]
    for (const company of [{}, B]) {
      expect(accountOf({ ...company, registered, isDeploymentKeyAllowed: false })).toBeNull()
      const ownKey = { apiKey: "own_key", account: null }
      expect(accountOf({ ...company, registered, ownKey, isDeploymentKeyAllowed: false })?.kind).toBe("own")
    }
  })

  test("is not made for a company without an account, whatever is named", () => {
    for (const named of [null, "foreign", keyAccount]) expect(accountOf({ ...B, named })).toBeNull()
    expect(accountOf({ ...B, isAnyAccountOwn: true })).toBeNull()
    expect(accountOf({ ...B, defaultCompanyId: null })).toBeNull()
  })

  test("uses the account that is registered for a company, and no other", () => {
    // At Whop a call cannot select an account: it must be the key's own.
    const own = keyAccount ?? "acct_b"
    const connected = { kind: "connected", account: own }
    expect(accountOf({ ...B, registered: [own] })).toEqual(connected)
    expect(accountOf({ ...B, registered: [own], named: own })).toEqual(connected)
    expect(accountOf({ ...B, registered: [own], named: "foreign" })).toBeNull()
    const elsewhere = accountOf({ ...B, registered: ["elsewhere"] })
    expect(elsewhere).toEqual(provider === "stripe" ? { kind: "connected", account: "elsewhere" } : null)
  })
})

test("no account is chosen among several, nor the account of Whop's key once another company registered it", () => {
  expect(grantOf({ ...B, registered: ["acct_1", "acct_2"] })).toBeNull()
  expect(grantOf({ ...B, registered: ["acct_1", "acct_2"], named: "acct_2" })?.account.account).toBe("acct_2")
  expect(grantOf({ provider: "whop", keyAccount: "biz_key", isKeyAccountForeign: true })).toBeNull()
  const any = grantOf({ provider: "whop", keyAccount: "biz_key", isAnyAccountOwn: true, named: "biz_else" })
  expect(any?.account).toEqual({ kind: "deployment", account: "biz_key" })
})
