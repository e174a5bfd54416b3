/** `/api/cases`: list and read recovery cases, send a manual nudge, close a case. */
import { Hono } from "hono"
import * as z from "zod"
import {
  type CaseRow,
  listCases,
  loadStreamOfCase,
  readCase,
  type TimelineEntry,
} from "../../db/queries/recovery/cases.ts"
import type { ChannelName } from "../../shared/domain/facts.ts"
import type { NudgeStatus } from "../../shared/domain/recovery/nudges/nudges.ts"
import { MEMBER_CHANNELS } from "../../shared/domain/settings.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import {
  CURSOR_EXPECTED,
  idText,
  listOf,
  sortedPageFields,
  splitPage,
  validId,
  validJson,
  validQuery,
} from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { actOnCases, BULK_CASES_MAX } from "./bulk-cases.ts"
import { caseFilters, hasFittingSort, SORT_EXPECTED } from "./case-filters.ts"
import { closeCase } from "./close-case.ts"
import { idempotencyKey, sendManualNudge } from "./nudges/manual-nudge.ts"
import { type ReadMessage, readMessages } from "./nudges/read-messages.ts"

/** Enough for a sentence. */
const NOTE_CHARS_MAX = 500

const query = z
  .strictObject({ ...sortedPageFields, ...caseFilters })
  .refine(hasFittingSort, SORT_EXPECTED)
  .refine(({ sort, cursor }) => cursor === undefined || (sort === "amount") === (typeof cursor.at === "number"), {
    path: ["cursor"],
    error: CURSOR_EXPECTED,
  })

const nudgeBody = z.strictObject({
  channel: z.enum(MEMBER_CHANNELS).optional(),
  overrideHoldout: z.boolean().default(false),
})

/** A note may contain personal data, so it is accepted and not stored. */
const closeBody = z.strictObject({ note: z.string().max(NOTE_CHARS_MAX).optional() })

const bulkBody = z.lazy(() =>
  z.strictObject({
    action: z.enum(["nudge", "close"]),
    caseIds: z.array(idText).min(1).max(BULK_CASES_MAX),
    channel: z.enum(MEMBER_CHANNELS).optional(),
    /** Decides and changes nothing. */
    dryRun: z.boolean().default(false),
  }),
)

export const cases = new Hono<AppEnv>()
  .get("/", withPermission("cases:read"), validQuery(query), async (c) => {
    const { page, filter } = splitPage(c.req.valid("query"))
    const { db, now } = c.get("services")
    const found = await listCases(db, c.get("principal").companyId, filter, page)
    return c.json(listOf(found, (row) => showCase(row, now())))
  })
  .get("/:id", withPermission("cases:read"), validId(), async (c) => {
    const found = await readCase(c.get("services").db, c.get("principal").companyId, c.req.valid("param").id)
    if (found === null) throw noSuchCase()
    const { row, nudges, timeline } = found
    return c.json({
      ...showCase(row, c.get("services").now()),
      nudges: nudges.map(showNudge),
      timeline: timeline.map(showFact),
    })
  })
  .get("/:id/messages", withPermission("contacts:read"), validId(), async (c) => {
    const found = await readMessages(c.get("services"), c.get("principal").companyId, c.req.valid("param").id)
    if (found === null) throw noSuchCase()
    return c.json({ data: found.map(showMessage), nextCursor: null })
  })
  .post("/bulk", withPermission("cases:write"), validJson(bulkBody), async (c) => {
    const services = c.get("services")
    const { log } = services
    const { companyId, keyId } = c.get("principal")
    const { action, caseIds, channel = null, dryRun: isDryRun } = c.req.valid("json")
    const key = await idempotencyKey(c.req.header("idempotency-key"), services.now())
    const data = await actOnCases(services, companyId, { action, caseIds, channel, key, isDryRun })
    const event = action === "nudge" ? "nudge_sent_manually" : "case_closed_manually"
    for (const { caseId, outcome } of data) if (outcome === "done") log.info(event, { companyId, caseId, keyId })
    return c.json({ data, nextCursor: null })
  })
  .post(
    "/:id/nudge",
    withPermission("cases:write"),
    validId(),
    validJson(nudgeBody, { isOptional: true }),
    async (c) => {
      const services = c.get("services")
      const { id } = c.req.valid("param")
      const { channel, overrideHoldout } = c.req.valid("json")
      const key = await idempotencyKey(c.req.header("idempotency-key"), services.now())
      const stream = await loadStreamOfCase(services.db, c.get("principal").companyId, id)
      if (stream === null) throw noSuchCase()
      const nudge = await sendManualNudge(services, stream, {
        caseId: id,
        channel: channel ?? null,
        key,
        overrideHoldout,
      })
      services.log.info("nudge_sent_manually", {
        companyId: stream.companyId,
        nudgeId: nudge.id,
        keyId: c.get("principal").keyId,
      })
      return c.json(
        { nudge: showNudge({ ...nudge, dueAt: new Date(nudge.dueAt), sentAt: dateOrNull(nudge.sentAt) }) },
        202,
      )
    },
  )
  .post(
    "/:id/close",
    withPermission("cases:write"),
    validId(),
    validJson(closeBody, { isOptional: true }),
    async (c) => {
      const services = c.get("services")
      const { companyId, keyId } = c.get("principal")
      const { id } = c.req.valid("param")
      const stream = await loadStreamOfCase(services.db, companyId, id)
      if (stream === null) throw noSuchCase()
      await closeCase(services, stream, id)
      services.log.info("case_closed_manually", { companyId, caseId: id, keyId })
      const closed = await readCase(services.db, companyId, id)
      if (closed === null) throw new Error("the closed case is gone")
      return c.json(showCase(closed.row, services.now()))
    },
  )

const noSuchCase = () => new AppError("NOT_FOUND", "There is no such case.")

const dateOrNull = (instant: string | null): Date | null => (instant === null ? null : new Date(instant))

/** A case in the API's format; `customerId` is ours. */
const showCase = (row: CaseRow, now: Date) => ({
  id: row.id,
  companyId: row.companyId,
  kind: row.kind,
  status: row.status,
  provider: row.provider,
  customerId: row.customerId,
  providerCustomerId: row.providerCustomerId,
  subscriptionId: row.subscriptionId,
  invoiceId: row.invoiceId,
  // Without a currency the amount is not known.
  amountMinor: row.currency === null ? null : row.amountMinor,
  currency: row.currency,
  remainingMinor: row.status === "open" ? (row.remainingMinor ?? row.amountMinor) : null,
  recoveredMinor: row.recoveredMinor,
  billing: row.billing ?? "subscription",
  collection: row.collection ?? "automatic",
  paymentInProgress: showPending(row, now),
  declineCode: row.declineCode,
  failureCount: row.failureCount,
  openedAt: row.openedAt.toISOString(),
  closedAt: row.closedAt?.toISOString() ?? null,
  cause: row.cause,
  heldOut: row.arm === "held_out",
  arm: row.arm,
  holdoutPercentage: row.holdoutPercentage,
  risk:
    row.riskProbability === null
      ? null
      : { probability: row.riskProbability, until: row.riskUntil?.toISOString() ?? null },
})

/** A payment in progress, until it succeeds, fails or times out. */
const showPending = ({ paymentPendingSince: since, paymentPendingUntil: until }: CaseRow, now: Date) =>
  since === null || until === null || until <= now ? null : { since: since.toISOString(), until: until.toISOString() }

/** A nudge in the API's format. */
export const showNudge = (nudge: {
  readonly id: string
  readonly step: number | null
  readonly channel: ChannelName
  readonly status: NudgeStatus
  readonly reason: string | null
  readonly attempts: number
  readonly dueAt: Date
  readonly sentAt: Date | null
}) => ({
  id: nudge.id,
  step: nudge.step,
  channel: nudge.channel,
  status: publicNudgeStatus(nudge.status),
  reason: nudge.reason,
  attempts: nudge.attempts,
  dueAt: nudge.dueAt.toISOString(),
  sentAt: nudge.sentAt?.toISOString() ?? null,
})

/** `sending` is internal: clients see `planned` until the nudge is settled. */
export const publicNudgeStatus = (status: NudgeStatus): Exclude<NudgeStatus, "sending"> =>
  status === "sending" ? "planned" : status

const showMessage = ({ nudge, asOf, content, template }: ReadMessage) => ({
  nudgeId: nudge.id,
  step: nudge.step,
  channel: nudge.channel,
  status: nudge.status,
  sentAt: nudge.sentAt,
  asOf,
  subject: content?.subject ?? null,
  text: content?.text ?? null,
  template,
})

const showFact = ({ body, id, occurredAt, recordedAt }: TimelineEntry) => ({
  id,
  occurredAt,
  recordedAt,
  ...body,
})
