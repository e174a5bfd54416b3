/** `/api/*` for engineers and the success team: who calls, may they, and then the areas, one file each. */
import { Hono } from "hono"
import { matchedRoutes } from "hono/route"
import { AppError } from "../errors.ts"
import { admitCall } from "../limits/companies.ts"
import type { AppEnv } from "../services.ts"
import { permissionOf, setPrincipal } from "./auth.ts"
import { backfills } from "./backfills.ts"
import { brand } from "./brand.ts"
import { cases } from "./cases.ts"
import { customers } from "./customers.ts"
import { deadLetters } from "./dead-letters.ts"
import { events } from "./events.ts"
import { figures } from "./figures.ts"
import { flags } from "./flags.ts"
import { healthWeights } from "./health-weights.ts"
import { interventions } from "./interventions.ts"
import { jobsApi } from "./jobs.ts"
import { models } from "./models.ts"
import { monitoring, retrainings, training } from "./monitoring.ts"
import { nudges } from "./nudges.ts"
import { rebuild } from "./rebuild.ts"
import { reconciliations } from "./reconciliations.ts"
import { scores } from "./scores.ts"
import { secrets } from "./secrets.ts"
import { segments } from "./segments.ts"
import { settings } from "./settings.ts"
import { signals, usage } from "./signals.ts"
import { summary } from "./summary.ts"

export const api = new Hono<AppEnv>()
  .use(async (c, next) => {
    c.header("cache-control", "no-store")
    // Default deny: a route that declares no permission is not there.
    const isDeclared = matchedRoutes(c).some(({ handler }) => permissionOf(handler) !== null)
    if (!isDeclared) throw new AppError("NOT_FOUND", "There is nothing here.")
    await setPrincipal(c)
    await admitCall(c, c.get("principal").companyId)
    await next()
  })
  .route("/events", events)
  .route("/backfills", backfills)
  .route("/cases", cases)
  .route("/customers", customers)
  .route("/models", models)
  .route("/score", scores)
  .route("/nudges", nudges)
  .route("/summary", summary)
  .route("/figures", figures)
  .route("/segments", segments)
  .route("/interventions", interventions)
  .route("/settings/brand", brand)
  .route("/settings/health-weights", healthWeights)
  .route("/settings", settings)
  .route("/signals", signals)
  .route("/usage", usage)
  .route("/flags", flags)
  .route("/jobs", jobsApi)
  .route("/dead-letters", deadLetters)
  .route("/secrets", secrets)
  .route("/reconciliations", reconciliations)
  .route("/rebuild", rebuild)
  .route("/models", monitoring)
  .route("/retrainings", retrainings)
  .route("/training", training)
