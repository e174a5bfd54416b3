/**
 * `/api/keys`: the API keys of a company, and `/api/operator-keys`: those of operators. A key is shown once, when it is
 * made; afterwards its first characters distinguish it.
 */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { addKey, type KeyRow, listKeys, readKey, revokeKey } from "../../db/queries/companies/keys.ts"
import { endSessionsOf } from "../../db/queries/companies/sessions.ts"
import { AppError } from "../platform/errors.ts"
import { forgetKeys, type Permission, type Role, withPermission } from "../platform/http/auth.ts"
import { validId, validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { forExistingCompany } from "./existing-company.ts"
import { hashOf, randomSecret } from "./random-token.ts"

/** Marks our keys for people and for scanners of secrets. */
const KEY_PREFIX = "cs_"
/** What is shown of a key: 48 of its 256 bits. */
const SHOWN_CHARS = KEY_PREFIX.length + 8

/** As for webhook secrets: a longer overlap would be forgotten. */
const OVERLAP_HOURS_MAX = 7 * 24
const OVERLAP_HOURS_DEFAULT = 24
const HOUR_MS = 3_600_000

/** A company needs a key for each program; more are a mistake. */
const VALID_KEYS_MAX = 100

const keyName = z
  .string()
  .max(100)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, "expected one line of plain text")
  .transform((name) => name.trim())
  .refine((name) => name !== "", { error: "expected a name" })
const expiresAt = z.iso
  .datetime()
  .transform((text) => new Date(text))
  .nullable()
  .default(null)
const companyRole = z.enum(["success-analyst", "success-manager", "admin"])
const newKey = z.strictObject({ name: keyName, role: companyRole, expiresAt })
const newOperatorKey = z.strictObject({ name: keyName, expiresAt })
const rotation = z.lazy(() =>
  z.strictObject({
    overlapHours: z.number().int().min(0).max(OVERLAP_HOURS_MAX).default(OVERLAP_HOURS_DEFAULT),
    expiresAt,
  }),
)

/** Whose keys: the company's of the caller, or null for operators'. */
type Scope = (c: Context<AppEnv>) => string | null

const ofCompany: Scope = (c) => c.get("principal").companyId
const ofOperators: Scope = () => null

export const keys = managedKeys({ scope: ofCompany, read: "keys:read", write: "keys:write" }).post(
  "/",
  withPermission("keys:write"),
  validJson(newKey),
  async (c) => c.json(await makeKey(c, ofCompany(c), c.req.valid("json")), 201),
)

export const operatorKeys = managedKeys({
  scope: ofOperators,
  read: "operators:read",
  write: "operators:write",
}).post("/", withPermission("operators:write"), validJson(newOperatorKey), async (c) =>
  c.json(await makeKey(c, null, { ...c.req.valid("json"), role: "operator" }), 201),
)

/** The routes that both kinds of keys share. */
function managedKeys({
  scope,
  read,
  write,
}: {
  readonly scope: Scope
  readonly read: Permission
  readonly write: Permission
}) {
  return new Hono<AppEnv>()
    .get("/", withPermission(read), async (c) => {
      const { db, now } = c.get("services")
      return c.json({ data: (await listKeys(db, scope(c))).map((row) => showKey(row, now())), nextCursor: null })
    })
    .post("/:id/rotate", withPermission(write), validId(), validJson(rotation, { isOptional: true }), async (c) => {
      const { db, now } = c.get("services")
      const { overlapHours, expiresAt: newExpiry } = c.req.valid("json")
      const old = await readKey(db, scope(c), c.req.valid("param").id)
      if (old === null) throw noSuchKey()
      const until = new Date(now().getTime() + overlapHours * HOUR_MS)
      const made = await makeKey(
        c,
        scope(c),
        { name: old.name, role: old.role as Role, expiresAt: newExpiry },
        { id: old.id, until },
      )
      return c.json({ ...made, oldAcceptedUntil: earliest(old.expiresAt, until).toISOString() }, 201)
    })
    .delete("/:id", withPermission(write), validId(), async (c) => {
      const { db, log, now } = c.get("services")
      const { id } = c.req.valid("param")
      const at = now()
      if (!(await revokeKey(db, scope(c), id, at))) throw noSuchKey()
      await endSessionsOf(db, scope(c), { keyId: id }, at)
      forgetKeys()
      log.info("api_key_revoked", { companyId: scope(c), keyId: c.get("principal").keyId, secretId: id })
      const row = await readKey(db, scope(c), id)
      if (row === null) throw noSuchKey()
      return c.json(showKey(row, at))
    })
}

interface KeyRequest {
  readonly name: string
  readonly role: Role
  readonly expiresAt: Date | null
}

/** Makes a key and shows it, once. */
async function makeKey(
  c: Context<AppEnv>,
  companyId: string | null,
  { name, role, expiresAt: expiry }: KeyRequest,
  replaces: { readonly id: string; readonly until: Date } | null = null,
) {
  const { db, log, newId, now } = c.get("services")
  const { keyId: createdBy } = c.get("principal")
  const at = now()
  if (expiry !== null && expiry <= at) throw new AppError("MALFORMED", "The key would have expired already.")
  const valid = (await listKeys(db, companyId)).filter((row) => isValid(row, at))
  if (valid.length >= VALID_KEYS_MAX) {
    throw new AppError("CONFLICT", `No more than ${VALID_KEYS_MAX} keys are valid at once.`, {
      reason: "too_many_keys",
    })
  }
  const key = `${KEY_PREFIX}${randomSecret()}`
  const id = newId()
  const prefix = key.slice(0, SHOWN_CHARS)
  const row = { companyId, id, name, role, prefix, createdBy, expiresAt: expiry, replaces }
  if (!(await forExistingCompany(addKey(db, { ...row, hash: await hashOf(key) }, at)))) {
    throw new AppError("CONFLICT", "The key is not valid any more; make a new one.", { reason: "key_ended" })
  }
  forgetKeys()
  log.info("api_key_added", { companyId, keyId: createdBy, secretId: id, role })
  const made = { ...row, createdAt: at, revokedAt: null, lastUsedAt: null }
  return { ...showKey(made, at), key }
}

const noSuchKey = () => new AppError("NOT_FOUND", "There is no such key.")

const isValid = ({ revokedAt, expiresAt: expiry }: KeyRow, at: Date): boolean =>
  revokedAt === null && (expiry === null || expiry > at)

const earliest = (one: Date | null, other: Date): Date => (one !== null && one < other ? one : other)

const showKey = (row: KeyRow, at: Date) => ({
  id: row.id,
  companyId: row.companyId,
  name: row.name,
  role: row.role,
  prefix: row.prefix,
  createdAt: row.createdAt.toISOString(),
  createdBy: row.createdBy,
  expiresAt: row.expiresAt?.toISOString() ?? null,
  revokedAt: row.revokedAt?.toISOString() ?? null,
  lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  isValid: isValid(row, at),
})
