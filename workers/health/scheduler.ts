/**
 * `/api/scheduler/reminders`: when nudges were last sent out, when the next round is, and what waits for it. In public with
 * its figures, which count and name nobody: monitors alert on them.
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
