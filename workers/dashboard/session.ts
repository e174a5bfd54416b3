/** Who is signed in, and that a change was asked for by a page of ours. */
import type { Context, MiddlewareHandler } from "hono"
import { AppError } from "../platform/errors.ts"
import { authenticate } from "../platform/http/auth.ts"
import type { AppEnv, Principal } from "../platform/services.ts"

export interface Session {
  readonly principal: Principal
  readonly name: string
}

export async function signedIn(c: Context): Promise<Session | null> {
  try {
    const principal = await authenticate(c.get("services"), c.req.raw.headers)
    return { principal, name: principal.keyId }
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

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
