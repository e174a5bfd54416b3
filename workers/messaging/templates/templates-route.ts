/** `/api/templates`: a company's own words for its messages. Every saved version is kept, and can be saved again. */
import { Hono } from "hono"
import * as z from "zod"
import { listTemplates, TEMPLATES_MAX, type TemplateRow } from "../../../db/queries/messaging/templates.ts"
import type { TemplatePlace } from "../../../shared/domain/messaging/templates/templates.ts"
import { AppError } from "../../platform/errors.ts"
import { withPermission } from "../../platform/http/auth.ts"
import { validId, validJson } from "../../platform/http/request.ts"
import type { AppEnv } from "../../platform/services.ts"
import { experiments } from "./experiments-route.ts"
import { checkWords, latestOf, requireUsable, saveVersion, showTemplate, versionsOf } from "./save-template.ts"
import { suggestions } from "./suggestions-route.ts"
import { templatePlace, templateWords as words } from "./template-schema.ts"

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
    return c.json(await checkWords(c, place, own))
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
    await requireUsable(c, place, own)
    const id = c.get("services").newId()
    const content = { words: own, isInForce: true, experiment: null }
    return c.json(showTemplate(await saveVersion(c, { ...place, id, version: 1 }, content)), 201)
  })
  .get("/:id", withPermission("settings:read"), validId(z.uuid()), async (c) => {
    const [latest, ...earlier] = await versionsOf(c)
    return c.json({ ...showTemplate(latest), versions: [latest, ...earlier].map(showVersion) })
  })
  .put("/:id", withPermission("templates:write"), validId(z.uuid()), validJson(change), async (c) => {
    const { words: own, isInForce, version } = c.req.valid("json")
    const latest = await latestOf(c, version)
    if (latest.experiment !== null) {
      throw new AppError("CONFLICT", "The words are being compared with variants. End the comparison first.", {
        reason: "experiment_under_way",
      })
    }
    await requireUsable(c, latest, own)
    const content = { words: own, isInForce, experiment: null }
    return c.json(showTemplate(await saveVersion(c, { ...latest, version: version + 1 }, content)))
  })
  .route("/suggest", suggestions)
  .route("/:id/experiment", experiments)

const isSamePlace = (one: TemplatePlace, other: TemplatePlace): boolean =>
  one.caseKind === other.caseKind &&
  one.stage === other.stage &&
  one.ask === other.ask &&
  one.channel === other.channel &&
  one.language === other.language

const showVersion = ({ version, words: own, isInForce, experiment, createdAt, createdBy }: TemplateRow) => ({
  ...{ version, words: own, isInForce, experiment },
  savedAt: createdAt.toISOString(),
  savedBy: createdBy,
})
