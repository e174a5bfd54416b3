/** What every call of the API passes before its route. */
import type { MiddlewareHandler } from "hono"
import { matchedRoutes } from "hono/route"
import { AppError } from "../errors.ts"
import { enforceApiLimit } from "../limits/companies.ts"
import type { AppEnv } from "../services.ts"
import { permissionOf, setPrincipal } from "./auth.ts"

/**
 * Identifies the caller and applies the company's limit. Denies by default: a route that declares no permission is answered
 * NOT_FOUND. Answers are never cached.
 */
export const guardApi: MiddlewareHandler<AppEnv> = async (c, next) => {
  c.header("cache-control", "no-store")
  const permission = matchedRoutes(c)
    .map(({ handler }) => permissionOf(handler))
    .find((declared) => declared !== null)
  if (!permission) throw new AppError("NOT_FOUND", "There is nothing here.")
  // The dashboard calls routes in this process in the name of a person who is signed in, and has counted its page.
  if (c.get("principal") === undefined) {
    await setPrincipal(c, permission)
    await enforceApiLimit(c, c.get("principal").companyId)
  }
  await next()
}
