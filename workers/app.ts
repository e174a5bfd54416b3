/** Middleware and routes: the whole surface of the Worker on one page. */
import { Hono } from "hono"
import { secureHeaders } from "hono/secure-headers"
import { companies } from "./companies/companies-route.ts"
import { credentials } from "./companies/credentials-route.ts"
import { keys, operatorKeys } from "./companies/keys-route.ts"
import { people, signIns } from "./companies/people-route.ts"
import { dashboardOf } from "./dashboard/route.tsx"
import { health } from "./health/route.ts"
import { scheduler } from "./health/scheduler.ts"
import { interventions } from "./interventions/interventions-route.ts"
import { segments } from "./interventions/segments-route.ts"
import { signals, usage } from "./interventions/signals-route.ts"
import { jobsApi } from "./jobs/operator-route.ts"
import { jobs } from "./jobs/route.ts"
import { makeServices } from "./make-services.ts"
import { brand } from "./messaging/brand-route.ts"
import { branding } from "./messaging/branding-route.ts"
import { logos } from "./messaging/logos-route.ts"
import { templates } from "./messaging/templates/templates-route.ts"
import { flags } from "./operations/flags-route.ts"
import { metricsApi } from "./operations/metrics-route.ts"
import { overview } from "./operations/overview-route.ts"
import { rebuild } from "./operations/rebuild-route.ts"
import { secrets } from "./operations/secrets-route.ts"
import { settings } from "./operations/settings-route.ts"
import { summary } from "./operations/summary-route.ts"
import { guardApi } from "./platform/http/api-guard.ts"
import { errorResponse, notFoundResponse } from "./platform/http/error-response.ts"
import { refuseOtherMethods } from "./platform/http/refuse-other-methods.ts"
import { countRequest } from "./platform/http/request-metrics.ts"
import type { AppEnv } from "./platform/services.ts"
import { backfills } from "./reconcile/backfills-route.ts"
import { reconciliations } from "./reconcile/reconciliations-route.ts"
import { cases } from "./recovery/cases-route.ts"
import { customers } from "./recovery/customers/customers-route.ts"
import { members } from "./recovery/members/route.ts"
import { nudges } from "./recovery/nudges/nudges-route.ts"
import { views } from "./recovery/views-route.ts"
import { reference } from "./reference/route.ts"
import { healthWeights } from "./scoring/health-weights-route.ts"
import { models } from "./scoring/models-route.ts"
import { monitoring, retrainings, training } from "./scoring/monitoring/monitoring-route.ts"
import { scores } from "./scoring/scores-route.ts"
import { deadLetters } from "./webhooks/replay/dead-letters-route.ts"
import { events } from "./webhooks/replay/events-route.ts"
import { webhooks } from "./webhooks/route.ts"

/** Ids of callers are kept when they are plain; anything else gets one of ours. */
const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/

/** Nothing that we answer is to be run, framed or guessed at; a page that needs more says so itself and is not overruled. */
const headersOfAll = secureHeaders({
  strictTransportSecurity: "max-age=31536000; includeSubDomains",
  xFrameOptions: "DENY",
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
  },
  overwrite: false,
})

/** `/api/*` for engineers and the success team, by capability. Each route declares the permission that it needs. */
export const api = new Hono<AppEnv>()
  .use(guardApi)
  // Webhooks
  .route("/events", events)
  .route("/dead-letters", deadLetters)
  // Recovery
  .route("/cases", cases)
  .route("/views", views)
  .route("/nudges", nudges)
  .route("/customers", customers)
  // Messaging
  .route("/templates", templates)
  .route("/branding", branding)
  // Reconciliation and import
  .route("/reconciliations", reconciliations)
  .route("/backfills", backfills)
  // Scoring
  .route("/score", scores)
  .route("/models", models)
  .route("/models", monitoring)
  .route("/retrainings", retrainings)
  .route("/training", training)
  .route("/settings/health-weights", healthWeights)
  // Interventions
  .route("/interventions", interventions)
  .route("/segments", segments)
  .route("/signals", signals)
  .route("/usage", usage)
  // Companies
  .route("/companies", companies)
  .route("/credentials", credentials)
  .route("/keys", keys)
  .route("/operator-keys", operatorKeys)
  .route("/people", people)
  .route("/sign-ins", signIns)
  // Operations
  .route("/summary", summary)
  .route("/overview", overview)
  .route("/settings/brand", brand)
  .route("/settings", settings)
  .route("/secrets", secrets)
  .route("/flags", flags)
  .route("/jobs", jobsApi)
  .route("/figures", metricsApi)
  .route("/rebuild", rebuild)

/** The Worker's routes. */
export const app: Hono<AppEnv> = new Hono<AppEnv>()
  .use(headersOfAll)
  .use(async (c, next) => {
    const given = c.req.header("x-request-id") ?? ""
    const requestId = REQUEST_ID.test(given) ? given : crypto.randomUUID()
    c.set("requestId", requestId)
    c.set("services", await makeServices(c.env, (work) => c.executionCtx.waitUntil(work), requestId))
    const services = c.get("services")
    const startedAt = services.now()
    await next()
    countRequest(services, { path: c.req.path, status: c.res.status, startedAt })
    c.header("x-request-id", requestId)
  })
  .use(refuseOtherMethods(() => app))
  .route("/api/webhooks", webhooks)
  .route("/api/health", health)
  .route("/api/scheduler", scheduler)
  .route("/jobs", jobs)
  .route("/api", reference)
  .route("/api", api)
  .route("/dashboard", dashboardOf(api))
  .route("/logos", logos)
  .route("/", members)
  .notFound(notFoundResponse)
  .onError(errorResponse)
