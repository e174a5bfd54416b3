/**
 * `/api/branding`: how a company's e-mails and members' pages look. Every save is a version; an operator approves those of
 * companies that use the deployment's sender.
 */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { addBrandingVersion, addLogo, type BrandingRow, findLogo } from "../../db/queries/messaging/branding.ts"
import { decodeBase64, sha256, toHex } from "../../shared/crypto/bytes.ts"
import { type StoredBranding, shownBranding } from "../../shared/domain/messaging/branding.ts"
import { EXAMPLE, exampleLinks } from "../../shared/domain/messaging/example.ts"
import { brandOf } from "../../shared/domain/messaging/messages/clean.ts"
import {
  coloursOf,
  contrastOf,
  DARK_BACKGROUND,
  DEFAULT_ACCENT,
  LIGHT_BACKGROUND,
} from "../../shared/domain/messaging/messages/colours.ts"
import { type Logo, logoPath, readLogo } from "../../shared/domain/messaging/messages/logo.ts"
import { type Branding, type Look, lookOf } from "../../shared/domain/messaging/messages/look.ts"
import { renderNudge } from "../../shared/domain/messaging/messages.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { type ShownCompany, shownCompany } from "../platform/shown-company.ts"
import { type PageTexts, pageTextsFor } from "../recovery/members/i18n.ts"
import { pageHtml } from "../recovery/members/page.ts"
import { brandingChange, brandingFields, LOGO_BODY_BYTES_MAX, logoUpload } from "./branding-schema.ts"

const NOTHING: Branding = { logo: null, accent: null, signature: null, replyTo: null, postalAddress: null }

export const branding = new Hono<AppEnv>()
  .get("/", withPermission("settings:read"), async (c) => {
    const { stored, isTrusted } = await existing(c)
    return c.json(showBranding(c, stored, isTrusted))
  })
  .put("/", withPermission("templates:write"), validJson(brandingChange), async (c) => {
    const { stored, isTrusted } = await existing(c)
    const { version, ...chosen } = c.req.valid("json")
    requireNewest(stored, version)
    const saved = await save(c, version + 1, { ...chosen, logo: await logoOf(c, chosen.logo) })
    return c.json(showBranding(c, saved.isApproved ? both(saved) : { ...stored, newest: saved }, isTrusted))
  })
  .put(
    "/approval",
    withPermission("brands:write"),
    validJson(z.strictObject({ version: z.int().min(1) })),
    async (c) => {
      const { stored, isTrusted } = await existing(c)
      const { version } = c.req.valid("json")
      requireNewest(stored, version)
      if (stored.newest === null || stored.newest.isApproved) return c.json(showBranding(c, stored, isTrusted))
      return c.json(showBranding(c, both(await save(c, version + 1, stored.newest.branding)), isTrusted))
    },
  )
  .post(
    "/logos",
    withPermission("templates:write"),
    validJson(logoUpload, { bytesMax: LOGO_BODY_BYTES_MAX }),
    async (c) => {
      const { db, now } = c.get("services")
      const { companyId, keyId } = c.get("principal")
      const content = decodeBase64(c.req.valid("json").image) ?? new Uint8Array()
      const read = readLogo(content)
      if ("reason" in read) throw new AppError("MALFORMED", `The logo cannot be used: ${read.reason}.`)
      await existing(c)
      const logo = { id: toHex(await sha256(content)), ...read }
      await addLogo(db, { ...logo, companyId, content, createdAt: now(), createdBy: keyId })
      return c.json(showLogo(companyId, logo), 201)
    },
  )
  .post("/preview", withPermission("templates:write"), validJson(brandingFields), async (c) => {
    const chosen = c.req.valid("json")
    const company = await existing(c)
    const look = lookOf({ ...chosen, logo: await logoOf(c, chosen.logo) }, c.get("principal").companyId, "")
    return c.json({ email: emailPreview(c, company, look), page: { html: await pagePreview(company, look) } })
  })

/** The caller's company. Throws NOT_FOUND for an operator who names another one. */
async function existing(c: Context<AppEnv>): Promise<ShownCompany> {
  const company = await shownCompany(c.get("services"), c.get("principal").companyId)
  if (company === null) throw new AppError("NOT_FOUND", "There is no such company.")
  return company
}

function requireNewest({ newest }: StoredBranding, version: number): void {
  if ((newest?.version ?? 0) !== version) throw changedMeanwhile()
}

const changedMeanwhile = (): AppError =>
  new AppError("CONFLICT", "Another user has saved a newer version of the branding. Reload it and change that one.", {
    reason: "stale_form",
  })

/** The first e-mail about a failed payment, with an invented member. */
function emailPreview(c: Context<AppEnv>, { brandName, settings }: ShownCompany, look: Look) {
  const { config, now } = c.get("services")
  const rendered = renderNudge({
    ...{ ...EXAMPLE, channel: "email", caseKind: "payment", ask: "update_card", step: 0, now: now().toISOString() },
    ...{ brandName, supportEmail: settings.supportEmail, look },
    ...exampleLinks(config.appUrl),
  })
  if (rendered === null) throw new Error("an e-mail is never too short for its link")
  const { subject, text, html } = rendered
  return { subject, text, html }
}

/** The page before the payment page. */
async function pagePreview({ brandName }: ShownCompany, look: Look): Promise<string> {
  const company = { brandName: brandOf(brandName), look }
  const content = { content: ({ proceed }: PageTexts) => proceed, button: ({ proceed }: PageTexts) => proceed.button }
  return String(await pageHtml(pageTextsFor("en"), { ...content, company }, "preview"))
}

/** The stored logo with this id. Throws MALFORMED when the company has none. */
async function logoOf(c: Context<AppEnv>, id: string | null): Promise<Logo | null> {
  if (id === null) return null
  const logo = await findLogo(c.get("services").db, c.get("principal").companyId, id)
  if (logo === null) throw new AppError("MALFORMED", "logo: there is no such image. Upload it again.")
  return logo
}

/** Saves a version; an operator's is approved. Throws CONFLICT when somebody else has saved one meanwhile. */
async function save(c: Context<AppEnv>, version: number, chosen: Branding): Promise<BrandingRow> {
  const { db, log, now } = c.get("services")
  const { companyId, keyId, role } = c.get("principal")
  const isApproved = role === "operator"
  const row = { companyId, version, branding: chosen, isApproved, createdAt: now(), createdBy: keyId }
  if (!(await addBrandingVersion(db, row))) throw changedMeanwhile()
  log.info("branding_saved", { companyId, keyId, version })
  return row
}

const both = (row: BrandingRow): StoredBranding<BrandingRow> => ({ newest: row, approved: row })

function showBranding(c: Context<AppEnv>, stored: StoredBranding<BrandingRow>, isTrusted: boolean) {
  const { companyId } = c.get("principal")
  const { newest } = stored
  const { logo, ...chosen } = newest?.branding ?? NOTHING
  const shown = shownBranding(stored, isTrusted)
  return {
    companyId,
    version: newest?.version ?? 0,
    shownVersion: shown?.version ?? null,
    isWaiting: newest !== null && shown !== newest,
    logo: logo && showLogo(companyId, logo),
    ...chosen,
    colours: showColours(chosen.accent ?? DEFAULT_ACCENT),
    savedAt: newest?.createdAt.toISOString() ?? null,
    savedBy: newest?.createdBy ?? null,
  }
}

const showLogo = (companyId: string, logo: Logo) => ({ ...logo, path: logoPath(companyId, logo) })

/** The colours in messages and pages, each with its contrast. */
function showColours(accent: string) {
  const { onAccent, onLight, onDark } = coloursOf(accent)
  const shown = (colour: string, background: string) => ({
    colour,
    contrast: Math.floor(contrastOf(colour, background) * 100) / 100,
  })
  return {
    button: accent,
    buttonText: shown(onAccent, accent),
    onLight: shown(onLight, LIGHT_BACKGROUND),
    onDark: shown(onDark, DARK_BACKGROUND),
  }
}
