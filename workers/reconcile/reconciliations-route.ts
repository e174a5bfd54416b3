/** `/api/reconciliations`: reports of the comparisons with providers, and a comparison on request. */
import { Hono } from "hono"
import * as z from "zod"
import { listReconciliations, type ReconciliationRow } from "../../db/queries/reconcile/reconciliation.ts"
import { PROVIDERS } from "../../shared/domain/facts.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { listOf, pageFields, splitPage, validJson, validQuery } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { reconcile, targetsOf } from "./reconcile-accounts.ts"

const KINDS = ["recent", "full", "subscriptions"] as const satisfies ReconciliationRow["kind"][]

/** The client waits for the answer. */
const BUDGET_MS = 20_000

const query = z.lazy(() =>
  z.strictObject({
    ...pageFields,
    cursor: pageFields.cursor.refine((position) => position === undefined || z.uuid().safeParse(position.id).success, {
      error: "expected a nextCursor of this list",
    }),
    provider: z.enum(PROVIDERS).optional(),
    kind: z.enum(KINDS).optional(),
  }),
)

const request = z.strictObject({
  provider: z.enum(PROVIDERS).optional(),
  since: z.iso.datetime({ offset: true }).optional(),
  subscriptions: z.boolean().default(false),
})

export const reconciliations = new Hono<AppEnv>()
  .get("/", withPermission("reconciliation:read"), validQuery(query), async (c) => {
    const { page, filter } = splitPage(c.req.valid("query"))
    const rows = await listReconciliations(c.get("services").db, c.get("principal").companyId, filter, page)
    return c.json(listOf(rows, show))
  })
  .post("/", withPermission("reconciliation:run"), validJson(request, { isOptional: true }), async (c) => {
    const services = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { provider, since, subscriptions } = c.req.valid("json")
    const now = services.now()
    if (since !== undefined && Date.parse(since) >= now.getTime()) {
      throw new AppError("MALFORMED", "The body is not acceptable: since: expected a time that has passed.")
    }
    const targets = (await targetsOf(services)).filter(
      (target) => target.companyId === companyId && (provider === undefined || target.provider === provider),
    )
    if (targets.length === 0) {
      throw new AppError(
        "CONFLICT",
        "No account of this company can be asked: there is no API key, or no account is known.",
        {
          reason: "nothing_to_reconcile",
        },
      )
    }
    const outcome = await reconcile(services, targets, {
      isRequested: true,
      withSubscriptions: subscriptions,
      since: since === undefined ? null : new Date(since).toISOString(),
      untilMs: now.getTime() + BUDGET_MS,
    })
    services.log.info("reconciliation_requested", { companyId, keyId, count: outcome.reports.length })
    if (outcome.reports.length === 0 && outcome.busy > 0) {
      throw new AppError("CONFLICT", "A reconciliation is under way. Please try again.", { reason: "under_way" })
    }
    const { reports, failed, busy, postponed } = outcome
    const isComplete = reports.every((report) => report.isComplete) && failed + busy + postponed === 0
    return c.json({ ...totalsOf(reports), isComplete, data: reports.map(show) })
  })

const COUNTS = ["checked", "missing", "fetched", "outOfReach", "differences", "repaired"] as const

const totalsOf = (reports: readonly ReconciliationRow[]) =>
  Object.fromEntries(COUNTS.map((name) => [name, reports.reduce((sum, report) => sum + report[name], 0)]))

/** A report as the API shows it. */
const show = (report: ReconciliationRow) => ({
  id: report.id,
  companyId: report.companyId,
  provider: report.provider,
  account: report.account === "" ? null : report.account,
  kind: report.kind,
  startedAt: report.startedAt.toISOString(),
  finishedAt: report.finishedAt?.toISOString() ?? null,
  from: report.windowFrom.toISOString(),
  until: report.windowUntil.toISOString(),
  checked: report.checked,
  missing: report.missing,
  fetched: report.fetched,
  outOfReach: report.outOfReach,
  differences: report.differences,
  repaired: report.repaired,
  isComplete: report.isComplete,
  details: report.details,
})
