/** A path that exists, called with a method that it does not have, is answered 405 with the methods that it has. */
import type { Context, Hono, MiddlewareHandler } from "hono"
import { matchedRoutes } from "hono/route"
import { AppError } from "../errors.ts"
import type { AppEnv } from "../services.ts"

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const

/** The middleware for the routes of `app`, which is asked for once all of them are registered. */
export const refuseOtherMethods =
  (app: () => Hono<AppEnv>): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const allow = isRouted(c) ? [] : methodsOf(app(), c.req.path)
    if (allow.length > 0) {
      throw new AppError("METHOD_NOT_ALLOWED", "This path does not have that method.", {
        headers: { allow: allow.join(", ") },
      })
    }
    await next()
  }

/** Middleware is registered for all methods, a route for one. */
const isRouted = (c: Context<AppEnv>): boolean => matchedRoutes(c).some(({ method }) => method !== "ALL")

/** The methods that a path has; HEAD goes with GET. */
const methodsOf = ({ router }: Hono<AppEnv>, path: string): readonly string[] =>
  METHODS.filter((name) => router.match(name, path)[0].some(([[, { method }]]) => method === name)).flatMap((name) =>
    name === "GET" ? ["GET", "HEAD"] : [name],
  )
