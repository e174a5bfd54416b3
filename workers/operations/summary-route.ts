/** `/api/summary`: current counts of events, cases, nudges and recovered amounts. */
import { Hono } from "hono"
import * as z from "zod"
import { readSummary, type SummaryRows } from "../../db/queries/operations/summary.ts"
import type { Arm } from "../../shared/domain/facts.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validQuery } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { publicNudgeStatus } from "../recovery/cases-route.ts"

export const summary = new Hono<AppEnv>().get(
  "/",
  withPermission("summary:read"),
  validQuery(z.strictObject({})),
  async (c) => {
    return c.json(summarize(await readSummary(c.get("services").db, c.get("principal").companyId)))
  },
)

/** The counts, with zeros for empty groups, so that a client need not know all groups. */
export function summarize({ events, cases, nudges, recovered }: SummaryRows) {
  const totals = {
    events: { received: 0, held: 0, processed: 0, unhandled: 0, failed: 0, dead: 0 },
    cases: noCases(),
    casesByKind: { payment: noCases(), cancellation: noCases(), at_risk: noCases() },
    casesByArm: { treated: noCases(), held_out: noCases(), not_drawn: noCases() },
    nudges: { email: noNudges(), sms: noNudges(), push: noNudges(), dm: noNudges(), slack: noNudges() },
  }
  for (const { status, count } of events) totals.events[status] += count
  for (const { kind, status, arm, count } of cases) {
    totals.cases[status] += count
    totals.casesByKind[kind][status] += count
    totals.casesByArm[arm ?? NOT_ASSIGNED][status] += count
  }
  for (const { channel, status, count } of nudges) totals.nudges[channel][publicNudgeStatus(status)] += count
  const recoveredMinor: Record<string, number> = {}
  const recoveredMinorByArm: Record<Arm | typeof NOT_ASSIGNED, Record<string, number>> = {
    ...{ treated: {}, held_out: {}, not_drawn: {} },
  }
  for (const { currency, arm, amountMinor } of recovered) {
    if (currency === null) continue
    recoveredMinor[currency] = (recoveredMinor[currency] ?? 0) + amountMinor
    recoveredMinorByArm[arm ?? NOT_ASSIGNED][currency] = amountMinor
  }
  return { ...totals, recoveredMinor, recoveredMinorByArm }
}

/** Cases from before the hold-out existed, or imported with a past opening. */
const NOT_ASSIGNED = "not_drawn"

const noCases = () => ({ open: 0, recovered: 0, lost: 0, reversed: 0 })
const noNudges = () => ({ planned: 0, sent: 0, failed: 0, suppressed: 0, unknown: 0 })
