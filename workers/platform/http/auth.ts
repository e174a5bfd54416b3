/**
 * Authentication and permissions of the API. A route declares its permission with `withPermission`; a route without a
 * declaration does not exist (see workers/app.ts).
 */
import type { Context, MiddlewareHandler } from "hono"
import { companyOf, findApiKey } from "../../../db/queries/platform/companies.ts"
import { areEqual, sha256, toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts"
import { TtlCache } from "../../../shared/ttl-cache.ts"
import { AppError } from "../errors.ts"
import { blockBruteForce, countFailedAuth } from "../limits/clients.ts"
import { countUnknownLookup, limitUnknownLookups } from "../limits/unknown-lookups.ts"
import type { AppEnv, Principal, Services } from "../services.ts"

export type Role = Principal["role"]

const ALL: readonly Role[] = ["success-analyst", "success-manager", "admin"]
const MANAGERS: readonly Role[] = ["success-manager", "admin"]
const ADMINS: readonly Role[] = ["admin"]
/** The deployment's own key, not that of one company's admin: its actions affect every company. */
const OPERATORS: readonly Role[] = ["operator"]

/**
 * Which roles hold which permission. An analyst reads summaries, cases and customers, without names and addresses; a
 * manager reads everything and writes interventions; an admin changes settings and secrets.
 */
const ROLES_BY_PERMISSION = {
  "summary:read": ALL,
  "cases:read": ALL,
  "customers:read": ALL,
  "contacts:read": MANAGERS,
  "events:read": MANAGERS,
  "settings:read": MANAGERS,
  "cases:write": MANAGERS,
  "events:replay": ADMINS,
  "settings:write": ADMINS,
  "flags:read": ADMINS,
  "reconciliation:read": MANAGERS,
  "reconciliation:run": ADMINS,
  "secrets:read": ADMINS,
  "secrets:write": ADMINS,
  "scores:read": ALL,
  "signals:write": ADMINS,
  "models:read": MANAGERS,
  "models:write": ADMINS,
  "training:read": ADMINS,
  "segments:read": ALL,
  "segments:write": MANAGERS,
  "interventions:read": ALL,
  // Models that all companies share, and overriding a failed gate.
  "models:operate": OPERATORS,
  // A company that sends from the deployment's address must not present itself as another one.
  "brands:write": OPERATORS,
  "flags:write": OPERATORS,
  "figures:read": OPERATORS,
  "health:read": OPERATORS,
  "unmapped:read": OPERATORS,
  "jobs:read": OPERATORS,
  "jobs:run": OPERATORS,
} as const satisfies Record<string, readonly Role[]>

export type Permission = keyof typeof ROLES_BY_PERMISSION

/** Whether a role holds a permission; an operator holds all permissions of an admin. */
export const isAllowed = (role: Role, permission: Permission): boolean =>
  ROLES_BY_PERMISSION[permission].some((holder) => holder === role || (holder === "admin" && role === "operator"))

/** Throws FORBIDDEN unless the caller's role holds the permission. */
export function requirePermission(principal: Principal, permission: Permission): void {
  if (isAllowed(principal.role, permission)) return
  throw new AppError("FORBIDDEN", "This key's role does not allow that.", { reason: "role_lacks_permission" })
}

const declared = new WeakMap<object, Permission>()

/** Declares the permission of a route, and refuses callers without it. */
export function withPermission(permission: Permission): MiddlewareHandler<AppEnv> {
  const guard: MiddlewareHandler<AppEnv> = async (c, next) => {
    requirePermission(c.get("principal"), permission)
    await next()
  }
  declared.set(guard, permission)
  return guard
}

/** The permission that a handler declares; null when it is not a handler of `withPermission`. */
export const permissionOf = (handler: object): Permission | null => declared.get(handler) ?? null

/** The key in an `Authorization` header; null when there is none or it is not a Bearer key. */
export function bearerKey(header: string | null): string | null {
  const [, key] = /^bearer +([\x21-\x7e]{1,512})$/i.exec(header ?? "") ?? []
  return key ?? null
}

const COMPANY_ID = /^[A-Za-z0-9_-]{1,64}$/

/** A new or revoked key takes effect in every isolate within this time. */
const CACHE_TTL_MS = 30_000
/** More keys than this in one isolate are a brute-force attempt. */
const ENTRIES_MAX = 1_000

type KeyOwner = Awaited<ReturnType<typeof findApiKey>>
const bounds = { ttlMs: CACHE_TTL_MS, entriesMax: ENTRIES_MAX }
const knownKeys = new TtlCache<NonNullable<KeyOwner>>(bounds)
/** Unknown keys are cached separately, so that brute force does not evict the known ones. */
const unknownKeys = new TtlCache<true>(bounds)

/**
 * The caller that these headers identify. Throws UNAUTHENTICATED without a known key, FORBIDDEN for a company that is
 * not the key's, NOT_FOUND when the operator names a company that does not exist, and TOO_MANY_REQUESTS for a client
 * that has sent too many unknown keys.
 */
export async function authenticate(services: Services, headers: Headers): Promise<Principal> {
  blockBruteForce(services, headers)
  try {
    return await identify(services, headers)
  } catch (error) {
    if (error instanceof AppError && error.code === "UNAUTHENTICATED") await countFailedAuth(services, headers)
    throw error
  }
}

async function identify(services: Services, headers: Headers): Promise<Principal> {
  const { config } = services
  const key = bearerKey(headers.get("authorization"))
  if (key === null) throw new AppError("UNAUTHENTICATED", "A Bearer key is needed.", { reason: "key_missing" })
  const named = headers.get("x-company-id")
  if (named !== null && !COMPANY_ID.test(named)) {
    throw new AppError("MALFORMED", "x-company-id is not the id of a company.")
  }
  const digest = await sha256(utf8(key))
  if (areEqual(digest, await sha256(utf8(config.access.adminApiKey)))) {
    const companyId = named ?? config.access.defaultCompanyId
    if (companyId === null) throw new AppError("MALFORMED", "Name the company in the header x-company-id.")
    if (named !== null) await requireCompany(services, named)
    return { keyId: "admin", role: "operator", companyId }
  }
  const owner = await ownerOf(services, digest)
  if (owner === null) throw new AppError("UNAUTHENTICATED", "The key is not known.", { reason: "key_unknown" })
  if (named !== null && named !== owner.companyId) {
    throw new AppError("FORBIDDEN", "This key belongs to another company.", { reason: "other_company" })
  }
  const role = ALL.find((candidate) => candidate === owner.role)
  if (role === undefined) throw new Error("an API key has an unknown role")
  return { keyId: owner.id, role, companyId: owner.companyId }
}

/** Companies that an operator named and that exist. */
const knownCompanies = new TtlCache<true>(bounds)

/** Throws NOT_FOUND for a company that does not exist; empty answers would look like an inactive company. */
async function requireCompany({ db, now }: Services, companyId: string): Promise<void> {
  const nowMs = now().getTime()
  if (knownCompanies.get(companyId, nowMs)) return
  if ((await companyOf(db, { path: companyId, provider: "stripe", account: null })) === null) {
    knownCompanies.delete(companyId)
    throw new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })
  }
  knownCompanies.set(companyId, true, nowMs)
}

async function ownerOf({ db, now }: Services, digest: Uint8Array): Promise<KeyOwner> {
  const name = toBase64Url(digest)
  const nowMs = now().getTime()
  const known = knownKeys.get(name, nowMs)
  if (known) return known
  if (unknownKeys.get(name, nowMs)) return null
  if (!knownKeys.has(name)) limitUnknownLookups("key", nowMs)
  const owner = await findApiKey(db, digest)
  if (owner === null) {
    countUnknownLookup("key", nowMs)
    knownKeys.delete(name)
    unknownKeys.set(name, true, nowMs)
  } else knownKeys.set(name, owner, nowMs)
  return owner
}

/** Authenticates the caller before any other handler of the API runs. */
export async function setPrincipal(c: Context<AppEnv>): Promise<void> {
  try {
    c.set("principal", await authenticate(c.get("services"), c.req.raw.headers))
  } catch (error) {
    if (error instanceof AppError && error.code === "UNAUTHENTICATED") c.header("www-authenticate", "Bearer")
    throw error
  }
}
