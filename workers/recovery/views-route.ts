/** `/api/views`: filters of the list of cases that a company has given a name, for all of its people. */
import { Hono } from "hono"
import * as z from "zod"
import {
  addSavedView,
  deleteSavedView,
  listSavedViews,
  SAVED_VIEWS_MAX,
  type SavedViewRow,
} from "../../db/queries/recovery/saved-views.ts"
import { AppError } from "../platform/errors.ts"
import { withPermission } from "../platform/http/auth.ts"
import { validId, validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { caseFilters, hasFittingSort, SORT_EXPECTED } from "./case-filters.ts"

const body = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1)
    .max(80)
    .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+$/u, "expected one line of plain text"),
  filter: z
    .strictObject(caseFilters)
    .refine((filter) => Object.keys(filter).length > 0, { error: "expected at least one filter" })
    .refine(hasFittingSort, SORT_EXPECTED),
})

export const views = new Hono<AppEnv>()
  .get("/", withPermission("cases:read"), async (c) => {
    const rows = await listSavedViews(c.get("services").db, c.get("principal").companyId)
    return c.json({ data: rows.map(showView), nextCursor: null })
  })
  .post("/", withPermission("cases:write"), validJson(body), async (c) => {
    const { db, log, newId, now } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { name, filter } = c.req.valid("json")
    const row: SavedViewRow = {
      ...{ companyId, id: newId(), name, createdAt: now(), createdBy: keyId },
      filter: Object.fromEntries(Object.entries(filter).map(([field, value]) => [field, String(value)])),
    }
    const outcome = await addSavedView(db, row)
    if (outcome === "taken") {
      throw new AppError("CONFLICT", "There is a view of that name already.", { reason: "name_taken" })
    }
    if (outcome === "full") {
      throw new AppError("CONFLICT", `A company has at most ${SAVED_VIEWS_MAX} views.`, { reason: "too_many_views" })
    }
    log.info("view_added", { companyId, keyId, viewId: row.id })
    return c.json(showView(row), 201)
  })
  .delete("/:id", withPermission("cases:write"), validId(z.uuid()), async (c) => {
    const { db, log } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { id } = c.req.valid("param")
    if (!(await deleteSavedView(db, companyId, id))) throw new AppError("NOT_FOUND", "There is no such view.")
    log.info("view_deleted", { companyId, keyId, viewId: id })
    return c.body(null, 204)
  })

/** A view as the API shows it; `filter` is the query of `GET /api/cases`. */
const showView = ({ id, name, filter, createdAt, createdBy }: SavedViewRow) => ({
  ...{ id, name, filter, createdBy },
  createdAt: createdAt.toISOString(),
})
