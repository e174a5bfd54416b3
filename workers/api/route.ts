/** `/api/*` for engineers and the success team: who calls, may they, and then the areas, one file each. */
import { Hono } from "hono"
import { matchedRoutes } from "hono/route"
import { interventions } from "../interventions/interventions-route.ts"
import { segments } from "../interventions/segments-route.ts"
import { signals, usage } from "../interventions/signals-route.ts"
import { jobsApi } from "../jobs/operator-route.ts"
import { brand } from "../operations/brand-route.ts"
import { flags } from "../operations/flags-route.ts"
import { metricsApi } from "../operations/metrics-route.ts"
import { rebuild } from "../operations/rebuild-route.ts"
import { secrets } from "../operations/secrets-route.ts"
import { settings } from "../operations/settings-route.ts"
import { summary } from "../operations/summary-route.ts"
import { permissionOf, setPrincipal } from "../platform/auth.ts"
import { AppError } from "../platform/errors.ts"
import { enforceApiLimit } from "../platform/limits/companies.ts"
import type { AppEnv } from "../platform/services.ts"
import { backfills } from "../reconcile/backfills-route.ts"
import { reconciliations } from "../reconcile/reconciliations-route.ts"
import { cases } from "../recovery/cases-route.ts"
import { customers } from "../recovery/customers-route.ts"
import { nudges } from "../recovery/nudges-route.ts"
import { healthWeights } from "../scoring/health-weights-route.ts"
import { models } from "../scoring/models-route.ts"
import { monitoring, retrainings, training } from "../scoring/monitoring/monitoring-route.ts"
import { scores } from "../scoring/scores-route.ts"
import { deadLetters } from "../webhooks/dead-letters-route.ts"
import { events } from "../webhooks/events-route.ts"

export const api = new Hono<AppEnv>()
  .use(async (c, next) => {
    c.header("cache-control", "no-store")
    // Default deny: a route that declares no permission is not there.
    const isDeclared = matchedRoutes(c).some(({ handler }) => permissionOf(handler) !== null)
    if (!isDeclared) throw new AppError("NOT_FOUND", "There is nothing here.")
    await setPrincipal(c)
    await enforceApiLimit(c, c.get("principal").companyId)
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
  .route("/figures", metricsApi)
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
