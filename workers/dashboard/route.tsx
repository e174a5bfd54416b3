/**
 * `/dashboard`: pages for the success team, made on the Worker. Reading needs no script; every change is a form that is sent
 * with POST and answered with a redirect.
 */
import { Hono, type MiddlewareHandler } from "hono"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import { limitBody } from "../platform/http/limit-body.ts"
import type { AppEnv } from "../platform/services.ts"
import { ApiProblem, apiClients } from "./api-client.ts"
import { type DashboardEnv, render } from "./page.tsx"
import { cases } from "./pages/cases.tsx"
import { customers } from "./pages/customers.tsx"
import { events } from "./pages/events.tsx"
import { overview } from "./pages/overview.tsx"
import { requireSameOrigin, signedIn } from "./session.ts"
import { viewerOf } from "./viewer.ts"

/** Forms of the dashboard are small; the largest holds the settings of a company. */
const BODY_BYTES_MAX = 64 * 1024

/** Nothing inline and nothing from elsewhere. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ")

const setPageHeaders: MiddlewareHandler = async (c, next) => {
  c.header("content-security-policy", CONTENT_SECURITY_POLICY)
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
    .use(async (c, next) => {
      const session = await signedIn(c)
      if (session === null) return c.redirect("/dashboard/sign-in", 303)
      const { principal, name } = session
      c.set("viewer", viewerOf(c, principal, name))
      c.set("ask", clientOf(c, { services: c.get("services"), principal, requestId: c.get("requestId") }))
      return next()
    })
    .route("/", overview)
    .route("/cases", cases)
    .route("/customers", customers)
    .route("/events", events)
    .onError((error, c) => {
      if (!(error instanceof ApiProblem)) throw error
      return render(c, error.status as ContentfulStatusCode, {
        title: "This did not work",
        viewer: c.get("viewer"),
        notice: { kind: "refused", text: error.detail },
        children: (
          <p>
            <a href="/dashboard">To the overview</a>
          </p>
        ),
      })
    })
  // Its variables beside those of the API are set by its own middleware.
  return dashboard as unknown as Hono<AppEnv>
}
