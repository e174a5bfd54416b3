/**
 * `/dashboard`: pages for the success team, made on the Worker. Reading needs no script (one keeps some pages current); every change is a form that is sent
 * with POST and answered with a redirect.
 */
import { Hono, type MiddlewareHandler } from "hono"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import { groupingBatches } from "../../db/client.ts"
import { AppError } from "../platform/errors.ts"
import { errorResponse } from "../platform/http/error-response.ts"
import { limitBody } from "../platform/http/limit-body.ts"
import { enforceApiLimit } from "../platform/limits/companies.ts"
import { type AppEnv, NO_COMPANY } from "../platform/services.ts"
import { ApiProblem, apiClients, type Problem, readProblem } from "./api-client.ts"
import { changes } from "./changes.ts"
import { contentSecurityPolicy, type DashboardContext, type DashboardEnv, formData, render } from "./page.tsx"
import { companies } from "./pages/company/companies.tsx"
import { credentials } from "./pages/company/credentials.tsx"
import { people } from "./pages/company/people.tsx"
import { setUp } from "./pages/company/set-up.tsx"
import { settings } from "./pages/company/settings.tsx"
import { events } from "./pages/operations/events.tsx"
import { flags } from "./pages/operations/flags.tsx"
import { imports } from "./pages/operations/imports.tsx"
import { deadLetters, jobs } from "./pages/operations/jobs.tsx"
import { branding } from "./pages/recovery/branding.tsx"
import { cases } from "./pages/recovery/cases.tsx"
import { customers } from "./pages/recovery/customers.tsx"
import { messages } from "./pages/recovery/messages.tsx"
import { overview } from "./pages/recovery/overview.tsx"
import { templates } from "./pages/recovery/templates.tsx"
import { interventions } from "./pages/retention/interventions.tsx"
import { models } from "./pages/retention/models.tsx"
import { segments } from "./pages/retention/segments.tsx"
import { signIn, signOut, withoutSession } from "./pages/sign-in.tsx"
import { COMPANY_FIELD, Heading } from "./parts/parts.tsx"
import { requireSameOrigin, sessionOf } from "./session.ts"
import { viewerOf } from "./viewer.ts"

/** Forms of the dashboard are small; the largest has a logo of 64 KiB. */
const BODY_BYTES_MAX = 128 * 1024

/** The page of the branding and pages with a script have policies of their own. */
const setPageHeaders: MiddlewareHandler = async (c, next) => {
  c.header("content-security-policy", contentSecurityPolicy())
  c.header("referrer-policy", "same-origin")
  c.header("cache-control", "no-store")
  await next()
}

/** The dashboard; `api` are the routes below `/api`, which its pages call. */
export function dashboardOf(api: Hono<AppEnv>): Hono<AppEnv> {
  const clientOf = apiClients(api)
  const dashboard = new Hono<DashboardEnv>()
    .use(setPageHeaders)
    .use(requireSameOrigin)
    .use(limitBody(BODY_BYTES_MAX))
    .route("/sign-in", signIn)
    .route("/sign-out", signOut)
    .use(async (c, next) => {
      const session = await sessionOf(c)
      if (session === null) return withoutSession(c)
      const { principal } = session
      if (c.req.method === "POST") await requireSameCompany(c, principal.companyId)
      // An operator chooses a company first.
      if (principal.companyId === NO_COMPANY && !c.req.path.startsWith("/dashboard/companies")) {
        return c.redirect("/dashboard/companies", 303)
      }
      await enforceApiLimit(c, principal.companyId)
      c.set("viewer", viewerOf(c, principal))
      const services = c.get("services")
      // What a page asks for at once is read in one round trip; a change has its own.
      const ofPage = c.req.method === "GET" ? { ...services, db: groupingBatches(services.db) } : services
      c.set("ask", clientOf(c, { services: ofPage, principal, requestId: c.get("requestId") }))
      return next()
    })
    .route("/", overview)
    .route("/cases", cases)
    .route("/changes", changes)
    .route("/customers", customers)
    .route("/messages", messages)
    .route("/templates", templates)
    .route("/branding", branding)
    .route("/segments", segments)
    .route("/interventions", interventions)
    .route("/models", models)
    .route("/events", events)
    .route("/imports", imports)
    .route("/jobs", jobs)
    .route("/dead-letters", deadLetters)
    .route("/flags", flags)
    .route("/set-up", setUp)
    .route("/settings", settings)
    .route("/credentials", credentials)
    .route("/people", people)
    .route("/companies", companies)
    // Not `notFound`, which only the app that all routes belong to is asked for.
    .use(async (c) => errorPage(c, { status: 404, detail: "There is no such page." }))
    .onError(async (error, c) =>
      errorPage(c, error instanceof ApiProblem ? error : await readProblem(errorResponse(error, c))),
    )
  // Its variables beside those of the API are set by its own middleware.
  return dashboard as unknown as Hono<AppEnv>
}

/** Throws CONFLICT for a form of a page that showed another company: nothing must happen to the one that is chosen now. */
async function requireSameCompany(c: DashboardContext, companyId: string): Promise<void> {
  const shown = (await formData(c)).get(COMPANY_FIELD)
  if (shown === null || shown === companyId) return
  throw new AppError(
    "CONFLICT",
    "This form is of another company than the one that is chosen now. Nothing was changed.",
    {
      reason: "other_company",
    },
  )
}

const errorPage = (
  c: DashboardContext,
  { status, detail, retryAfter }: Pick<Problem, "status" | "detail"> & Partial<Problem>,
) => {
  if (retryAfter != null) c.header("retry-after", retryAfter)
  return render(c, status as ContentfulStatusCode, {
    title: "Request failed",
    viewer: c.get("viewer"),
    notice: { kind: "refused", text: detail },
    children: (
      <>
        <Heading title="Request failed" />
        <p>
          <a href="/dashboard">To the overview</a>
        </p>
      </>
    ),
  })
}
