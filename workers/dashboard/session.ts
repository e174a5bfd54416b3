/** The session of a page: its cookie, the company that an operator looks at, and that a change was asked for by a page of ours. */
import type { Context, MiddlewareHandler } from "hono"
import { deleteCookie, getCookie, setCookie } from "hono/cookie"
import { type NewSession, readSession, type Session } from "../companies/sessions.ts"
import { AppError } from "../platform/errors.ts"
import { countingUnknownSessions } from "../platform/limits/clients.ts"
import type { AppEnv } from "../platform/services.ts"

/** With the prefix `__Host-` a cookie is sent to exactly this host, over TLS, and no subdomain can set it. */
const SESSION_COOKIE = "session"
const COMPANY_COOKIE = "company"
const OPTIONS = { prefix: "host", httpOnly: true, sameSite: "Strict", secure: true, path: "/" } as const

const COMPANY_ID = /^[A-Za-z0-9_-]{1,64}$/

/** The valid session of a request; null when nobody is signed in. */
export async function sessionOf<E extends AppEnv>(c: Context<E>): Promise<Session | null> {
  const services = c.get("services")
  const token = getCookie(c, SESSION_COOKIE, "host")
  if (token === undefined) return null
  const chosen = getCookie(c, COMPANY_COOKIE, "host")
  const companyId = chosen !== undefined && COMPANY_ID.test(chosen) ? chosen : null
  return countingUnknownSessions(services, c.req.raw.headers, async () => {
    try {
      return await readSession(services, token, { companyId })
    } catch (error) {
      // The company of the cookie is gone, or not that of a person who signed in since.
      if (!(error instanceof AppError) || error.code === "UNAVAILABLE") throw error
      return readSession(services, token)
    }
  })
}

/** Keeps the session in the browser until it ends. */
export const keepSession = (c: Context, { token, session }: NewSession): void =>
  setCookie(c, SESSION_COOKIE, token, { ...OPTIONS, expires: session.expiresAt })

/** The token of the browser's session; null when it has none. */
export const sessionToken = (c: Context): string | null => getCookie(c, SESSION_COOKIE, "host") ?? null

export function forgetSession(c: Context): void {
  deleteCookie(c, SESSION_COOKIE, OPTIONS)
  deleteCookie(c, COMPANY_COOKIE, OPTIONS)
}

/** The company that an operator looks at from now on. */
export const keepCompany = (c: Context, companyId: string): void => setCookie(c, COMPANY_COOKIE, companyId, OPTIONS)

/**
 * Refuses changes that another site asks for: the cookie is `SameSite=Strict`, and this holds without it. Browsers send at
 * least one of the two headers with every form.
 */
export const requireSameOrigin: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.req.method !== "GET" && c.req.method !== "HEAD") {
    const origin = c.req.header("origin")
    const site = c.req.header("sec-fetch-site")
    const isSame = origin === new URL(c.req.url).origin && (site === undefined || site === "same-origin")
    if (!isSame) throw new AppError("FORBIDDEN", "This form was sent from another site.", { reason: "other_origin" })
  }
  await next()
}
