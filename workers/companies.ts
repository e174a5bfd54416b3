/** Which company a delivery belongs to, and with which secrets its endpoint is signed; remembered in the isolate. */
import { companyOf, webhookSecretsOf } from "../db/queries/companies.ts"
import { fromUtf8 } from "../shared/crypto/bytes.ts"
import { open, type SealPlace } from "../shared/crypto/seal.ts"
import type { ProviderName } from "../shared/domain/facts.ts"
import { BoundedMap } from "../shared/rate-limit.ts"
import { AppError } from "./errors.ts"
import { countStranger, refuseStrangers } from "./limits/strangers.ts"
import type { Services } from "./services.ts"

/** A new company or a rotated secret is noticed everywhere within a minute. */
const REMEMBERED_MS = 60_000

/** More entries than this are strangers trying names. */
const ENTRIES_MAX = 1_000

type Entry<T> = { readonly value: T; readonly until: number }
const companies = new Map<string, Entry<string | null>>()
/** Names that nobody has stand apart, so that trying them does not push out those that are known. */
const strangers = new BoundedMap<string, Entry<null>>(ENTRIES_MAX)
const secrets = new Map<string, Entry<readonly OwnSecret[]>>()

interface OwnSecret {
  readonly secret: string
  readonly expiresAt: Date | null
}

async function remembered<T>(
  cache: Map<string, Entry<T>>,
  key: string,
  nowMs: number,
  read: () => Promise<T>,
): Promise<T> {
  const entry = cache.get(key)
  if (entry && entry.until > nowMs) return entry.value
  const value = await read().catch((error: unknown) => {
    // Postgres is away: what was known last is better than turning everybody away.
    if (entry) return entry.value
    throw error
  })
  if (cache.size >= ENTRIES_MAX) cache.clear()
  cache.set(key, { value, until: nowMs + REMEMBERED_MS })
  return value
}

/**
 * The company of a delivery: named in the path, else the owner of the provider's account, else the configured default.
 * Throws NOT_FOUND when there is none.
 */
export async function companyOfDelivery(
  { db, config, now }: Services,
  delivery: { readonly provider: ProviderName; readonly path: string | null; readonly account: string | null },
): Promise<string> {
  const { provider, path, account } = delivery
  const { defaultCompanyId } = config.access
  if (path === null && account === null && defaultCompanyId !== null) return defaultCompanyId
  const name = nameOf(delivery)
  const isStranger = (strangers.get(name)?.until ?? 0) > now().getTime()
  const found =
    isStranger || (path === null && account === null)
      ? null
      : await remembered(companies, name, now().getTime(), () => companyOf(db, { path, provider, account }))
  if (found === null && !isStranger) {
    companies.delete(name)
    strangers.set(name, { value: null, until: now().getTime() + REMEMBERED_MS })
  }
  const companyId = found ?? (path === null ? defaultCompanyId : null)
  if (companyId === null) throw new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })
  return companyId
}

const nameOf = ({ provider, path, account }: Parameters<typeof companyOfDelivery>[1]): string =>
  `${provider}|${path ?? ""}|${path === null ? account : ""}`

/** The company in a path that anybody may write: looked up while not too many were looked up in vain. */
async function companyOfPath(services: Services, provider: ProviderName, path: string): Promise<string> {
  const delivery = { provider, path, account: null }
  const name = nameOf(delivery)
  const nowMs = services.now().getTime()
  const isRemembered = companies.has(name) || (strangers.get(name)?.until ?? 0) > nowMs
  if (!isRemembered) refuseStrangers("company", nowMs)
  try {
    return await companyOfDelivery(services, delivery)
  } catch (error) {
    if (!isRemembered && error instanceof AppError) countStranger("company", nowMs)
    throw error
  }
}

/**
 * The secrets that may have signed a delivery: a company's own endpoint has its own, and only those; otherwise the
 * deployment's. Throws NOT_FOUND for a company that does not exist, TOO_MANY_REQUESTS while strangers try names.
 */
export async function signingSecrets(
  services: Services,
  provider: ProviderName,
  path: string | null,
): Promise<readonly string[]> {
  const { db, config, now } = services
  const deployment = config.providers[provider].webhookSecrets
  if (path === null) return deployment
  const companyId = await companyOfPath(services, provider, path)
  const own = await remembered(secrets, `${provider}|${companyId}`, now().getTime(), async () => {
    const rows = await webhookSecretsOf(db, companyId, provider, now())
    return Promise.all(
      rows.map(async ({ id, sealed, expiresAt }) => {
        return { secret: fromUtf8(await open(config.keys.encryption, secretPlace(id, companyId), sealed)), expiresAt }
      }),
    )
  })
  if (own.length === 0) return deployment
  // What is remembered may have expired since.
  return own.filter(({ expiresAt }) => expiresAt === null || expiresAt > now()).map(({ secret }) => secret)
}

/** Where a company's own webhook secret lies sealed. */
export const secretPlace = (id: string, companyId: string): SealPlace => ({
  purpose: { name: "secret" },
  context: ["webhook_secrets", "sealed", id, companyId],
})

/** This isolate reads the company's secrets anew; the others within a minute. */
export const forgetSecrets = (provider: ProviderName, companyId: string): void => {
  secrets.delete(`${provider}|${companyId}`)
}
