/** `/api/templates`: a company's own words for its messages. Every saved version is kept, and can be saved again. */
import { type Context, Hono } from "hono"
import * as z from "zod"
import {
  addTemplateVersion,
  listTemplates,
  readTemplate,
  TEMPLATES_MAX,
  type TemplateRow,
} from "../../../db/queries/messaging/templates.ts"
import {
  faultsOf,
  PARTS,
  type TemplatePlace,
  type TemplateWords,
} from "../../../shared/domain/messaging/templates/templates.ts"
import { MESSAGE_ACTIONS } from "../../../shared/domain/recovery/decline-codes.ts"
import { MEMBER_CHANNELS } from "../../../shared/domain/settings.ts"
import { AppError } from "../../platform/errors.ts"
import { withPermission } from "../../platform/http/auth.ts"
import { validId, validJson } from "../../platform/http/request.ts"
import type { AppEnv } from "../../platform/services.ts"
import { lookOfShown, shownCompany } from "../../platform/shown-company.ts"
import { type Preview, previewsOf, roomFaults } from "./preview.ts"

/** Longer than any part may be: what is too long is refused by its own rule, which says how long it may be. */
const WORDS_CHARS_MAX = 2_000

const words = z.strictObject(
  Object.fromEntries(PARTS.map((part) => [part, z.string().max(WORDS_CHARS_MAX).optional()])) as Record<
    (typeof PARTS)[number],
    z.ZodOptional<z.ZodString>
  >,
)

/** Which messages a template is for; what is left out is any. */
export const templatePlace = {
  caseKind: z.enum(["payment", "cancellation", "at_risk"]),
  stage: z.enum(["first", "reminder", "last"]).nullable().default(null),
  ask: z.enum(MESSAGE_ACTIONS).nullable().default(null),
  channel: z.enum(MEMBER_CHANNELS).nullable().default(null),
  language: z
    .string()
    .regex(/^[a-z]{2}$/, "expected a language as two letters (ISO 639-1)")
    .nullable()
    .default(null),
}

const newTemplate = z.strictObject({ ...templatePlace, words })
const change = z.strictObject({
  words,
  isInForce: z.boolean().default(true),
  /** The version that is changed: refused when somebody has saved another one since. */
  version: z.int().min(1),
})

export const templates = new Hono<AppEnv>()
  .get("/", withPermission("settings:read"), async (c) => {
    const rows = await listTemplates(c.get("services").db, c.get("principal").companyId)
    return c.json({ data: rows.map(showTemplate), nextCursor: null })
  })
  .post("/preview", withPermission("templates:write"), validJson(newTemplate), async (c) => {
    const { words: own, ...place } = c.req.valid("json")
    const { faults, previews } = await checked(c, place, own)
    return c.json({ faults, previews })
  })
  .post("/", withPermission("templates:write"), validJson(newTemplate), async (c) => {
    const { db } = c.get("services")
    const { companyId } = c.get("principal")
    const { words: own, ...place } = c.req.valid("json")
    const existing = await listTemplates(db, companyId)
    if (existing.length >= TEMPLATES_MAX) {
      throw new AppError("CONFLICT", `A company has at most ${TEMPLATES_MAX} templates.`, {
        reason: "too_many_templates",
      })
    }
    const twin = existing.find((row) => isSamePlace(row, place))
    if (twin !== undefined) {
      throw new AppError("CONFLICT", "There is a template for exactly these messages already. Change that one.", {
        reason: "template_exists",
        extension: { templateId: twin.id },
      })
    }
    return c.json(showTemplate(await save(c, { ...place, id: c.get("services").newId(), version: 1 }, own, true)), 201)
  })
  .get("/:id", withPermission("settings:read"), validId(z.uuid()), async (c) => {
    const [latest, ...earlier] = await versionsOf(c)
    return c.json({ ...showTemplate(latest), versions: [latest, ...earlier].map(showVersion) })
  })
  .put("/:id", withPermission("templates:write"), validId(z.uuid()), validJson(change), async (c) => {
    const { words: own, isInForce, version } = c.req.valid("json")
    const [latest] = await versionsOf(c)
    if (latest.version !== version) throw changedMeanwhile()
    const { id, caseKind, stage, ask, channel, language } = latest
    const next = { id, caseKind, stage, ask, channel, language, version: version + 1 }
    return c.json(showTemplate(await save(c, next, own, isInForce)))
  })

const changedMeanwhile = (): AppError =>
  new AppError("CONFLICT", "Another user has saved a newer version. Reload it and edit that version.", {
    reason: "stale_form",
  })

const isSamePlace = (one: TemplatePlace, other: TemplatePlace): boolean =>
  one.caseKind === other.caseKind &&
  one.stage === other.stage &&
  one.ask === other.ask &&
  one.channel === other.channel &&
  one.language === other.language

/** All versions of the template in the path, the newest first. */
async function versionsOf(c: Context<AppEnv>): Promise<readonly [TemplateRow, ...TemplateRow[]]> {
  const rows = await readTemplate(c.get("services").db, c.get("principal").companyId, c.req.param("id") ?? "")
  const [latest, ...earlier] = rows
  if (latest === undefined) throw new AppError("NOT_FOUND", "There is no such template.")
  return [latest, ...earlier]
}

/** Words with their faults, and how messages with them look. */
async function checked(c: Context<AppEnv>, place: TemplatePlace, own: TemplateWords) {
  const services = c.get("services")
  const { config, now } = services
  const shown = await shownCompany(services, c.get("principal").companyId)
  if (shown === null) throw new AppError("NOT_FOUND", "There is no such company.")
  const faults = faultsOf(own)
  if (faults.length > 0) return { faults, previews: [] as readonly Preview[] }
  const company = {
    brandName: shown.brandName,
    supportEmail: shown.settings.supportEmail,
    appUrl: config.appUrl,
    look: lookOfShown(shown, config.appUrl),
  }
  const previews = previewsOf(place, own, company, now())
  return { faults: roomFaults(own, previews), previews }
}

/** Saves a version; throws MALFORMED naming every faulty part. */
async function save(
  c: Context<AppEnv>,
  place: TemplatePlace & { readonly id: string; readonly version: number },
  own: TemplateWords,
  isInForce: boolean,
): Promise<TemplateRow> {
  const { db, log, now } = c.get("services")
  const { companyId, keyId } = c.get("principal")
  const { faults } = await checked(c, place, own)
  if (faults.length > 0) {
    const detail = faults.map(({ part, reason }) => `${part}: ${reason}`).join("; ")
    throw new AppError("MALFORMED", `The words cannot be used: ${detail}.`, { extension: { faults } })
  }
  const row = { ...place, companyId, words: own, isInForce, createdAt: now(), createdBy: keyId }
  if (!(await addTemplateVersion(db, row))) throw changedMeanwhile()
  log.info("template_saved", { companyId, keyId, version: place.version })
  return row
}

const showTemplate = ({ createdAt, createdBy, ...row }: TemplateRow) => ({
  ...row,
  savedAt: createdAt.toISOString(),
  savedBy: createdBy,
})

const showVersion = ({ version, words: own, isInForce, createdAt, createdBy }: TemplateRow) => ({
  ...{ version, words: own, isInForce },
  savedAt: createdAt.toISOString(),
  savedBy: createdBy,
})
