/**
 * `/api/flags`: switches and feature flags. A company's admin reads their state for that company; an operator sets
 * them.
 */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { listFlagChanges } from "../../db/queries/platform/flags.ts"
import { FLAG_NAMES, type FlagName, type FlagValue } from "../../shared/domain/flags.ts"
import type { Flags, SetFlag } from "../../shared/flags/flags.ts"
import { AppError } from "../platform/errors.ts"
import { features } from "../platform/features.ts"
import { changeFlag } from "../platform/flags.ts"
import { withPermission } from "../platform/http/auth.ts"
import { listOf, pageFields, splitPage, validJson, validParam, validQuery } from "../platform/http/request.ts"
import type { AppEnv, Principal, Services } from "../platform/services.ts"

/** For more companies than this, use a percentage. */
const COMPANIES_MAX = 1_000
const REASON_CHARS_MAX = 500
/** Two lists of `COMPANIES_MAX` ids of 64 characters, with room for spaces. */
const BODY_BYTES_MAX = 256 * 1024

const companies = z
  .array(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "expected the id of a company"))
  .max(COMPANIES_MAX)
  .transform((ids) => [...new Set(ids)].sort())
  .default([])

/** A flag's new value. A missing field takes its default; an unknown field is refused. */
export const flagSchema = z.lazy(() =>
  z
    .strictObject({
      enabled: z.boolean(),
      percentage: z
        .number()
        .min(0)
        .max(100)
        .refine((percentage) => Math.round(percentage * 100) / 100 === percentage, {
          error: "expected at most two decimals",
        })
        .default(100),
      allow: companies,
      deny: companies,
      reason: z
        .string()
        .max(REASON_CHARS_MAX)
        .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, "expected one line of plain text")
        .transform((text) => text.trim() || null)
        .nullable()
        .default(null),
      /** The `updatedAt` of the value that this one replaces; null: the flag was not set. Absent: it replaces any value. */
      replaces: z.iso.datetime().nullable().optional(),
    })
    .refine(({ allow, deny }) => !allow.some((id) => deny.includes(id)), {
      error: "expected no company in both lists",
      path: ["deny"],
    }),
)

const changesQuery = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    cursor: pageFields.cursor.refine((position) => position === undefined || z.uuid().safeParse(position.id).success, {
      error: "expected a nextCursor of this list",
    }),
  }),
)

const validName = validParam(z.object({ name: z.enum(FLAG_NAMES) }), "There is no such flag.")

/** Throws CONFLICT for the flag that closing a company sets: the two would contradict each other. */
function requireSettable(name: FlagName): void {
  if (name !== "COMPANY_CLOSED") return
  throw new AppError("CONFLICT", "Close or open a company instead: /api/companies/<id>/close.", {
    reason: "flag_is_set",
  })
}

/**
 * Throws CONFLICT when the flag is not the one that its caller has seen. While neither store answers nobody knows, and the change
 * is not refused: an operator may be in an emergency.
 */
async function requireUnchanged(services: Services, name: FlagName, seen: string | null): Promise<void> {
  const current = await services.flags({ isImmediate: true })
  if (current.source === "safe_default" || (current.setOf(name)?.updatedAt ?? null) === seen) return
  throw new AppError("CONFLICT", "The flag was changed since this page was loaded. Nothing was changed by this form.", {
    reason: "flag_changed",
  })
}

export const flags = new Hono<AppEnv>()
  .get("/", withPermission("flags:read"), async (c) => {
    const current = await c.get("services").flags({ isImmediate: true })
    const data = await Promise.all(FLAG_NAMES.map((name) => showFlag(c, current, name)))
    return c.json({ data, nextCursor: null })
  })
  .get("/:name", withPermission("flags:read"), validName, async (c) => {
    const { name } = c.req.valid("param")
    return c.json(await showFlag(c, await c.get("services").flags({ isImmediate: true }), name))
  })
  .put(
    "/:name",
    withPermission("flags:write"),
    validName,
    validJson(flagSchema, { bytesMax: BODY_BYTES_MAX }),
    async (c) => {
      const services = c.get("services")
      const { keyId } = c.get("principal")
      const { name } = c.req.valid("param")
      requireSettable(name)
      const { reason, replaces, ...value } = c.req.valid("json")
      if (replaces !== undefined) await requireUnchanged(services, name, replaces)
      const { storedIn } = await changeFlag(services, name, value, { who: keyId, why: reason })
      services.log.warn("flag_changed", { flag: name, isOn: value.enabled, value: value.percentage, keyId })
      return c.json({ ...(await showFlag(c, await services.flags(), name)), storedIn })
    },
  )
  .get("/:name/changes", withPermission("flags:read"), validName, validQuery(changesQuery), async (c) => {
    const { name } = c.req.valid("param")
    const { page } = splitPage(c.req.valid("query"))
    const principal = c.get("principal")
    const changes = await listFlagChanges(c.get("services").db, name, page)
    return c.json(
      listOf(changes, ({ id, before, after, who, why, at }) => ({
        id,
        before: before && visibleFlagOf(principal, before),
        after: visibleFlagOf(principal, after),
        ...authorOf(principal, who, why),
        at: at.toISOString(),
      })),
    )
  })

/** A flag's current value, and whether it is on for the caller's company. */
async function showFlag(c: Context<AppEnv>, current: Flags, name: FlagName) {
  const principal = c.get("principal")
  const client = await features(c.get("services"))
  const { value: isOn, reason: because } = await client.getBooleanDetails(name, false, {
    targetingKey: principal.companyId,
  })
  return { name, ...settingOf(principal, current, name), isOn, because, source: current.source }
}

function settingOf(principal: Principal, current: Flags, name: FlagName) {
  const set = current.setOf(name)
  return {
    ...visibleFlagOf(principal, current.valueOf(name)),
    isDefault: set === null,
    updatedAt: set?.updatedAt ?? null,
    ...hideAuditFields(principal, set),
  }
}

function hideAuditFields(principal: Principal, set: SetFlag | null) {
  const { who, why } = authorOf(principal, set?.updatedBy ?? null, set?.reason ?? null)
  return { updatedBy: who, reason: why }
}

/** Only an operator sees all companies of a list; a company sees whether it is in the list itself. */
const visibleFlagOf = ({ role, companyId }: Principal, { enabled, percentage, allow, deny }: FlagValue): FlagValue => {
  const visible = (ids: readonly string[]) => (role === "operator" ? ids : ids.filter((id) => id === companyId))
  return { enabled, percentage, allow: visible(allow), deny: visible(deny) }
}

/** A company's admin does not see the keys of others, nor their reasons, which may name a person. */
const authorOf = ({ role, keyId }: Principal, who: string | null, why: string | null) =>
  role === "operator" || who === keyId ? { who, why } : { who: null, why: null }
