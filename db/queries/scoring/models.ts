/** The model registry: the models, their states, and the history of changes. */
import { and, desc, eq, inArray, sql } from "drizzle-orm"
import type { GateReport } from "../../../shared/scoring/gates.ts"
import { type ModelState, SHARED_COMPANY } from "../../../shared/scoring/stored-values.ts"
import { type Db, inCompany } from "../../client.ts"
import { modelChanges, modelOffsets, models, type TrainingSummary } from "../../schema/scoring.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

/** All columns except the artefact, which is large. */
const META = {
  companyId: models.companyId,
  sha256: models.sha256,
  version: models.version,
  kind: models.kind,
  featureHash: models.featureHash,
  dataHash: models.dataHash,
  bytes: models.bytes,
  training: models.training,
  state: models.state,
  stateChangedAt: models.stateChangedAt,
  refusedAt: models.refusedAt,
  refusedReason: models.refusedReason,
  createdAt: models.createdAt,
  createdBy: models.createdBy,
}

/** A model without its artefact. `companyId` is `*` for shared models. */
export type ModelRow = Omit<typeof models.$inferSelect, "artefact">

/** A company's own models and the shared ones. */
export const visibleTo = (companyId: string) => inArray(models.companyId, [companyId, SHARED_COMPANY])

/** A page of the models that a company may use, newest first. */
export async function listModels(
  db: Db,
  companyId: string,
  filter: { readonly state?: ModelState | undefined },
  page: PageRequest,
): Promise<Page<ModelRow>> {
  const { after } = page
  const [rows] = await inCompany(db, companyId, [
    db
      .select(META)
      .from(models)
      .where(
        and(
          visibleTo(companyId),
          filter.state && eq(models.state, filter.state),
          after === null
            ? undefined
            : sql`(${models.createdAt}, ${models.sha256}) < (${after.at.toISOString()}::timestamptz, ${after.id})`,
        ),
      )
      .orderBy(desc(models.createdAt), desc(models.sha256))
      .limit(page.limit + 1),
  ])
  return pageOf(rows, page, ({ createdAt, sha256 }) => ({ at: createdAt, id: sha256 }))
}

/** Whether a model has this name: its SHA-256 or its version. */
const isNamed = (name: string) => sql`${name} in (${models.sha256}, ${models.version})`

/** A company's offset for a model, as stored. */
export type ModelOffset = typeof modelOffsets.$inferSelect

/**
 * A model with its artefact, its latest changes and the company's offset, by SHA-256 or version; a company's own model takes
 * precedence. Null: there is none.
 */
export async function findModel(
  db: Db,
  companyId: string,
  name: string,
): Promise<{
  readonly model: ModelRow & { readonly artefact: string }
  readonly changes: readonly ModelChange[]
  readonly offset: ModelOffset | null
} | null> {
  const which = and(visibleTo(companyId), isNamed(name))
  const ownFirst = sql`${models.companyId} = ${SHARED_COMPANY}, ${models.sha256} <> ${name}`
  const [[model], changes, [offset]] = await inCompany(db, companyId, [
    db
      .select({ ...META, artefact: models.artefact })
      .from(models)
      .where(which)
      .orderBy(ownFirst)
      .limit(1),
    db
      .select()
      .from(modelChanges)
      .where(
        sql`(${modelChanges.companyId}, ${modelChanges.sha256}) = (
          select ${models.companyId}, ${models.sha256} from ${models} where ${which} order by ${ownFirst} limit 1)`,
      )
      .orderBy(desc(modelChanges.at), desc(modelChanges.id))
      .limit(CHANGES_SHOWN),
    db
      .select()
      .from(modelOffsets)
      .where(
        and(
          eq(modelOffsets.companyId, companyId),
          sql`${modelOffsets.sha256} = (select ${models.sha256} from ${models} where ${which} order by ${ownFirst} limit 1)`,
        ),
      ),
  ])
  return model === undefined ? null : { model, changes, offset: offset ?? null }
}

/** A model is promoted and retired only a few times. */
const CHANGES_SHOWN = 50

export type ModelChange = typeof modelChanges.$inferSelect

/** A model to store. */
export interface NewModel {
  readonly companyId: string
  readonly sha256: string
  readonly version: string
  readonly kind: string
  readonly featureHash: string
  readonly dataHash: string
  readonly artefact: string
  readonly bytes: number
  readonly training: TrainingSummary
}

/** Who changes a model, why, and when. */
export interface ModelChangeAudit {
  readonly id: string
  readonly who: string
  readonly why: string | null
  readonly now: Date
}

/** The statement that sets a company's offset for a model; unsent. */
const offsetStatement = (db: Db, offset: ModelOffset) => {
  const { companyId: _, sha256: __, ...set } = offset
  return db
    .insert(modelOffsets)
    .values(offset)
    .onConflictDoUpdate({ target: [modelOffsets.companyId, modelOffsets.sha256], set })
}

/** Sets a company's offset for a model. */
export async function saveOffset(db: Db, offset: ModelOffset): Promise<void> {
  await inCompany(db, offset.companyId, [offsetStatement(db, offset)])
}

/**
 * Stores a model as a candidate, with its audit record and the owner's offset if given. False if the model exists already;
 * then only the offset changes.
 */
export async function addModel(
  db: Db,
  model: NewModel,
  audit: ModelChangeAudit,
  offset: Pick<ModelOffset, "logOdds" | "rows" | "madeAt"> | null = null,
): Promise<boolean> {
  const { companyId, sha256 } = model
  const at = audit.now.toISOString()
  const [result] = await inCompany(db, model.companyId, [
    db.execute(sql`
      with added as (
        insert into models (company_id, sha256, version, kind, feature_hash, data_hash, artefact, bytes, training, state,
          state_changed_at, created_at, created_by)
        values (${model.companyId}, ${model.sha256}, ${model.version}, ${model.kind}, ${model.featureHash},
          ${model.dataHash}, ${model.artefact}, ${model.bytes}, ${JSON.stringify(model.training)}::jsonb, 'candidate',
          ${at}::timestamptz, ${at}::timestamptz, ${audit.who})
        on conflict (company_id, sha256) do nothing returning company_id, sha256)
      insert into model_changes (company_id, id, sha256, action, who, why, at)
      select company_id, ${audit.id}::uuid, sha256, 'uploaded', ${audit.who}, ${audit.why}, ${at}::timestamptz from added
      returning 1`),
    ...(offset === null
      ? []
      : [offsetStatement(db, { ...offset, companyId, sha256, storedAt: audit.now, storedBy: audit.who })]),
  ])
  return result.rows.length > 0
}

/** The result of changing what serves. `before` and `after` are the champion's SHA-256, null for none. */
export type ChangeResult =
  | { readonly outcome: "changed" | "unchanged"; readonly before: string | null; readonly after: string | null }
  | { readonly outcome: "not_found" | "nothing_before" | "moved_on" | "is_champion" | "too_many_shadows" }

async function change(db: Db, companyId: string, call: ReturnType<typeof sql>): Promise<ChangeResult> {
  const [result] = await inCompany(db, companyId, [db.execute<{ result: ChangeResult }>(sql`select ${call} as result`)])
  const answer = result.rows[0]?.result
  if (!answer) throw new Error("a change of models answered nothing")
  return answer
}

/** Makes a model the champion of its company (`*`: of all), in one transaction with the audit record. */
export const promoteModel = (
  db: Db,
  companyId: string,
  sha256: string,
  gates: GateReport,
  { id, who, why, now }: ModelChangeAudit,
): Promise<ChangeResult> =>
  change(
    db,
    companyId,
    sql`promote_model(${sha256}, ${id}::uuid, ${JSON.stringify(gates)}::jsonb, ${who}, ${why}, ${now.toISOString()}::timestamptz)`,
  )

/**
 * Rolls back to the previous champion, in one transaction with the audit record. With `expected`, only if that is the
 * champion. The action `returned` marks an automatic rollback.
 */
export const rollbackChampion = (
  db: Db,
  companyId: string,
  { expected, action }: { readonly expected: string | null; readonly action: "rolled_back" | "returned" },
  { id, who, why, now }: ModelChangeAudit,
): Promise<ChangeResult> =>
  change(
    db,
    companyId,
    sql`return_champion(${expected}, ${action}, ${id}::uuid, ${who}, ${why}, ${now.toISOString()}::timestamptz)`,
  )

/** Each shadow scores everything that the champion scores, at the same cost. */
const SHADOWS_MAX = 2

/** Makes a model a shadow or retires it. Retiring the champion leaves no champion. */
export const setModelState = (
  db: Db,
  companyId: string,
  sha256: string,
  state: "shadow" | "retired",
  { id, who, why, now }: ModelChangeAudit,
): Promise<ChangeResult> =>
  change(
    db,
    companyId,
    sql`set_model_state(${sha256}, ${state}, ${SHADOWS_MAX}, ${id}::uuid, ${who}, ${why}, ${now.toISOString()}::timestamptz)`,
  )

/** Records that a model should have served and was refused. */
export async function recordServingRefusal(
  db: Db,
  { companyId, sha256 }: { readonly companyId: string; readonly sha256: string },
  reason: string,
  now: Date,
): Promise<void> {
  await inCompany(db, companyId, [
    db
      .update(models)
      .set({ refusedAt: now, refusedReason: reason })
      .where(and(eq(models.companyId, companyId), eq(models.sha256, sha256))),
  ])
}

/** The status of scoring over all companies, for monitors. */
export interface ScoringStatus {
  readonly champions: number
  readonly refused: number
  readonly shared: string | null
  readonly isPinThere: boolean
  readonly pass: {
    readonly night: string
    readonly scored: number
    readonly not_scored: number
    readonly failed: number
    readonly finished_at: string | null
  } | null
}

/** The status of scoring over all companies: counts only, without data of a company. */
export async function readScoringStatus(db: Db, pin: string | null): Promise<ScoringStatus> {
  const result = await db.execute<{ found: ScoringStatus }>(sql`select scoring_in_hand(${pin}) as found`)
  const found = result.rows[0]?.found
  if (!found) throw new Error("scoring_in_hand answered nothing")
  return found
}
