import { Hono } from "hono"
import { expect, test } from "vitest"
import { api } from "./app.ts"
import { AppError, problem } from "./platform/errors.ts"
import { permissionOf } from "./platform/http/auth.ts"
import type { AppEnv, Services } from "./platform/services.ts"

/** Middleware is registered for all methods; what has a method of its own is a route. */
const routes = [...Map.groupBy(api.routes, ({ method, path }) => `${method} ${path}`)].filter(
  ([name]) => !name.startsWith("ALL "),
)

test("every route declares one permission, before its handler", () => {
  expect(routes.length).toBeGreaterThanOrEqual(11)
  for (const [name, handlers] of routes) {
    const permissions = handlers.map(({ handler }) => permissionOf(handler))
    expect(
      permissions.filter((permission) => permission !== null),
      name,
    ).toHaveLength(1)
    expect(permissions.at(0), name).not.toBeNull()
    expect(permissions.at(-1), name).toBeNull()
  }
})

/** They ask with a body. What was asked is logged, as requests are, and nothing that anybody decides by changes. */
const ASKING: ReadonlySet<string> = new Set(["POST /score", "POST /customers/search"])

test("what changes something needs a permission that says so", () => {
  const changing = routes.filter(([route]) => !route.startsWith("GET ") && !ASKING.has(route))
  for (const [name, handlers] of changing) {
    const permission = handlers.map(({ handler }) => permissionOf(handler)).find((declared) => declared !== null)
    expect(permission, name).toMatch(/:(?:write|replay|run)$/)
  }
})

const app = new Hono<AppEnv>()
  .use(async (c, next) => {
    // No database is asked before a key was given.
    c.set("services", {
      config: { access: { adminApiKey: "key", defaultCompanyId: null }, limits: { failedAuthPer5Minutes: 10 } },
      sharedLimit: async () => null,
      now: () => new Date(0),
    } as unknown as Services)
    await next()
  })
  .route("/api", api)
  .onError((error, c) => problem(c, error instanceof AppError ? error : new AppError("INTERNAL", "")))

test.each(routes.map(([name]) => name))("%s is closed without a key", async (name) => {
  const [method = "", path = ""] = name.split(" ")
  const response = await app.request(`/api${path.replace(":id", "3f0e7b1a-9f0b-4c1e-8a53-0d8a2f3c4b5d")}`, { method })
  expect(response.status).toBe(401)
  expect(response.headers.get("www-authenticate")).toBe("Bearer")
  expect(response.headers.get("cache-control")).toBe("no-store")
})

test.each(["/api", "/api/none", "/api//cases", "/api/CASES", "/api/cases/a/b/c", "/api/cases%2f"])(
  "%s is not there, key or none",
  async (path) => {
    expect((await app.request(path, { headers: { authorization: "Bearer key" } })).status).toBe(404)
    expect((await app.request(path)).status).toBe(404)
  },
)
