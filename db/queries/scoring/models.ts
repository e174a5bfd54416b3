/** The registry of models: what there is, which of it serves, and who changed that. */
import { and, desc, eq, inArray, sql } from "drizzle-orm"
import type { GateReport } from "../../../shared/scoring/gates.ts"
import { type ModelState, SHARED_COMPANY } from "../../../shared/scoring/stored-values.ts"
import { type Db, inCompany } from "../../client.ts"
import { modelChampions, modelChanges, modelOffsets, models, type TrainingSummary } from "../../schema/scoring.ts"
import { type Page, type PageRequest, pageOf } from "../platform/page.ts"

/** All columns but the artefact, which is large. */
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

/** A model without its artefact. `companyId` is `*` for those that all companies share. */
export type ModelRow = Omit<typeof models.$inferSelect, "artefact">

/** A company's own models and those that all share. */
const visibleTo = (companyId: string) => inArray(models.companyId, [companyId, SHARED_COMPANY])

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

/** Whether a model is called so: by its sha-256 or by its version. */
const isNamed = (name: string) => sql`${name} in (${models.sha256}, ${models.version})`

/** A company's offset for a model, as it is stored. */
export type ModelOffset = typeof modelOffsets.$inferSelect

/**
 * A model with its artefact, its latest changes and the company's own offset, by sha-256 or version; the company's own model
 * comes first. Null: there is none.
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

/** A model is promoted and set aside a few times in its life. */
const CHANGES_SHOWN = 50

export type ModelChange = typeof modelChanges.$inferSelect

/** A model to keep. */
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

/** The company's offset for a model, for a batch of the company; it replaces the one before. */
const offsetStatement = (db: Db, offset: ModelOffset) => {
  const { companyId: _, sha256: __, ...set } = offset
  return db
    .insert(modelOffsets)
    .values(offset)
    .onConflictDoUpdate({ target: [modelOffsets.companyId, modelOffsets.sha256], set })
}

/** Stores what a company adds to a model, in place of what it added before. */
export async function saveOffset(db: Db, offset: ModelOffset): Promise<void> {
  await inCompany(db, offset.companyId, [offsetStatement(db, offset)])
}

/**
 * Keeps a model as a candidate, with the note of it and the owner's offset for it where there is one; false when the model
 * is there already, and then only the offset changes.
 */
export async function addModel(
  db: Db,
  model: NewModel,
  note: ModelChangeAudit,
  offset: Pick<ModelOffset, "logOdds" | "rows" | "madeAt"> | null = null,
): Promise<boolean> {
  const { companyId, sha256 } = model
  const at = note.now.toISOString()
  const [result] = await inCompany(db, model.companyId, [
    db.execute(sql`
      with added as (
        insert into models (company_id, sha256, version, kind, feature_hash, data_hash, artefact, bytes, training, state,
          state_changed_at, created_at, created_by)
        values (${model.companyId}, ${model.sha256}, ${model.version}, ${model.kind}, ${model.featureHash},
          ${model.dataHash}, ${model.artefact}, ${model.bytes}, ${JSON.stringify(model.training)}::jsonb, 'candidate',
          ${at}::timestamptz, ${at}::timestamptz, ${note.who})
        on conflict (company_id, sha256) do nothing returning company_id, sha256)
      insert into model_changes (company_id, id, sha256, action, who, why, at)
      select company_id, ${note.id}::uuid, sha256, 'uploaded', ${note.who}, ${note.why}, ${at}::timestamptz from added
      returning 1`),
    ...(offset === null
      ? []
      : [offsetStatement(db, { ...offset, companyId, sha256, storedAt: note.now, storedBy: note.who })]),
  ])
  return result.rows.length > 0
}

/** What became of a wish to change what serves; `champion…` are sha-256s, null for none. */
export type ChangeResult =
  | { readonly outcome: "changed" | "unchanged"; readonly before: string | null; readonly after: string | null }
  | { readonly outcome: "not_found" | "nothing_before" | "moved_on" | "is_champion" | "too_many_shadows" }

async function change(db: Db, companyId: string, call: ReturnType<typeof sql>): Promise<ChangeResult> {
  const [result] = await inCompany(db, companyId, [db.execute<{ result: ChangeResult }>(sql`select ${call} as result`)])
  const answer = result.rows[0]?.result
  if (!answer) throw new Error("a change of models answered nothing")
  return answer
}

/** Makes a model the champion of its company (`*`: of all), in one transaction with the note of it. */
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
 * Goes back to the champion before this one, in one transaction with the note of it. With `expected`, only while that is
 * the champion. `returned` is said by what does it by itself.
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

/** Each scores whatever the champion scores. */
const SHADOWS_MAX = 2

/** Lets a model score in the champion's shadow, or sets it aside; a champion that is set aside leaves none. */
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

/** Notes that a model was to serve and could not. */
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

/** Why a model is asked: pinned by configuration, champion of the company or of all, the one before it, or only to compare. */
export type ServingRole = "pinned" | "champion" | "previous" | "shared" | "shared_previous" | "shadow"

/** A model that a company may be scored by. */
export interface ServingRow {
  readonly place: ServingRole
  readonly companyId: string
  readonly sha256: string
  readonly version: string
  readonly refusedAt: string | null
  /** What the company adds to it in log-odds, and since when; null: nothing is stored. */
  readonly offset: number | null
  readonly offsetAt: string | null
}

/**
 * The statement that reads what a company is scored by, in the order in which it is to be tried, shadows last; for a batch
 * of the company. A model before the champion only stands in for one.
 */
export const servingStatement = (db: Db, companyId: string, pin: string | null) =>
  db.execute<ServingRow & Record<string, unknown>>(sql`
    select w.place, m.company_id as "companyId", m.sha256, m.version, m.refused_at as "refusedAt",
      o.log_odds as "offset", o.stored_at as "offsetAt"
    from (
      (select 0 as n, 'pinned' as place, p.company_id, p.sha256 from models p
        where ${pin}::text in (p.sha256, p.version) and p.company_id in (${companyId}, ${SHARED_COMPANY})
        order by p.company_id = ${SHARED_COMPANY} limit 1)
      union all
      select case c.company_id when ${SHARED_COMPANY} then 3 else 1 end,
        case c.company_id when ${SHARED_COMPANY} then 'shared' else 'champion' end, c.company_id, c.champion
        from ${modelChampions} c where c.company_id in (${companyId}, ${SHARED_COMPANY})
      union all
      select case c.company_id when ${SHARED_COMPANY} then 4 else 2 end,
        case c.company_id when ${SHARED_COMPANY} then 'shared_previous' else 'previous' end, c.company_id, c.previous
        from ${modelChampions} c where c.company_id in (${companyId}, ${SHARED_COMPANY}) and c.champion is not null
      union all
      select 5, 'shadow', s.company_id, s.sha256 from models s
        where s.state = 'shadow' and s.company_id in (${companyId}, ${SHARED_COMPANY})
    ) as w join models m on m.company_id = w.company_id and m.sha256 = w.sha256
    left join ${modelOffsets} o on o.company_id = ${companyId} and o.sha256 = m.sha256
    order by w.n, m.sha256`)

/** What a company is scored by; see `servingStatement`. */
export async function readServing(db: Db, companyId: string, pin: string | null): Promise<readonly ServingRow[]> {
  const [result] = await inCompany(db, companyId, [servingStatement(db, companyId, pin)])
  return result.rows
}

/** The artefacts of these models as they were uploaded, by sha-256. */
export async function readArtefacts(
  db: Db,
  companyId: string,
  wanted: readonly Pick<ServingRow, "companyId" | "sha256">[],
): Promise<ReadonlyMap<string, string>> {
  const [rows] = await inCompany(db, companyId, [
    db
      .select({ sha256: models.sha256, artefact: models.artefact })
      .from(models)
      .where(
        and(
          visibleTo(companyId),
          inArray(
            models.sha256,
            wanted.map(({ sha256 }) => sha256),
          ),
        ),
      )
      // Where a company has a copy of its own of what all share, its own is the one that is looked at.
      .orderBy(sql`${models.companyId} <> ${SHARED_COMPANY}`),
  ])
  return new Map(rows.map(({ sha256, artefact }) => [sha256, artefact]))
}

/** Scoring over all companies, as monitors ask for it. */
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

/** How scoring is over all companies: counts, and nothing that is one company's. */
export async function readScoringStatus(db: Db, pin: string | null): Promise<ScoringStatus> {
  const result = await db.execute<{ found: ScoringStatus }>(sql`select scoring_in_hand(${pin}) as found`)
  const found = result.rows[0]?.found
  if (!found) throw new Error("scoring_in_hand answered nothing")
  return found
}
