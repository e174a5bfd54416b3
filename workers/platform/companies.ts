/** Which company a delivery or an account belongs to, and with which secrets its endpoint is signed; remembered in the isolate. */

import { companyOf, webhookSecretsOf } from "../../db/queries/platform/companies.ts"
import { accountsOf } from "../../db/queries/reconcile/backfills.ts"
import { fromUtf8 } from "../../shared/crypto/bytes.ts"
import { open, type SealContext } from "../../shared/crypto/seal.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import { TtlCache } from "../../shared/ttl-cache.ts"
import { AppError } from "./errors.ts"
import { countUnknownLookup, limitUnknownLookups } from "./limits/unknown-lookups.ts"
import type { Services } from "./services.ts"

/** A new company or a rotated secret is noticed everywhere within a minute. */
const CACHE_TTL_MS = 60_000

/** More entries than this are strangers trying names. */
const ENTRIES_MAX = 1_000

const bounds = { ttlMs: CACHE_TTL_MS, entriesMax: ENTRIES_MAX }
const companies = new TtlCache<string | null>(bounds)
/** Names that nobody has stand apart, so that trying them does not push out those that are known. */
const unknownNames = new TtlCache<true>(bounds)
const secrets = new TtlCache<readonly OwnSecret[]>(bounds)
const accounts = new TtlCache<readonly string[]>(bounds)

/** Postgres is away: what was known last is better than turning everybody away. */
const WHILE_AWAY = { isStaleEnough: true }

interface OwnSecret {
  readonly secret: string
  readonly expiresAt: Date | null
}

/** Whose a delivery is. `unmapped`: it names an account that is not the company's, or no company's; it is kept apart. */
export type DeliveryOwner = { readonly kind: "company"; readonly companyId: string } | { readonly kind: "unmapped" }

/** What tells whose a delivery is. */
export interface DeliveryAddress {
  readonly provider: ProviderName
  /** The company in the path, or null. */
  readonly path: string | null
  /** The account that the event names, or null: the one that its endpoint belongs to. */
  readonly account: string | null
  /** Whether a secret of the company's own verified it, and not the deployment's. */
  readonly isOwnSecret: boolean
  /** The company in the path, where it was looked up already; null: there is none of that id. */
  readonly endpoint?: string | null | undefined
}

/**
 * Whose a delivery is. An event that names no account belongs to the company in the path, else to the default company. One that
 * names an account belongs to the company that it is registered for; the deployment's own account (`WHOP_COMPANY_ID`) is the
 * default company's unless it is registered. A company may speak of an account that nobody registered under a secret of its
 * own; anybody else's is `unmapped`. Throws NOT_FOUND when the path names no company, or nothing does.
 */
export async function ownerOfDelivery(services: Services, delivery: DeliveryAddress): Promise<DeliveryOwner> {
  const { config } = services
  const { provider, path, account, isOwnSecret, endpoint: known } = delivery
  const { defaultCompanyId } = config.access
  const endpoint = path === null ? defaultCompanyId : known === undefined ? await companyOfPath(services, path) : known
  if (path !== null && endpoint === null) throw noSuchCompany()
  if (account === null) {
    if (endpoint === null) throw noSuchCompany()
    return { kind: "company", companyId: endpoint }
  }
  const owner = await companyOfAccount(services, provider, account)
  if (owner !== null && (path === null || owner === endpoint)) return { kind: "company", companyId: owner }
  const mayVouch = isOwnSecret ? endpoint !== defaultCompanyId : ownsAllAccounts(services, provider)
  return owner === null && endpoint !== null && mayVouch
    ? { kind: "company", companyId: endpoint }
    : { kind: "unmapped" }
}

/** Whether the deployment's own endpoint at this provider belongs to one company, whatever account its events name. */
export const ownsAllAccounts = ({ config }: Pick<Services, "config">, provider: ProviderName): boolean =>
  provider === "whop" && config.providers.whop.accounts === "any"

/** The company that an account belongs to; null: it is registered for none. */
export async function companyOfAccount(
  services: Services,
  provider: ProviderName,
  account: string,
): Promise<string | null> {
  const { config } = services
  const registered = await lookedUp(services, `${provider}||${account}`, { path: null, provider, account })
  const isKeyAccount = provider === "whop" && account === config.channels.whop.companyId
  return registered ?? (isKeyAccount ? config.access.defaultCompanyId : null)
}

/** The company of this id; null: there is none. */
const companyOfPath = (services: Services, path: string): Promise<string | null> =>
  lookedUp(services, `|${path}|`, { path, provider: "stripe", account: null })

const noSuchCompany = () => new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })

/** A look-up that is remembered, found or not. */
async function lookedUp(
  { db, now }: Services,
  name: string,
  question: Parameters<typeof companyOf>[1],
): Promise<string | null> {
  const nowMs = now().getTime()
  if (unknownNames.get(name, nowMs)) return null
  const found = await companies.load(name, nowMs, () => companyOf(db, question), WHILE_AWAY)
  if (found !== null) return found
  companies.delete(name)
  unknownNames.set(name, true, nowMs)
  return null
}

/** The accounts at a provider that are registered for a company. */
export const registeredAccounts = (
  { db, now }: Services,
  provider: ProviderName,
  companyId: string,
): Promise<readonly string[]> =>
  accounts.load(`${provider}|${companyId}`, now().getTime(), () => accountsOf(db, companyId, provider), WHILE_AWAY)

/** `companyOfPath` for a path that anybody may send: looked up while not too many look-ups found nothing. */
async function companyOfUntrustedPath(services: Services, path: string): Promise<string | null> {
  const name = `|${path}|`
  const nowMs = services.now().getTime()
  const isRemembered = companies.has(name) || unknownNames.get(name, nowMs) === true
  if (!isRemembered) limitUnknownLookups("company", nowMs)
  const found = await companyOfPath(services, path)
  if (found === null && !isRemembered) countUnknownLookup("company", nowMs)
  return found
}

/** Secrets that a delivery may have been signed with. */
export interface SigningSecrets {
  readonly secrets: readonly string[]
  /** They are the company's own, and not the deployment's. */
  readonly isOwn: boolean
  /** The company in the path; null: the path names none, or none that exists. */
  readonly companyId: string | null
}

/**
 * The secrets that may have signed a delivery: a company's own endpoint has its own, and only those; otherwise the
 * deployment's, also for a company that does not exist, so that an unsigned request does not learn whether it does. Throws
 * TOO_MANY_REQUESTS while strangers try names.
 */
export async function signingSecrets(
  services: Services,
  provider: ProviderName,
  path: string | null,
): Promise<SigningSecrets> {
  const { db, config, now } = services
  const companyId = path === null ? null : await companyOfUntrustedPath(services, path)
  const deployment = { secrets: config.providers[provider].webhookSecrets, isOwn: false, companyId }
  if (companyId === null) return deployment
  const read = async () => {
    const rows = await webhookSecretsOf(db, companyId, provider, now())
    return Promise.all(
      rows.map(async ({ id, sealed, expiresAt }) => {
        return {
          secret: fromUtf8(await open(config.keys.encryption, secretSealContext(id, companyId), sealed)),
          expiresAt,
        }
      }),
    )
  }
  const own = await secrets.load(`${provider}|${companyId}`, now().getTime(), read, WHILE_AWAY)
  if (own.length === 0) return deployment
  // What is remembered may have expired since.
  const valid = own.filter(({ expiresAt }) => expiresAt === null || expiresAt > now())
  return { secrets: valid.map(({ secret }) => secret), isOwn: true, companyId }
}

/** Where a company's own webhook secret lies sealed. */
export const secretSealContext = (id: string, companyId: string): SealContext => ({
  purpose: { name: "secret" },
  context: ["webhook_secrets", "sealed", id, companyId],
})

/** This isolate reads the company's secrets anew; the others within a minute. */
export const clearSecretsCache = (provider: ProviderName, companyId: string): void => {
  secrets.delete(`${provider}|${companyId}`)
}
