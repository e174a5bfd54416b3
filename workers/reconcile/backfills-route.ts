/** `/api/backfills`: imports a company's past from its provider's lists, page by page. */
import { Hono } from "hono"
import * as z from "zod"
import {
  accountsOf,
  type BackfillRow,
  beginBackfill,
  listBackfills,
  readBackfill,
} from "../../db/queries/reconcile/backfills.ts"
import { PROVIDERS, type ProviderName } from "../../shared/domain/facts.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { idText, listOf, pageFields, validId, validJson, validQuery } from "../platform/http/request.ts"
import { companyHasKey } from "../platform/provider-accounts.ts"
import type { AppEnv, Services } from "../platform/services.ts"
import { requireProcessingEnabled } from "../platform/switches.ts"
import { importPage } from "./import-history.ts"

/**
 * Events of the last hour are left to webhooks, which may still arrive: they would be imported as history, for which no
 * nudges are sent.
 */
const LIVE_MS = 60 * 60 * 1000

/** Older than either provider. */
const EARLIEST = new Date("2010-01-01T00:00:00Z")

const moment = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], { error: "expected a date or an instant (ISO 8601)" })
  .transform((text) => new Date(text))
  .refine((date) => date >= EARLIEST, { error: "expected a date from 2010 on" })

const request = z.strictObject({
  provider: z.enum(PROVIDERS),
  since: moment,
  until: moment.optional(),
  account: idText.optional(),
})

export const backfills = new Hono<AppEnv>()
  .get("/", withPermission("reconciliation:read"), validQuery(z.strictObject(pageFields)), async (c) => {
    const { limit, cursor } = c.req.valid("query")
    const page = { limit, after: cursor ?? null }
    return c.json(listOf(await listBackfills(c.get("services").db, c.get("principal").companyId, page), showBackfill))
  })
  .get("/:id", withPermission("reconciliation:read"), validId(), async (c) => {
    const { companyId } = c.get("principal")
    return c.json(showBackfill(await backfillOf(c.get("services"), companyId, c.req.valid("param").id)))
  })
  .post("/", withPermission("reconciliation:run"), validJson(request), async (c) => {
    const services = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { provider, since, until, account: named } = c.req.valid("json")
    const now = services.now()
    const end = new Date(Math.min(until?.getTime() ?? Number.POSITIVE_INFINITY, now.getTime() - LIVE_MS))
    if (since >= end) throw new AppError("MALFORMED", "since must be before until, and more than an hour ago.")

    const account = await accountOf(services, companyId, provider, named)
    const wanted = { companyId, id: services.newId(), provider, account, since, until: end, requestedBy: keyId }
    const { backfill, isNew } = await beginBackfill(services.db, wanted, now)
    if (!isNew && until !== undefined && backfill.until.getTime() !== end.getTime()) {
      throw new AppError("CONFLICT", "A backfill from this date with another end is not finished yet.", {
        reason: "other_end",
      })
    }
    services.log.info("backfill_requested", { companyId, provider, keyId, isNew })
    return c.json(showBackfill(backfill), isNew ? 201 : 200)
  })
  .post(
    "/:id/next",
    withPermission("reconciliation:run"),
    validId(),
    validJson(z.strictObject({}), { isOptional: true }),
    async (c) => {
      const services = c.get("services")
      const { companyId } = c.get("principal")
      const { id } = c.req.valid("param")
      await requireProcessingEnabled(services, companyId)

      const backfill = await backfillOf(services, companyId, id)
      return c.json(showBackfill(backfill.finishedAt === null ? await importPage(services, backfill) : backfill))
    },
  )

async function backfillOf({ db }: Services, companyId: string, id: string): Promise<BackfillRow> {
  const backfill = await readBackfill(db, companyId, id)
  if (backfill === null) throw new AppError("NOT_FOUND", "There is no such backfill.")
  return backfill
}

/**
 * The account whose lists are read; empty: that of the company's own key, or of the deployment's, which belongs to the
 * default company only. Any other company without a key needs a registered account.
 */
async function accountOf(
  services: Services,
  companyId: string,
  provider: ProviderName,
  named: string | undefined,
): Promise<string> {
  const { db, config } = services
  const registered = await accountsOf(db, companyId, provider)
  if (named !== undefined) {
    if (registered.includes(named)) return named
    throw new AppError("CONFLICT", "This account is not one of the company's.", { reason: "foreign_account" })
  }
  if (await companyHasKey(services, companyId, provider)) return ""
  const [only] = registered
  if (companyId === config.access.defaultCompanyId && registered.length === 0) return ""
  if (only !== undefined && registered.length === 1) return only
  throw only === undefined
    ? new AppError("CONFLICT", "No account of this company at the provider is known.", { reason: "no_account" })
    : new AppError("CONFLICT", "The company has several accounts: name one.", { reason: "several_accounts" })
}

/** A backfill as the API shows it. */
const showBackfill = (backfill: BackfillRow) => ({
  id: backfill.id,
  companyId: backfill.companyId,
  provider: backfill.provider,
  account: backfill.account === "" ? null : backfill.account,
  since: backfill.since.toISOString(),
  until: backfill.until.toISOString(),
  imported: backfill.imported,
  known: backfill.known,
  unread: backfill.unread,
  reached: backfill.reached.toISOString(),
  isComplete: backfill.finishedAt !== null,
  startedAt: backfill.startedAt.toISOString(),
  updatedAt: backfill.updatedAt.toISOString(),
  finishedAt: backfill.finishedAt?.toISOString() ?? null,
})
