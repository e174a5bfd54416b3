/** `/api/models`: the model registry. Changes of the serving model pass the quality gates and are recorded with who and why. */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { databaseFailure } from "../../db/client.ts"
import {
  addModel,
  type ChangeResult,
  findModel,
  listModels,
  type ModelChange,
  type ModelChangeAudit,
  type ModelOffset,
  type ModelRow,
  promoteModel,
  rollbackChampion,
  saveOffset,
  setModelState,
} from "../../db/queries/scoring/models.ts"
import { sha256, toHex } from "../../shared/crypto/bytes.ts"
import { canBeForced, type GateReport } from "../../shared/scoring/gates.ts"
import type { Artefact } from "../../shared/scoring/model/artefact.ts"
import { InvalidArtefact } from "../../shared/scoring/model/invalid-artefact.ts"
import { offsetSchema } from "../../shared/scoring/model/offsets.ts"
import { type ModelState, SHARED_COMPANY } from "../../shared/scoring/stored-values.ts"
import { AppError } from "../platform/errors.ts"
import { requirePermission, withPermission } from "../platform/http/auth.ts"
import { limitBody } from "../platform/http/limit-body.ts"
import {
  listOf,
  pageFields,
  reasonText,
  requireJsonType,
  splitPage,
  validId,
  validJson,
  validQuery,
} from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { evaluateModelGates } from "./gates.ts"
import { artefactText, readArtefact } from "./serving.ts"

/** 200 trees of depth 6 take 0.6 MB; our trainers produce less than 150 KB. */
const ARTEFACT_BYTES_MAX = 1024 * 1024

const STATES = ["candidate", "shadow", "champion", "retired"] as const satisfies ModelState[]
const SCOPES = ["company", "shared"] as const

const listQuery = z.lazy(() => z.strictObject({ ...pageFields, state: z.enum(STATES).optional() }))
const uploadQuery = z.lazy(() =>
  z.strictObject({
    scope: z.enum(SCOPES).default("company"),
    version: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "expected up to 64 letters, digits, . _ or -")
      .optional(),
  }),
)
const withReason = z.strictObject({ reason: reasonText })
const promotion = z.lazy(() =>
  z.strictObject({
    reason: reasonText,
    /** Promotes although a gate has failed. */
    force: z.boolean().default(false),
    /** Only evaluates the gates. */
    dryRun: z.boolean().default(false),
  }),
)
/** More rows than any training uses. */
const ROWS_MAX = 1_000_000_000
const offset = z.lazy(() =>
  z.strictObject({
    logOdds: offsetSchema,
    rows: z.int().min(0).max(ROWS_MAX).nullable(),
    madeAt: z.iso.datetime().transform((at) => new Date(at)),
  }),
)
const rollback = z.lazy(() => z.strictObject({ reason: reasonText, scope: z.enum(SCOPES).default("company") }))

export const models = new Hono<AppEnv>()
  .get("/", withPermission("models:read"), validQuery(listQuery), async (c) => {
    const { page, filter } = splitPage(c.req.valid("query"))
    return c.json(listOf(await listModels(c.get("services").db, c.get("principal").companyId, filter, page), showModel))
  })
  .get("/:id", withPermission("models:read"), validId(), async (c) => {
    const { model, changes, offset: own } = await visibleModel(c, c.req.valid("param").id)
    return c.json({ ...showModel(model), offset: own && showOffset(own), changes: changes.map(showChange) })
  })
  .post("/", withPermission("models:write"), validQuery(uploadQuery), limitBody(ARTEFACT_BYTES_MAX), async (c) => {
    const services = c.get("services")
    const { scope, version } = c.req.valid("query")
    const companyId = ownerOf(c, scope)
    requireJsonType(c)
    const bytes = new Uint8Array(await c.req.arrayBuffer())
    const address = toHex(await sha256(bytes))
    const { text, artefact } = await readUpload(bytes, address)
    const { kind, featureHash, training } = artefact
    const { dataHash, reference: _reference, scoreReference: _scoreReference, ...summary } = training
    const model = {
      ...{ companyId, sha256: address, version: version ?? `${kind}-${address.slice(0, 12)}`, kind, featureHash },
      ...{ dataHash, artefact: text, bytes: bytes.byteLength, training: summary },
    }
    const isNew = await addModel(services.db, model, auditOf(c, null)).catch((error: unknown) => {
      if (databaseFailure(error) !== "conflict") throw error
      throw new AppError("CONFLICT", "Another model has this version already.", { cause: error })
    })
    services.log.info("model_uploaded", { companyId, version: model.version, isNew, bytes: model.bytes })
    // Looked up by owner: a company may have its own copy of a shared model.
    const found = await findModel(services.db, companyId, address)
    if (found === null) throw new Error("a model that was kept is gone")
    return c.json(showModel(found.model), isNew ? 201 : 200)
  })
  .post("/rollback", withPermission("models:write"), validJson(rollback), async (c) => {
    const { reason: why, scope } = c.req.valid("json")
    const companyId = ownerOf(c, scope)
    const back = { expected: null, action: "rolled_back" } as const
    return changed(c, companyId, await rollbackChampion(c.get("services").db, companyId, back, auditOf(c, why)))
  })
  .post("/:id/promote", withPermission("models:write"), validId(), validJson(promotion), async (c) => {
    const services = c.get("services")
    const { reason: why, force, dryRun } = c.req.valid("json")
    const { model } = await changeableModel(c, c.req.valid("param").id)
    const { companyId, sha256: address } = model
    const prepared = await readArtefact(model.artefact, address).catch(rejectArtefact)
    const evaluated = await evaluateModelGates(services, companyId, { sha256: address, model: prepared })
    const gates: GateReport = { ...evaluated, isForced: force && !evaluated.isPassed }
    if (dryRun) return c.json({ champion: null, previous: null, isPromoted: false, gates })
    if (gates.isForced) requireForce(c, gates)
    else if (!gates.isPassed) {
      throw new AppError("CONFLICT", "A quality gate is closed.", { reason: "gates_closed", extension: { gates } })
    }
    const result = await promoteModel(services.db, companyId, address, gates, auditOf(c, why))
    if (gates.isForced) services.log.warn("model_forced", { companyId, version: model.version })
    return changed(c, companyId, result, { isPromoted: true, gates })
  })
  .post("/:id/shadow", withPermission("models:write"), validId(), validJson(withReason), async (c) => {
    const { reason: why } = c.req.valid("json")
    const { model } = await changeableModel(c, c.req.valid("param").id)
    const prepared = await readArtefact(model.artefact, model.sha256).catch(rejectArtefact)
    const { gates } = await evaluateModelGates(c.get("services"), model.companyId, {
      sha256: model.sha256,
      model: prepared,
    })
    if (gates.some(({ name, status }) => name === "schema" && status !== "pass")) {
      throw new AppError("CONFLICT", "The model asks for features that customers are not described by.")
    }
    const { db } = c.get("services")
    return changed(
      c,
      model.companyId,
      await setModelState(db, model.companyId, model.sha256, "shadow", auditOf(c, why)),
    )
  })
  .put("/:id/offset", withPermission("models:write"), validId(), validJson(offset), async (c) => {
    const { db, log, now } = c.get("services")
    const { companyId, keyId } = c.get("principal")
    const { model } = await changeableModel(c, c.req.valid("param").id)
    const stored = { ...c.req.valid("json"), companyId, sha256: model.sha256, storedAt: now(), storedBy: keyId }
    await saveOffset(db, stored)
    log.info("model_offset_stored", { companyId, keyId, version: model.version })
    return c.json(showOffset(stored))
  })
  .post("/:id/retire", withPermission("models:write"), validId(), validJson(withReason), async (c) => {
    const { reason: why } = c.req.valid("json")
    const { model } = await changeableModel(c, c.req.valid("param").id)
    const { db } = c.get("services")
    return changed(
      c,
      model.companyId,
      await setModelState(db, model.companyId, model.sha256, "retired", auditOf(c, why)),
    )
  })

/** The company whose models are changed. Shared models need the operator's permission. */
function ownerOf(c: Context<AppEnv>, scope: (typeof SCOPES)[number]): string {
  if (scope === "company") return c.get("principal").companyId
  requirePermission(c.get("principal"), "models:operate")
  return SHARED_COMPANY
}

async function visibleModel(c: Context<AppEnv>, id: string) {
  const found = await findModel(c.get("services").db, c.get("principal").companyId, id)
  if (found === null) throw new AppError("NOT_FOUND", "There is no such model.")
  return found
}

/** A model that the caller may change; throws if they may not. */
async function changeableModel(c: Context<AppEnv>, id: string) {
  const found = await visibleModel(c, id)
  if (found.model.companyId === SHARED_COMPANY) requirePermission(c.get("principal"), "models:operate")
  return found
}

/** Offsets inside a shared model would disclose the ids of companies to every company that reads it. */
const OFFSETS_INSIDE =
  "it holds offsets of companies by their ids, which are stored apart now: npm run model -- push takes them out and stores each for its company"

async function readUpload(bytes: Uint8Array, address: string) {
  try {
    const text = artefactText(bytes)
    const { artefact, offsets } = await readArtefact(text, address)
    if (offsets.size > 0) throw new InvalidArtefact(OFFSETS_INSIDE)
    return { text, artefact: artefact satisfies Artefact }
  } catch (error) {
    if (!(error instanceof InvalidArtefact)) throw error
    throw new AppError("MALFORMED", `The artefact is not acceptable: ${error.message}.`, { cause: error })
  }
}

/** Throws CONFLICT for a stored artefact that cannot be read any more. */
export function rejectArtefact(error: unknown): never {
  if (!(error instanceof InvalidArtefact)) throw error
  throw new AppError("CONFLICT", `The artefact is not acceptable any more: ${error.message}.`, {
    reason: "artefact_refused",
    cause: error,
  })
}

/** An operator may force a promotion with a reason unless gates are strict. The schema gate can never be forced. */
function requireForce(c: Context<AppEnv>, gates: GateReport): void {
  requirePermission(c.get("principal"), "models:operate")
  if (gates.isStrict) {
    throw new AppError("CONFLICT", "Gates are strict: none may be forced.", { extension: { gates } })
  }
  if (!canBeForced(gates)) {
    throw new AppError("CONFLICT", "The model does not fit: that cannot be forced.", { extension: { gates } })
  }
}

const auditOf = (c: Context<AppEnv>, why: string | null): ModelChangeAudit => {
  const { newId, now } = c.get("services")
  return { id: newId(), who: c.get("principal").keyId, why, now: now() }
}

const REFUSALS = {
  not_found: ["NOT_FOUND", "There is no such model."],
  nothing_before: ["CONFLICT", "There is no champion to go back to."],
  moved_on: ["CONFLICT", "Another champion serves by now."],
  is_champion: ["CONFLICT", "The champion cannot be its own shadow: retire it or promote another one."],
  too_many_shadows: ["CONFLICT", "There are as many shadows as there may be: retire one."],
} as const

function changed(c: Context<AppEnv>, companyId: string, result: ChangeResult, more: object = {}) {
  if (result.outcome !== "changed" && result.outcome !== "unchanged") {
    const [code, message] = REFUSALS[result.outcome]
    throw new AppError(code, message, { reason: result.outcome })
  }
  const { outcome, before, after } = result
  const { keyId } = c.get("principal")
  c.get("services").log.info("model_changed", { companyId, outcome, keyId })
  return c.json({ ...more, outcome, champion: after, before })
}

const showModel = (model: ModelRow) => ({
  id: model.sha256,
  version: model.version,
  scope: model.companyId === SHARED_COMPANY ? "shared" : "company",
  companyId: model.companyId === SHARED_COMPANY ? null : model.companyId,
  kind: model.kind,
  state: model.state,
  stateChangedAt: model.stateChangedAt.toISOString(),
  featureHash: model.featureHash,
  dataHash: model.dataHash,
  bytes: model.bytes,
  training: model.training,
  refused: model.refusedAt && { at: model.refusedAt.toISOString(), reason: model.refusedReason },
  createdAt: model.createdAt.toISOString(),
  createdBy: model.createdBy,
})

const showOffset = ({ logOdds, rows, madeAt, storedAt, storedBy }: ModelOffset) => ({
  ...{ logOdds, rows, storedBy },
  madeAt: madeAt.toISOString(),
  storedAt: storedAt.toISOString(),
})

const showChange = ({ id, action, championBefore, championAfter, gates, who, why, at }: ModelChange) => ({
  ...{ id, action, championBefore, championAfter, gates, who, why },
  at: at.toISOString(),
})
