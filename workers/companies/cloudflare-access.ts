/**
 * Cloudflare Access in front of the dashboard: it signs in people by the team's identity provider and adds a token to each
 * request (developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json/). The token counts only
 * when it is signed by the team's keys with RS256 for exactly this application; the header alone proves nothing.
 */
import { createRemoteJWKSet, customFetch, type JWKSCacheInput, jwksCache, jwtVerify } from "jose"
import * as z from "zod"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"

/** While the keys cannot be read, those of the last hour count; then nobody signs in this way. */
const KEYS_MS = 3_600_000
/** A token with an unknown key reads the keys again at most this often. */
const REREAD_MS = 60_000
/** The clocks of two services. */
const TOLERANCE_SECONDS = 30
/** Access's tokens have about 1 000 characters. */
const TOKEN_CHARS_MAX = 8_192

/** The keys of the isolate, as values: a promise of one request must not be awaited by another. */
const keys = new Map<string, JWKSCacheInput>()

const claims = z.object({ email: z.email() })

/**
 * The address that Access has checked. Throws UNAUTHENTICATED unless the token is valid for this application, NOT_FOUND
 * where Access is not configured, UNAVAILABLE while the team's keys cannot be read.
 */
export async function verifyAccessToken({ config, now, outbound }: Services, token: string | null): Promise<string> {
  const { cloudflareAccess } = config.access
  if (cloudflareAccess === null)
    throw new AppError("NOT_FOUND", "There is nothing here.", { reason: "access_not_configured" })
  if (token === null || token.length > TOKEN_CHARS_MAX) throw refused("token_missing")
  const { teamUrl, audience } = cloudflareAccess
  const cached = keys.get(teamUrl) ?? {}
  keys.set(teamUrl, cached)
  let hasFetchFailed = false
  const keySet = createRemoteJWKSet(new URL(`${teamUrl}/cdn-cgi/access/certs`), {
    cacheMaxAge: KEYS_MS,
    cooldownDuration: REREAD_MS,
    [jwksCache]: cached,
    [customFetch]: (url, init) =>
      outbound
        .fetchFor("access")(url, init)
        .catch((error: unknown) => {
          hasFetchFailed = true
          throw error
        }),
  })
  const options = { issuer: teamUrl, audience, algorithms: ["RS256"], requiredClaims: ["exp", "iat"] }
  try {
    const bounds = { currentDate: now(), clockTolerance: TOLERANCE_SECONDS }
    const { payload } = await jwtVerify(token, keySet, { ...options, ...bounds })
    return claims.parse(payload).email
  } catch (error) {
    if (hasFetchFailed) {
      throw new AppError("UNAVAILABLE", "Signing in through Access does not work now.", {
        reason: "keys_unavailable",
        cause: error,
      })
    }
    throw refused("token_refused", error)
  }
}

const refused = (reason: string, cause?: unknown): AppError =>
  new AppError("UNAUTHENTICATED", "The token of Cloudflare Access was not accepted.", { reason, cause })
