/** `/api/segments`: groups of customers defined by a rule, behind the flag ADVANCED_SEGMENTATION. */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { postgresCode } from "../../db/client.ts"
import { segmentCondition } from "../../db/queries/interventions/segment-rule.ts"
import {
  countCustomers,
  deleteSegment,
  insertSegment,
  listSegments,
  readSegment,
  type SegmentRow,
  updateSegment,
} from "../../db/queries/interventions/segments.ts"
import { type CustomerRow, listCustomers } from "../../db/queries/recovery/customers.ts"
import { RISK_SEGMENTS } from "../../shared/domain/interventions/segments.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { listOf, pageFields, splitPage, validId, validJson, validQuery } from "../platform/http/request.ts"
import type { AppEnv, Services } from "../platform/services.ts"
import { segmentRule } from "./segment-rule.ts"

/** More than a team can manage; more than this points to a wrong use of segments. */
const SEGMENTS_MAX = 200

/** Counting evaluates the rule for each customer, so it stops here. */
const COUNT_MAX = 10_000

const body = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1)
    .max(80)
    .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+$/u, "expected one line of plain text"),
  rule: segmentRule,
})

export const segments = new Hono<AppEnv>()
  .get("/", withPermission("segments:read"), validQuery(z.strictObject(pageFields)), async (c) => {
    const companyId = await companyOf(c)
    const { page } = splitPage(c.req.valid("query"))
    return c.json(listOf(await listSegments(c.get("services").db, companyId, page, builtIn(companyId)), showSegment))
  })
  .post("/", withPermission("segments:write"), validJson(body), async (c) => {
    const { db, log, newId, now } = c.get("services")
    const companyId = await companyOf(c)
    const { keyId } = c.get("principal")
    const at = now()
    const row: SegmentRow = {
      ...{ companyId, id: newId(), ...c.req.valid("json") },
      ...{ createdAt: at, createdBy: keyId, updatedAt: at },
    }
    if (!(await withWriteErrors(insertSegment(db, row, SEGMENTS_MAX)))) {
      throw new AppError("CONFLICT", `A company has at most ${SEGMENTS_MAX} segments.`, { reason: "too_many_segments" })
    }
    log.info("segment_added", { companyId, keyId, segmentId: row.id })
    return c.json(showSegment(row), 201)
  })
  .get("/:id", withPermission("segments:read"), validId(), async (c) =>
    c.json(showSegment(await segmentOf(c, c.req.valid("param").id))),
  )
  .put("/:id", withPermission("segments:write"), validId(), validJson(body), async (c) => {
    const { db, log, now } = c.get("services")
    const { companyId, id } = await ownSegmentOf(c, c.req.valid("param").id)
    const changed = await withWriteErrors(
      updateSegment(db, { companyId, id }, { ...c.req.valid("json"), updatedAt: now() }),
    )
    if (changed === null) throw noSuchSegment()
    log.info("segment_changed", { companyId, keyId: c.get("principal").keyId, segmentId: id })
    return c.json(showSegment(changed))
  })
  .delete("/:id", withPermission("segments:write"), validId(), async (c) => {
    const { db, log } = c.get("services")
    const { companyId, id } = await ownSegmentOf(c, c.req.valid("param").id)
    if (!(await deleteSegment(db, companyId, id))) throw noSuchSegment()
    log.info("segment_deleted", { companyId, keyId: c.get("principal").keyId, segmentId: id })
    return c.body(null, 204)
  })
  .get(
    "/:id/customers",
    withPermission("segments:read"),
    validId(),
    validQuery(z.strictObject(pageFields)),
    async (c) => {
      const { db, now } = c.get("services")
      const { companyId, rule } = await segmentOf(c, c.req.valid("param").id)
      const { page } = splitPage(c.req.valid("query"))
      const condition = segmentCondition(rule, { companyId, now: now() })
      const [found, counted] = await Promise.all([
        listCustomers(db, companyId, { condition }, page),
        countCustomers(db, companyId, condition, COUNT_MAX + 1),
      ])
      const isCountComplete = counted <= COUNT_MAX
      return c.json({
        ...listOf(found, (row) => showMember(companyId, row)),
        count: Math.min(counted, COUNT_MAX),
        isCountComplete,
      })
    },
  )

/** The caller's company. Throws CONFLICT while the feature is off for it. */
async function companyOf(c: Context<AppEnv>): Promise<string> {
  const { companyId } = c.get("principal")
  await requireFeature(c.get("services"), companyId)
  return companyId
}

async function requireFeature({ flags }: Services, companyId: string): Promise<void> {
  if ((await flags()).isOn("ADVANCED_SEGMENTATION", companyId)) return
  throw new AppError("CONFLICT", "Segments are switched off: ADVANCED_SEGMENTATION.", { reason: "switched_off" })
}

const segmentOf = (c: Context<AppEnv>, id: string): Promise<SegmentRow> =>
  requireSegment(c.get("services"), c.get("principal").companyId, id)

/** A segment of a company. Throws CONFLICT while the feature is off for it, NOT_FOUND for an unknown segment. */
export async function requireSegment(services: Services, companyId: string, id: string): Promise<SegmentRow> {
  await requireFeature(services, companyId)
  const known = builtIn(companyId).find((segment) => segment.id === id)
  const segment = known ?? (await readSegment(services.db, companyId, id))
  if (segment === null) throw noSuchSegment()
  return segment
}

/** A segment that may be changed. Throws CONFLICT for a built-in one. */
async function ownSegmentOf(
  c: Context<AppEnv>,
  id: string,
): Promise<{ readonly companyId: string; readonly id: string }> {
  const companyId = await companyOf(c)
  if (RISK_SEGMENTS.some((segment) => segment.id === id)) {
    throw new AppError("CONFLICT", "The segments by risk are the same for everybody.", { reason: "built_in" })
  }
  return { companyId, id }
}

/** The built-in segments by risk level; their date sorts them after all stored ones. */
const builtIn = (companyId: string): SegmentRow[] =>
  RISK_SEGMENTS.map((segment) => ({
    ...{ companyId, ...segment },
    ...{ createdAt: new Date(0), createdBy: "churn-saver", updatedAt: new Date(0) },
  }))

const noSuchSegment = () => new AppError("NOT_FOUND", "There is no such segment.")

const UNIQUE_VIOLATION = "23505"
const FOREIGN_KEY_VIOLATION = "23503"

/** The result of a write. Throws CONFLICT for a name that is in use, NOT_FOUND for a company id that does not exist. */
async function withWriteErrors<T>(write: Promise<T>): Promise<T> {
  try {
    return await write
  } catch (error) {
    const code = postgresCode(error)
    if (code === UNIQUE_VIOLATION) {
      throw new AppError("CONFLICT", "A segment of this name is there already.", { reason: "name_taken" })
    }
    if (code === FOREIGN_KEY_VIOLATION) throw new AppError("NOT_FOUND", "There is no such company.")
    throw error
  }
}

const showSegment = (row: SegmentRow) => ({
  id: row.id,
  companyId: row.companyId,
  name: row.name,
  kind: RISK_SEGMENTS.some(({ id }) => id === row.id) ? "risk" : "rule",
  rule: row.rule,
  createdAt: row.createdAt.toISOString(),
  createdBy: row.createdBy,
  updatedAt: row.updatedAt.toISOString(),
})

/** A customer of a segment without name and address; `/api/customers/:id` returns those to callers with permission. */
const showMember = (companyId: string, row: CustomerRow) => ({
  id: row.id,
  companyId,
  provider: row.provider,
  providerCustomerId: row.providerCustomerId,
  createdAt: row.createdAt.toISOString(),
  timeZone: row.timeZone,
  subscriptions: Object.values(row.subscriptions ?? {}),
  consents: row.consents,
})
