/**
 * `/dashboard`: pages for the success team, made on the Worker. Reading needs no script; every change is a form that is sent
 * with POST, and answered with a redirect.
 */
import { type Context, Hono } from "hono"
import { html } from "hono/html"
import type { Child } from "hono/jsx"
import { secureHeaders } from "hono/secure-headers"
import type { ContentfulStatusCode } from "hono/utils/http-status"
import { RISK_LEVELS } from "../../shared/domain/scoring/health.ts"
import { limitBody } from "../platform/http/limit-body.ts"
import type { AppEnv } from "../platform/services.ts"
import { type ApiClient, ApiProblem, apiClients } from "./api-client.ts"
import { type Notice, Page } from "./layout.tsx"
import { CasePage } from "./pages/case.tsx"
import { CasesPage } from "./pages/cases.tsx"
import { CustomerPage, CustomersPage } from "./pages/customers.tsx"
import { EventsPage } from "./pages/events.tsx"
import { OverviewPage } from "./pages/overview.tsx"
import { requireSameOrigin, signedIn } from "./session.ts"
import { type Viewer, viewerOf } from "./viewer.ts"

interface DashboardEnv {
  Bindings: AppEnv["Bindings"]
  Variables: AppEnv["Variables"] & { viewer: Viewer; ask: ApiClient }
}

type DashboardContext = Context<DashboardEnv>

/** Forms of the dashboard are small; the largest holds the settings of a company. */
const BODY_BYTES_MAX = 64 * 1024

/** Rows of a list on one page. */
const ROWS = 50

/** Results of actions, by the word that the redirect carries: a link cannot put other words into a page. */
const DONE: Readonly<Record<string, string>> = {
  nudged: "The message is on its way.",
  closed: "The case is closed.",
  replayed: "The event was processed again.",
  released: "The quarantine has ended.",
}

const pageHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    scriptSrc: ["'self'"],
    connectSrc: ["'self'"],
    formAction: ["'self'"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
  },
  referrerPolicy: "same-origin",
})

/** The dashboard; `api` are the routes below `/api`, which its pages call. */
export function dashboardOf(api: Hono<AppEnv>): Hono<AppEnv> {
  const clientOf = apiClients(api)
  const dashboard = new Hono<DashboardEnv>()
    .use(pageHeaders)
    .use(requireSameOrigin)
    .use(limitBody(BODY_BYTES_MAX))
    .use(async (c, next) => {
      c.header("cache-control", "no-store")
      const session = await signedIn(c)
      if (session === null) return c.redirect("/dashboard/sign-in", 303)
      const { principal, name } = session
      c.set("viewer", viewerOf(c, principal, name))
      c.set("ask", clientOf(c, { services: c.get("services"), principal, requestId: c.get("requestId") }))
      return next()
    })
    .get("/", async (c) => {
      const ask = c.get("ask")
      const [summary, open, atRisk] = await Promise.all([
        ask("GET /api/summary"),
        ask("GET /api/cases", { query: { status: "open", limit: 8 } }),
        ask("GET /api/customers", { query: { riskLevel: "high", limit: 8 } }),
      ])
      return show(
        c,
        "Overview",
        "/dashboard",
        <OverviewPage {...frameOf(c)} summary={summary} open={open.data} atRisk={atRisk.data} />,
      )
    })
    .get("/cases", async (c) => {
      const query = c.req.query()
      const cases = await c.get("ask")("GET /api/cases", { query: { ...withoutNotice(query), limit: ROWS } })
      return show(c, "Cases", "/dashboard/cases", <CasesPage {...frameOf(c)} cases={cases} query={query} />)
    })
    .get("/cases/:id", (c) => showCase(c))
    .post("/cases/:id/nudge", async (c) => {
      const form = await formOf(c)
      return act(c, "nudged", () =>
        c.get("ask")("POST /api/cases/:id/nudge", {
          params: { id: c.req.param("id") },
          body: { ...(form.channel && { channel: form.channel }), overrideHoldout: form.overrideHoldout === "yes" },
          idempotencyKey: form.key ?? "",
        }),
      )
    })
    .post("/cases/:id/close", (c) =>
      act(c, "closed", () => c.get("ask")("POST /api/cases/:id/close", { params: { id: c.req.param("id") } })),
    )
    .get("/customers", async (c) => {
      const query = c.req.query()
      const customers = await c.get("ask")("GET /api/customers", { query: { ...withoutNotice(query), limit: ROWS } })
      const page = <CustomersPage {...frameOf(c)} customers={customers} riskLevels={RISK_LEVELS} query={query} />
      return show(c, "Customers", "/dashboard/customers", page)
    })
    .get("/customers/:id", async (c) => {
      const ask = c.get("ask")
      const id = c.req.param("id")
      const [customer, cases, scores] = await Promise.all([
        ask("GET /api/customers/:id", { params: { id } }),
        ask("GET /api/cases", { query: { customerId: id, limit: ROWS } }),
        ask("GET /api/customers/:id/scores", { params: { id }, query: { limit: 20 } }),
      ])
      const page = <CustomerPage {...frameOf(c)} customer={customer} cases={cases.data} scores={scores.data} />
      return show(c, customer.name ?? customer.providerCustomerId, "/dashboard/customers", page)
    })
    .get("/events", async (c) => {
      const query = c.req.query()
      const events = await c.get("ask")("GET /api/events", { query: { ...withoutNotice(query), limit: ROWS } })
      return show(c, "Events", "/dashboard/events", <EventsPage {...frameOf(c)} events={events} query={query} />)
    })
    .post("/events/:id/replay", (c) =>
      act(c, "replayed", () => c.get("ask")("POST /api/events/:id/replay", { params: { id: c.req.param("id") } })),
    )
    .onError((error, c) => {
      if (!(error instanceof ApiProblem)) throw error
      const viewer: Viewer | undefined = c.get("viewer")
      return render(c, error.status as ContentfulStatusCode, {
        title: "This did not work",
        ...(viewer && { viewer }),
        notice: { kind: "refused", text: error.detail },
        children: (
          <p>
            <a href="/dashboard">To the overview</a>
          </p>
        ),
      })
    })
  // Its own variables are set by its own middleware; nothing outside sees them.
  return dashboard as unknown as Hono<AppEnv>
}

const frameOf = (c: DashboardContext) => ({ viewer: c.get("viewer"), now: c.get("services").now() })

const withoutNotice = ({ done: _, ...query }: Readonly<Record<string, string>>) => query

async function showCase(c: DashboardContext): Promise<Response> {
  const services = c.get("services")
  const one = await c.get("ask")("GET /api/cases/:id", { params: { id: c.req.param("id") ?? "" } })
  return show(c, "Case", "/dashboard/cases", <CasePage {...frameOf(c)} one={one} formKey={services.newId()} />)
}

/** Does something, and goes back to the page that it was asked from. */
async function act(c: DashboardContext, done: string, perform: () => Promise<unknown>): Promise<Response> {
  await perform()
  const back = new URL(c.req.header("referer") ?? "/dashboard", c.req.url)
  const path = back.origin === new URL(c.req.url).origin ? back.pathname : "/dashboard"
  return c.redirect(`${path}?done=${done}`, 303)
}

const formOf = async (c: DashboardContext): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries([...(await c.req.formData())].map(([name, value]) => [name, String(value)]))

const show = (c: DashboardContext, title: string, at: string, children: Child) => {
  const done = DONE[c.req.query("done") ?? ""]
  return render(c, 200, {
    ...{ title, at, viewer: c.get("viewer"), children },
    notice: done === undefined ? null : { kind: "done", text: done },
  })
}

const render = (
  c: DashboardContext,
  status: ContentfulStatusCode,
  page: {
    readonly title: string
    readonly viewer?: Viewer
    readonly at?: string
    readonly notice: Notice | null
    readonly children: Child
  },
) => c.html(html`<!doctype html>${<Page {...page} />}`, status)
