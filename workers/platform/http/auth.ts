/**
 * Authentication and permissions of the API. A route declares its permission with `withPermission`; a route without a
 * declaration does not exist (see workers/app.ts).
 */
import type { Context, MiddlewareHandler } from "hono"
import { companyOf, findApiKey, type KeyOwner, markApiKeyUsed } from "../../../db/queries/platform/companies.ts"
import { areEqual, sha256, toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts"
import { TtlCache } from "../../../shared/ttl-cache.ts"
import { AppError } from "../errors.ts"
import { blockBruteForce, countFailedAuth } from "../limits/clients.ts"
import { countUnknownLookup, limitUnknownLookups } from "../limits/unknown-lookups.ts"
import { type AppEnv, NO_COMPANY, type Principal, type Services } from "../services.ts"

export type Role = Principal["role"]

const ALL: readonly Role[] = ["success-analyst", "success-manager", "admin"]
const MANAGERS: readonly Role[] = ["success-manager", "admin"]
const ADMINS: readonly Role[] = ["admin"]
/** The deployment's own key, not that of one company's admin: its actions affect every company. */
const OPERATORS: readonly Role[] = ["operator"]

/**
 * Which roles hold which permission. An analyst reads summaries, cases, customers, scores, segments
 * and interventions, without names and addresses; a manager also reads contacts, events, settings, reconciliations, models and
 * the company, and writes cases, templates and segments; an admin does everything else of one company; an operator everything.
 */
const ROLES_BY_PERMISSION = {
  "summary:read": ALL,
  "cases:read": ALL,
  "customers:read": ALL,
  "contacts:read": MANAGERS,
  "events:read": MANAGERS,
  "settings:read": MANAGERS,
  "cases:write": MANAGERS,
  "templates:write": MANAGERS,
  // What a provider sent, with names and addresses.
  "events:payload": ADMINS,
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
  "companies:read": MANAGERS,
  "keys:read": ADMINS,
  "keys:write": ADMINS,
  "people:read": ADMINS,
  "people:write": ADMINS,
  // Models that all companies share, and overriding a failed gate.
  "models:operate": OPERATORS,
  // A company that sends from the deployment's address must not present itself as another one.
  "brands:write": OPERATORS,
  "companies:list": OPERATORS,
  "companies:write": OPERATORS,
  "operators:read": OPERATORS,
  "operators:write": OPERATORS,
  "flags:write": OPERATORS,
  "figures:read": OPERATORS,
  "health:read": OPERATORS,
  "unmapped:read": OPERATORS,
  "jobs:read": OPERATORS,
  "jobs:run": OPERATORS,
} as const satisfies Record<string, readonly Role[]>

export type Permission = keyof typeof ROLES_BY_PERMISSION

/** What is about no single company: an operator need not name one. */
const OF_THE_DEPLOYMENT: ReadonlySet<Permission> = new Set([
  "companies:list",
  "companies:write",
  "operators:read",
  "operators:write",
])

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

const bounds = { ttlMs: CACHE_TTL_MS, entriesMax: ENTRIES_MAX }
const knownKeys = new TtlCache<KeyOwner>(bounds)
/** Unknown keys are cached separately, so that brute force does not evict the known ones. */
const unknownKeys = new TtlCache<true>(bounds)

/** What a caller asks for besides being known. */
export interface Wish {
  /** The company that the caller names; null: its own, or the default one. */
  readonly companyId: string | null
  /** False: an operator need not name a company where there is no default one. */
  readonly isCompanyNeeded?: boolean
}

/**
 * The caller that these headers identify. Throws UNAUTHENTICATED without a known key, FORBIDDEN for a company that is
 * not the key's or is closed, NOT_FOUND when the operator names a company that does not exist or is closed, and
 * TOO_MANY_REQUESTS for a client that has sent too many unknown keys.
 */
export function authenticate(
  services: Services,
  headers: Headers,
  { isCompanyNeeded = true }: Pick<Wish, "isCompanyNeeded"> = {},
): Promise<Principal> {
  return countingFailures(services, headers, async () => {
    const key = bearerKey(headers.get("authorization"))
    if (key === null) throw new AppError("UNAUTHENTICATED", "A Bearer key is needed.", { reason: "key_missing" })
    const companyId = headers.get("x-company-id")
    if (companyId !== null && !COMPANY_ID.test(companyId)) {
      throw new AppError("MALFORMED", "x-company-id is not the id of a company.")
    }
    return identify(services, key, { companyId, isCompanyNeeded })
  })
}

/** Runs an authentication, and counts its failures against the client. Throws TOO_MANY_REQUESTS after too many. */
export async function countingFailures<T>(services: Services, headers: Headers, attempt: () => Promise<T>): Promise<T> {
  blockBruteForce(services, headers)
  try {
    return await attempt()
  } catch (error) {
    if (error instanceof AppError && error.code === "UNAUTHENTICATED") await countFailedAuth(services, headers)
    throw error
  }
}

/** The caller with this key. Throws like `authenticate`, without counting failures. */
export async function identify(services: Services, key: string, wish: Wish): Promise<Principal> {
  const digest = await sha256(utf8(key))
  if (areEqual(digest, await sha256(utf8(services.config.access.adminApiKey)))) {
    return operatorOf(services, BOOTSTRAP_KEY_ID, wish)
  }
  const owner = await ownerOf(services, digest)
  if (owner === null) throw new AppError("UNAUTHENTICATED", "The key is not known.", { reason: "key_unknown" })
  if (owner.expiresAt !== null && owner.expiresAt <= services.now()) {
    throw new AppError("UNAUTHENTICATED", "The key has expired.", { reason: "key_expired" })
  }
  noteUse(services, digest)
  if (owner.companyId === null) return operatorOf(services, owner.id, wish)
  if (wish.companyId !== null && wish.companyId !== owner.companyId) {
    throw new AppError("FORBIDDEN", "This key belongs to another company.", { reason: "other_company" })
  }
  if (owner.companyClosedAt !== null) throw companyClosed()
  return { keyId: owner.id, role: companyRole(owner.role), companyId: owner.companyId }
}

/** The key in ADMIN_API_KEY: with it the first companies and operators' keys are made. */
export const BOOTSTRAP_KEY_ID = "admin"

/** The refusal of a caller whose company is closed. */
export const companyClosed = (): AppError =>
  new AppError("FORBIDDEN", "This company is closed.", { reason: "company_closed" })

/** A role of a company's key or person, as it is stored. */
export function companyRole(stored: string): Exclude<Role, "operator"> {
  const role = ALL.find((candidate) => candidate === stored)
  if (role === undefined || role === "operator") throw new Error("an unknown role is stored")
  return role
}

/** An operator, for the company that was named or the default one. Throws NOT_FOUND, or MALFORMED without a company. */
export async function operatorOf(
  services: Services,
  keyId: string,
  { companyId: named, isCompanyNeeded = true }: Wish,
): Promise<Principal> {
  const companyId = named ?? services.config.access.defaultCompanyId ?? (isCompanyNeeded ? null : NO_COMPANY)
  if (companyId === null) throw new AppError("MALFORMED", "Name the company in the header x-company-id.")
  if (named !== null) await requireCompany(services, named)
  return { keyId, role: "operator", companyId }
}

/** Companies that an operator named, and that exist and are open. */
const knownCompanies = new TtlCache<true>(bounds)

/** Throws NOT_FOUND for a company that does not exist or is closed; empty answers would look like an inactive company. */
async function requireCompany({ db, now }: Services, companyId: string): Promise<void> {
  const nowMs = now().getTime()
  if (knownCompanies.get(companyId, nowMs)) return
  const found = await companyOf(db, { path: companyId, provider: "stripe", account: null })
  if (found === null || found.closedAt !== null) {
    knownCompanies.delete(companyId)
    throw new AppError("NOT_FOUND", "There is no such company.", { reason: "unknown_company" })
  }
  knownCompanies.set(companyId, true, nowMs)
}

/** Makes this isolate look the company up again; the others do so within half a minute. */
export const forgetCompany = (companyId: string): void => knownCompanies.delete(companyId)

/** Makes this isolate look all keys up again; the others do so within half a minute. */
export const forgetKeys = (): void => knownKeys.clear()

async function ownerOf({ db, now }: Services, digest: Uint8Array): Promise<KeyOwner | null> {
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

/** The last use of a key is recorded to the hour, so that a busy key costs one write an hour in each isolate. */
const USE_RECORDED_EVERY_MS = 3_600_000
const recordedUses = new TtlCache<true>({ ttlMs: USE_RECORDED_EVERY_MS, entriesMax: ENTRIES_MAX })

/** Records the use after the answer; nothing waits for it, and a failure is repeated with the next use. */
function noteUse({ db, log, now, waitUntil }: Services, digest: Uint8Array): void {
  const name = toBase64Url(digest)
  const at = now()
  if (recordedUses.get(name, at.getTime())) return
  recordedUses.set(name, true, at.getTime())
  const since = new Date(at.getTime() - USE_RECORDED_EVERY_MS)
  waitUntil(
    markApiKeyUsed(db, digest, at, since).catch((error: unknown) => {
      recordedUses.delete(name)
      log.warn("key_use_not_recorded", { error })
    }),
  )
}

/** Authenticates the caller before any other handler of the API runs. */
export async function setPrincipal(c: Context<AppEnv>, permission: Permission): Promise<void> {
  const isCompanyNeeded = !OF_THE_DEPLOYMENT.has(permission)
  try {
    c.set("principal", await authenticate(c.get("services"), c.req.raw.headers, { isCompanyNeeded }))
  } catch (error) {
    if (error instanceof AppError && error.code === "UNAUTHENTICATED") c.header("www-authenticate", "Bearer")
    throw error
  }
}
