/** `/api/health/*` for monitors: the status for everybody, the measurements with the operator's key. */
import { Hono } from "hono"
import { limitRequests } from "../platform/limits/clients.ts"
import { healthLimit } from "../platform/limits/limits.ts"
import type { AppEnv } from "../platform/services.ts"
import { document, report } from "./check.ts"
import { database, interventions, qstash, redis, reminders, scoring, webhooks } from "./checks.ts"
import { brokenIntegrations, integrations } from "./integrations.ts"

export const health = new Hono<AppEnv>()
  .use(limitRequests(healthLimit))
  .get("/", (c) => report(c, [database, redis, qstash, webhooks, brokenIntegrations]))
  .get("/live", (c) => document(c, "pass", {}))
  .get("/db", (c) => report(c, [database]))
  .get("/redis", (c) => report(c, [redis]))
  .get("/qstash", (c) => report(c, [qstash]))
  .get("/integrations", (c) => report(c, integrations))
  .get("/scoring", (c) => report(c, [scoring]))
  .get("/interventions", (c) => report(c, [interventions]))
  .get("/webhooks", (c) => report(c, [webhooks], { isFresh: true }))
  .get("/scheduler", (c) => report(c, [reminders], { isFresh: true }))
