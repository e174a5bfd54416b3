/** Versions of templates: read, checked and saved, for all routes that change one. */
import type { Context } from "hono"
import { addTemplateVersion, readTemplate, type TemplateRow } from "../../../db/queries/messaging/templates.ts"
import {
  type Experiment,
  faultsOf,
  type TemplateFault,
  type TemplatePlace,
  type TemplateWords,
} from "../../../shared/domain/messaging/templates/templates.ts"
import { AppError } from "../../platform/errors.ts"
import type { AppEnv } from "../../platform/services.ts"
import { lookOfShown, shownCompany } from "../../platform/shown-company.ts"
import { type Preview, previewsOf, roomFaults } from "./preview.ts"

/** All versions of the template in the path, the newest first. */
export async function versionsOf(c: Context<AppEnv>): Promise<readonly [TemplateRow, ...TemplateRow[]]> {
  const rows = await readTemplate(c.get("services").db, c.get("principal").companyId, c.req.param("id") ?? "")
  const [latest, ...earlier] = rows
  if (latest === undefined) throw new AppError("NOT_FOUND", "There is no such template.")
  return [latest, ...earlier]
}

/** The newest version of the template in the path; throws CONFLICT unless it is the one that the caller has seen. */
export async function latestOf(c: Context<AppEnv>, seenVersion: number): Promise<TemplateRow> {
  const [latest] = await versionsOf(c)
  if (latest.version !== seenVersion) throw changedMeanwhile()
  return latest
}

const changedMeanwhile = (): AppError =>
  new AppError("CONFLICT", "Another user has saved a newer version. Reload it and edit that version.", {
    reason: "stale_form",
  })

/** Words with their faults, and how messages with them look. */
export async function checkWords(c: Context<AppEnv>, place: TemplatePlace, own: TemplateWords) {
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

/** Throws MALFORMED naming every faulty part; `whose` are the words. */
export async function requireUsable(
  c: Context<AppEnv>,
  place: TemplatePlace,
  own: TemplateWords,
  whose = "The words",
): Promise<void> {
  const { faults } = await checkWords(c, place, own)
  if (faults.length === 0) return
  throw new AppError("MALFORMED", `${whose} cannot be used: ${inOneSentence(faults)}.`, { extension: { faults } })
}

/** All faults, each with its part. */
export const inOneSentence = (faults: readonly TemplateFault[]): string =>
  faults.map(({ part, reason }) => `${part}: ${reason}`).join("; ")

/** What a version holds besides its template, number and author. */
export interface VersionContent {
  readonly words: TemplateWords
  readonly isInForce: boolean
  /** The comparison that begins with it; null: none. */
  readonly experiment: Experiment | null
}

/** Saves a version whose words were checked. Throws CONFLICT if somebody else has saved one meanwhile. */
export async function saveVersion(
  c: Context<AppEnv>,
  { id, version, caseKind, stage, ask, channel, language }: TemplatePlace & Pick<TemplateRow, "id" | "version">,
  content: VersionContent,
): Promise<TemplateRow> {
  const { db, log, now } = c.get("services")
  const { companyId, keyId } = c.get("principal")
  const place = { caseKind, stage, ask, channel, language }
  const row = { id, version, companyId, ...place, ...content, createdAt: now(), createdBy: keyId }
  if (!(await addTemplateVersion(db, row))) throw changedMeanwhile()
  log.info("template_saved", { companyId, keyId, version })
  return row
}

/** A version as the API shows it. */
export const showTemplate = ({ createdAt, createdBy, ...row }: TemplateRow) => ({
  ...row,
  savedAt: createdAt.toISOString(),
  savedBy: createdBy,
})
