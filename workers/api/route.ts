/** `/api/*` for engineers and the success team: who calls, may they, and then the areas, one file each. */
import { Hono } from "hono"
import { matchedRoutes } from "hono/route"
import { AppError } from "../errors.ts"
import type { AppEnv } from "../services.ts"
import { permissionOf, setPrincipal } from "./auth.ts"
import { cases } from "./cases.ts"
import { customers } from "./customers.ts"
import { events } from "./events.ts"
import { reconciliations } from "./reconciliations.ts"
import { settings } from "./settings.ts"
import { summary } from "./summary.ts"

export const api = new Hono<AppEnv>()
  .use(async (c, next) => {
    c.header("cache-control", "no-store")
    // Default deny: a route that declares no permission is not there.
    const isDeclared = matchedRoutes(c).some(({ handler }) => permissionOf(handler) !== null)
    if (!isDeclared) throw new AppError("NOT_FOUND", "There is nothing here.")
    await setPrincipal(c)
    await next()
  })
  .route("/events", events)
  .route("/cases", cases)
  .route("/customers", customers)
  .route("/summary", summary)
  .route("/settings", settings)
  .route("/reconciliations", reconciliations)
