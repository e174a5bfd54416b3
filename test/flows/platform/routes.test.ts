/**
 * Every route of the API, with every role and from another company. A new route is among them by itself; one with a parameter
 * must say below what it names.
 */
import { beforeAll, expect, test } from "vitest"
import { app } from "../../../workers/app.ts"
import { isAllowed, permissionOf, type Role } from "../../../workers/platform/http/auth.ts"
import { routesOf } from "../../../workers/reference/describe.ts"
import { startBackfill } from "../../support/actions/backfills.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { modelText, upload } from "../../support/models/scoring.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import { api, reset, sql, waitUntilProcessed, world } from "../../support/world/world.ts"

const ROLES = ["success-analyst", "success-manager", "admin"] as const

/** Routes that need a permission; the others have no caller with a role. */
const routes = [...routesOf(app)].flatMap(([name, handlers]) => {
  const permission = handlers.map(({ handler }) => permissionOf(handler)).find((declared) => declared !== null)
  const [method = "", path = ""] = name.split(" ")
  return permission ? [{ name, method, path, permission }] : []
})

/** What the first company has, by its id; filled before the tests. */
const own = {
  event: "",
  case: "",
  customer: "",
  backfill: "",
  segment: "",
  key: "",
  person: "",
  secret: "",
  model: "",
  view: "",
  template: "",
}
type Own = keyof typeof own

const RULE = { field: "optedOut", is: false }

/** What a parameter names, and a body with which the owner's call would succeed. */
const NAMES: Readonly<Record<string, { readonly of: Own; readonly body?: object }>> = {
  "GET /api/events/:id": { of: "event" },
  "GET /api/events/:id/payload": { of: "event" },
  "POST /api/events/:id/replay": { of: "event" },
  "GET /api/cases/:id": { of: "case" },
  "GET /api/cases/:id/messages": { of: "case" },
  "POST /api/cases/:id/nudge": { of: "case" },
  "POST /api/cases/:id/close": { of: "case" },
  "DELETE /api/views/:id": { of: "view" },
  "GET /api/customers/:id": { of: "customer" },
  "POST /api/customers/:id/release": { of: "customer" },
  "GET /api/customers/:id/score": { of: "customer" },
  "GET /api/customers/:id/scores": { of: "customer" },
  "GET /api/customers/:id/milestones": { of: "customer" },
  "GET /api/backfills/:id": { of: "backfill" },
  "POST /api/backfills/:id/next": { of: "backfill" },
  "GET /api/models/:id": { of: "model" },
  "POST /api/models/:id/promote": { of: "model", body: { reason: "x" } },
  "POST /api/models/:id/shadow": { of: "model", body: { reason: "x" } },
  "PUT /api/models/:id/offset": { of: "model", body: { logOdds: 0, rows: null, madeAt: "2026-01-01T00:00:00Z" } },
  "POST /api/models/:id/retire": { of: "model", body: { reason: "x" } },
  "GET /api/models/:id/artefact": { of: "model" },
  "GET /api/models/:id/monitoring": { of: "model" },
  "GET /api/segments/:id": { of: "segment" },
  "PUT /api/segments/:id": { of: "segment", body: { name: "x", rule: RULE } },
  "DELETE /api/segments/:id": { of: "segment" },
  "GET /api/segments/:id/customers": { of: "segment" },
  "GET /api/templates/:id": { of: "template" },
  "PUT /api/templates/:id": { of: "template", body: { words: { subject: "y" }, version: 1 } },
  "POST /api/templates/:id/experiment": {
    of: "template",
    body: { version: 1, variants: [{ name: "x", words: { subject: "y" } }] },
  },
  "POST /api/templates/:id/experiment/end": { of: "template", body: { version: 2 } },
  "POST /api/keys/:id/rotate": { of: "key" },
  "DELETE /api/keys/:id": { of: "key" },
  "PUT /api/people/:id": { of: "person", body: { role: "admin" } },
  "DELETE /api/people/:id": { of: "person" },
  "DELETE /api/secrets/webhooks/:id": { of: "secret", body: { force: true } },
}

/** Paths whose parameter names something of the deployment, or the company itself. */
const NOT_OF_A_COMPANY = [
  "/api/credentials/:kind",
  "/api/flags/:name",
  "/api/jobs/:name",
  "/api/operator-keys/:id",
  "/api/dead-letters/:kind/:id",
]

/** The status of a call, and the sentence of its refusal. */
async function call(method: string, path: string, key: string | null, body?: object, companyId?: string) {
  const response = await fetch(`${world().workerUrl}${path}`, {
    method,
    headers: {
      ...(key !== null && { authorization: `Bearer ${key}` }),
      ...(body && { "content-type": "application/json" }),
      ...(companyId !== undefined && { "x-company-id": companyId }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const isProblem = response.headers.get("content-type")?.includes("problem+json")
  return { status: response.status, detail: isProblem ? String(JSON.parse(text).detail) : null }
}

/** The names of the routes for which a promise is not kept; calls run a few at a time. */
async function broken(
  of: readonly (typeof routes)[number][],
  isKept: (route: (typeof routes)[number]) => Promise<boolean>,
) {
  const names: string[] = []
  const waiting = [...of]
  const work = async () => {
    for (let route = waiting.shift(); route !== undefined; route = waiting.shift()) {
      if (!(await isKept(route))) names.push(route.name)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT_CALLS }, work))
  return names.sort()
}

const CONCURRENT_CALLS = 6

const withoutParameters = (path: string): string => path.replaceAll(/:[A-Za-z]+/g, "nothing")

const keys = new Map<Role, string>()
let otherAdmin = ""
const A = world().companyId

beforeAll(async () => {
  await reset()
  const B = fresh("company")
  await addCompany(B)
  otherAdmin = await newApiKey("admin", B)
  for (const role of ROLES) keys.set(role, await newApiKey(role))

  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const { body } = await failPayment(customer, invoice)
  await waitUntilProcessed()
  Object.assign(own, { event: body.id, case: `payment_${invoice}`, customer: `stripe_${customer}` })
  const admin = keys.get("admin") ?? ""
  const made = async (path: string, fields: object) =>
    (
      await api<{ id: string }>(path, {
        ...{ method: "POST", key: admin, body: JSON.stringify(fields) },
        headers: { "content-type": "application/json" },
      })
    ).body.id
  await setSwitchForAll("ADVANCED_SEGMENTATION", true)
  own.segment = await made("/api/segments", { name: "x", rule: RULE })
  own.view = await made("/api/views", { name: "x", filter: { status: "open" } })
  own.template = await made("/api/templates", { caseKind: "payment", words: { subject: "x" } })
  const model = await upload((await modelText()).text, "?version=own", admin)
  own.model = String(model.body.version)
  own.backfill = (await startBackfill({ provider: "stripe", since: "2026-01-01" })).body.id
  own.key = await made("/api/keys", { name: "x", role: "admin" })
  own.person = await made("/api/people", { email: "ann@example.com", role: "admin" })
  own.secret = await made("/api/secrets/webhooks", { provider: "stripe", secret: "whsec_of_the_first_company_1" })
})

test("every route with a parameter says below whose it is", () => {
  const named = routes.filter(({ path }) => path.includes(":"))
  const unknown = named.filter(
    ({ name, path }) =>
      NAMES[name] === undefined &&
      !path.startsWith("/api/companies/:id") &&
      !NOT_OF_A_COMPANY.some((place) => path.startsWith(place)),
  )
  expect(unknown).toEqual([])
  expect(Object.keys(NAMES).filter((name) => !named.some((route) => route.name === name))).toEqual([])
})

test("no route answers without a key", async () => {
  expect(
    await broken(
      routes,
      async ({ method, path }) => (await call(method, withoutParameters(path), null)).status === 401,
    ),
  ).toEqual([])
})

test.each(ROLES)("every route is refused to a %s without its permission, and otherwise not", async (role) => {
  const isKept = async ({ method, path, permission }: (typeof routes)[number]) => {
    const { status, detail } = await call(method, withoutParameters(path), keys.get(role) ?? "")
    const isRefused = status === 403 && detail === "This key's role does not allow that."
    return isRefused === !isAllowed(role, permission) && status !== 401 && status < 500
  }
  expect(await broken(routes, isKept)).toEqual([])
})

test("no route answers a key of another company that names the first", async () => {
  const isKept = async ({ method, path }: (typeof routes)[number]) =>
    (await call(method, withoutParameters(path), otherAdmin, undefined, A)).status === 403
  expect(await broken(routes, isKept)).toEqual([])
})

test("no route finds anything of the first company for an admin of another", async () => {
  const isKept = async ({ name, method, path }: (typeof routes)[number]) => {
    const { of, body } = NAMES[name] ?? { of: "event" }
    expect([of, own[of]]).not.toEqual([of, ""])
    return (await call(method, path.replace(":id", own[of]), otherAdmin, body)).status === 404
  }
  expect(
    await broken(
      routes.filter(({ name }) => NAMES[name] !== undefined),
      isKept,
    ),
  ).toEqual([])
})

test("after all of that the first company has everything still", async () => {
  const admin = keys.get("admin") ?? ""
  for (const path of [`/api/events/${own.event}`, `/api/cases/${own.case}`, `/api/customers/${own.customer}`]) {
    expect([path, (await api(path, { key: admin })).status]).toEqual([path, 200])
  }
  const kept = await sql<{ n: number }>(
    `select (select count(*) from api_keys where id = $1 and revoked_at is null)
       + (select count(*) from people where id = $2 and removed_at is null)
       + (select count(*) from webhook_secrets where id = $3 and expires_at is null) as n`,
    [own.key, own.person, own.secret],
  )
  expect(Number(kept[0]?.n)).toBe(3)
})
