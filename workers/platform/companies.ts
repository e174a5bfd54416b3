/** The company of a delivery or an account, and the signing secrets of its endpoint; cached in the isolate. */

import { companyOf, type KnownCompany, webhookSecretsOf } from "../../db/queries/platform/companies.ts"
import { accountsOf } from "../../db/queries/reconcile/backfills.ts"
import { fromUtf8 } from "../../shared/crypto/bytes.ts"
import { open, type SealContext } from "../../shared/crypto/seal.ts"
import { acceptsDeliveries } from "../../shared/domain/companies/closing.ts"
import type { ProviderName } from "../../shared/domain/facts.ts"
import { TtlCache } from "../../shared/ttl-cache.ts"
import { AppError } from "./errors.ts"
import { countUnknownLookup, limitUnknownLookups } from "./limits/unknown-lookups.ts"
import type { Services } from "./services.ts"

/** A new company or a rotated secret takes effect in every isolate within a minute. */
const CACHE_TTL_MS = 60_000

/** More entries than this are somebody trying names. */
const ENTRIES_MAX = 1_000

const bounds = { ttlMs: CACHE_TTL_MS, entriesMax: ENTRIES_MAX }
const companies = new TtlCache<KnownCompany | null>(bounds)
/** Unknown names are cached separately, so that trying them does not evict the known ones. */
const unknownNames = new TtlCache<true>(bounds)
const secrets = new TtlCache<readonly OwnSecret[]>(bounds)
const accounts = new TtlCache<readonly string[]>(bounds)

/** While Postgres is unavailable an expired entry is used, rather than refusing every delivery. */
const WHILE_UNAVAILABLE = { isStaleAllowed: true }

interface OwnSecret {
  readonly secret: string
  readonly expiresAt: Date | null
}

/**
 * The company of a delivery. `unmapped`: the event's account belongs to another company or to none; stored separately.
 */
export type DeliveryOwner = { readonly kind: "company"; readonly companyId: string } | { readonly kind: "unmapped" }

/** What determines the company of a delivery. */
export interface DeliveryAddress {
  readonly provider: ProviderName
  /** The company in the path, or null. */
  readonly path: string | null
  /** The account that the event names; null means the account of its endpoint. */
  readonly account: string | null
  /** Whether it was verified with a secret of the company's own, not the deployment's. */
  readonly isOwnSecret: boolean
  /** The company in the path, where it was looked up already; null: there is none of that id. */
  readonly endpoint?: string | null | undefined
}

/**
 * The company of a delivery. An event that names no account belongs to the company in the path, else to the default
 * company. One that names an account belongs to the company that registered it; the deployment's own account
 * (`WHOP_COMPANY_ID`) is the default company's unless it is registered. Events of an unregistered account belong to the
 * company whose own secret signed them; all others are `unmapped`. Throws NOT_FOUND when the path names no existing
 * company, or when there is neither path nor default company.
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
  const mayClaimAccount = isOwnSecret ? endpoint !== defaultCompanyId : ownsAllAccounts(services, provider)
  return owner === null && endpoint !== null && mayClaimAccount
    ? { kind: "company", companyId: endpoint }
    : { kind: "unmapped" }
}

/**
 * Whether all events of the deployment's endpoint at this provider belong to one company, for any account they name.
 */
export const ownsAllAccounts = ({ config }: Pick<Services, "config">, provider: ProviderName): boolean =>
  provider === "whop" && config.providers.whop.accounts === "any"

/** The company that an account belongs to; null when no company registered it. */
export async function companyOfAccount(
  services: Services,
  provider: ProviderName,
  account: string,
): Promise<string | null> {
  const { config } = services
  const registered = await lookUpCompany(services, `${provider}||${account}`, { path: null, provider, account })
  const isKeyAccount = provider === "whop" && account === config.channels.whop.companyId
  return registered ?? (isKeyAccount ? config.access.defaultCompanyId : null)
}

/** The company of this id; null: there is none. */
const companyOfPath = (services: Services, path: string): Promise<string | null> =>
  lookUpCompany(services, `|${path}|`, { path, provider: "stripe", account: null })

const noSuchCompany = () => new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })

/** A cached look-up, for known and unknown names. A company that was closed long ago counts as unknown. */
async function lookUpCompany(
  { db, now }: Services,
  name: string,
  question: Parameters<typeof companyOf>[1],
): Promise<string | null> {
  const nowMs = now().getTime()
  if (unknownNames.get(name, nowMs)) return null
  const found = await companies.load(name, nowMs, () => companyOf(db, question), WHILE_UNAVAILABLE)
  if (found !== null && acceptsDeliveries(found.closedAt, now())) return found.id
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
  accounts.load(
    `${provider}|${companyId}`,
    now().getTime(),
    () => accountsOf(db, companyId, provider),
    WHILE_UNAVAILABLE,
  )

/** `companyOfPath` for a path that anybody may send: look-ups of unknown names are limited. */
async function companyOfUntrustedPath(services: Services, path: string): Promise<string | null> {
  const name = `|${path}|`
  const nowMs = services.now().getTime()
  const isCached = companies.has(name) || unknownNames.get(name, nowMs) === true
  if (!isCached) limitUnknownLookups("company", nowMs)
  const found = await companyOfPath(services, path)
  if (found === null && !isCached) countUnknownLookup("company", nowMs)
  return found
}

/** Secrets that a delivery may be signed with. */
export interface SigningSecrets {
  readonly secrets: readonly string[]
  /** Whether they are the company's own, not the deployment's. */
  readonly isOwn: boolean
  /** The company in the path; null: the path names none, or none that exists. */
  readonly companyId: string | null
}

/**
 * The secrets that a delivery may be signed with: only the company's own if it has any, otherwise the deployment's. A
 * company that does not exist gets the deployment's too, so that an unsigned request cannot find out whether it exists.
 * Throws TOO_MANY_REQUESTS while too many unknown names are looked up.
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
  const own = await secrets.load(`${provider}|${companyId}`, now().getTime(), read, WHILE_UNAVAILABLE)
  if (own.length === 0) return deployment
  // A cached secret may have expired since.
  const valid = own.filter(({ expiresAt }) => expiresAt === null || expiresAt > now())
  return { secrets: valid.map(({ secret }) => secret), isOwn: true, companyId }
}

/** The place to which a company's sealed webhook secret is bound. */
export const secretSealContext = (id: string, companyId: string): SealContext => ({
  purpose: { name: "secret" },
  context: ["webhook_secrets", "sealed", id, companyId],
})

/** Makes this isolate read the company's secrets again; the others do so within a minute. */
export const clearSecretsCache = (provider: ProviderName, companyId: string): void => {
  secrets.delete(`${provider}|${companyId}`)
}
