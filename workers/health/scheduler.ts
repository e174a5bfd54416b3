/**
 * `/api/scheduler/reminders`: when nudges were last sent, when the next run is, and how many are due. Public, since
 * monitors alert on these counts and they identify nobody.
 */
import { Hono } from "hono"
import { limitRequests } from "../platform/limits/clients.ts"
import { healthLimit } from "../platform/limits/limits.ts"
import type { AppEnv } from "../platform/services.ts"
import { report } from "./check.ts"
import { reminders } from "./checks.ts"

export const scheduler = new Hono<AppEnv>()
  .use(limitRequests(healthLimit))
  .get("/reminders", (c) => report(c, [reminders], { isFresh: true, isPublic: true }))
