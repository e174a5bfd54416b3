/** `/logos`: the logos of companies, for e-mails and members' pages. Public; an address names its content. */
import { Hono } from "hono"
import { type LogoRow, readLogoContent } from "../../db/queries/messaging/branding.ts"
import { logoPath } from "../../shared/domain/messaging/messages/logo.ts"
import { TtlCache } from "../../shared/ttl-cache.ts"
import { AppError } from "../platform/errors.ts"
import { limitRequests } from "../platform/limits/clients.ts"
import { logosLimit } from "../platform/limits/limits.ts"
import type { AppEnv } from "../platform/services.ts"

/** Many people open a message within an hour of its sending: one isolate reads a logo once. At most 3 MiB. */
const cache = new TtlCache<LogoRow>({ ttlMs: 3_600_000, entriesMax: 48 })

const COMPANY_ID = /^[A-Za-z0-9_-]{1,64}$/
const FILE = /^([0-9a-f]{64})\.(?:png|jpg)$/

/**
 * Mail programs load it from their own sites, which the same-origin policy of our other answers forbids. Opened by itself it
 * is an image and nothing else.
 */
const HEADERS = {
  "cache-control": "public, max-age=31536000, immutable",
  "cross-origin-resource-policy": "cross-origin",
}

export const logos = new Hono<AppEnv>().get("/:companyId/:file", limitRequests(logosLimit), async (c) => {
  const { db, now } = c.get("services")
  const { companyId, file } = c.req.param()
  const [, id] = FILE.exec(file) ?? []
  const name = `${companyId}/${id}`
  const nowMs = now().getTime()
  const known = cache.get(name, nowMs)
  const logo = known ?? (id && COMPANY_ID.test(companyId) ? await readLogoContent(db, companyId, id) : null)
  if (logo === null || logoPath(companyId, logo) !== c.req.path)
    throw new AppError("NOT_FOUND", "There is no such image.")
  if (known === undefined) cache.set(name, logo, nowMs)
  return c.body(new Uint8Array(logo.content), 200, { ...HEADERS, "content-type": logo.type })
})
