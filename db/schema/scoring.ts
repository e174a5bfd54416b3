/** Models, champions, and predictions. */
import { boolean, date, doublePrecision, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core"
import type { RiskLevel } from "../../shared/domain/scoring/health.ts"
import type { GateReport } from "../../shared/scoring/gates.ts"
import type { ScoreChange, ScoreParts } from "../../shared/scoring/reasons.ts"
import type {
  ModelAction,
  ModelState,
  NotScored,
  ScoreSource,
  ScoreTrigger,
} from "../../shared/scoring/stored-values.ts"
import { companyId, instant } from "./columns.ts"

/** An artefact's description of its training, without large parts. */
export interface TrainingSummary {
  readonly trainedAt: string
  readonly rows: number
  readonly events: number
  readonly from: string | null
  readonly to: string | null
  readonly label: string
  readonly seed: number
  readonly metrics: Readonly<Record<string, number>>
  readonly notes: Readonly<Record<string, string | number>>
}

export const models = pgTable(
  "models",
  {
    companyId: companyId(),
    sha256: text("sha256").notNull(),
    version: text("version").notNull(),
    kind: text("kind").notNull(),
    featureHash: text("feature_hash").notNull(),
    dataHash: text("data_hash").notNull(),
    artefact: text("artefact").notNull(),
    bytes: integer("bytes").notNull(),
    training: jsonb("training").$type<TrainingSummary>().notNull(),
    state: text("state").$type<ModelState>().notNull(),
    stateChangedAt: instant("state_changed_at").notNull(),
    refusedAt: instant("refused_at"),
    refusedReason: text("refused_reason"),
    createdAt: instant("created_at").notNull(),
    createdBy: text("created_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.sha256] })],
)

export const modelChampions = pgTable("model_champions", {
  companyId: text("company_id").primaryKey(),
  champion: text("champion"),
  previous: text("previous"),
  changedAt: instant("changed_at").notNull(),
})

export const modelChanges = pgTable(
  "model_changes",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    sha256: text("sha256").notNull(),
    action: text("action").$type<ModelAction>().notNull(),
    championBefore: text("champion_before"),
    championAfter: text("champion_after"),
    gates: jsonb("gates").$type<GateReport>(),
    who: text("who").notNull(),
    why: text("why"),
    at: instant("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id] })],
)

/** A company's offset for a shared model. */
export const modelOffsets = pgTable(
  "model_offsets",
  {
    companyId: companyId(),
    sha256: text("sha256").notNull(),
    logOdds: doublePrecision("log_odds").notNull(),
    rows: integer("rows"),
    madeAt: instant("made_at").notNull(),
    storedAt: instant("stored_at").notNull(),
    storedBy: text("stored_by").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.sha256] })],
)

export const predictions = pgTable(
  "predictions",
  {
    companyId: companyId(),
    id: uuid("id").notNull(),
    customerId: text("customer_id").notNull(),
    asOf: instant("as_of").notNull(),
    source: text("source").$type<ScoreSource>().notNull(),
    modelSha256: text("model_sha256"),
    modelVersion: text("model_version").notNull(),
    isShadow: boolean("is_shadow").notNull(),
    trigger: text("trigger").$type<ScoreTrigger>().notNull(),
    probability: doublePrecision("probability").notNull(),
    low: doublePrecision("low").notNull(),
    high: doublePrecision("high").notNull(),
    logOdds: doublePrecision("log_odds").notNull(),
    coverage: doublePrecision("coverage").notNull(),
    confidence: doublePrecision("confidence").notNull(),
    notScored: text("not_scored").$type<NotScored>(),
    parts: jsonb("parts").$type<ScoreParts>(),
    vector: jsonb("vector").$type<Readonly<Record<string, number | string | null>>>().notNull(),
    vectorHash: text("vector_hash").notNull(),
    tookMs: integer("took_ms").notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.id, table.asOf] })],
)

export const customerScores = pgTable(
  "customer_scores",
  {
    companyId: companyId(),
    customerId: text("customer_id").notNull(),
    predictionId: uuid("prediction_id").notNull(),
    asOf: instant("as_of").notNull(),
    source: text("source").$type<ScoreSource>().notNull(),
    modelSha256: text("model_sha256"),
    modelVersion: text("model_version").notNull(),
    probability: doublePrecision("probability").notNull(),
    low: doublePrecision("low").notNull(),
    high: doublePrecision("high").notNull(),
    logOdds: doublePrecision("log_odds").notNull(),
    baseRate: doublePrecision("base_rate").notNull(),
    riskLevel: text("risk_level").$type<RiskLevel>().notNull(),
    coverage: doublePrecision("coverage").notNull(),
    confidence: doublePrecision("confidence").notNull(),
    notScored: text("not_scored").$type<NotScored>(),
    parts: jsonb("parts").$type<ScoreParts>().notNull(),
    change: jsonb("change").$type<ScoreChange>(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.customerId] })],
)

export const rescorePasses = pgTable("rescore_passes", {
  night: date("night").primaryKey(),
  afterCompany: text("after_company").notNull().default(""),
  afterCustomer: text("after_customer").notNull().default(""),
  scored: integer("scored").notNull().default(0),
  notScored: integer("not_scored").notNull().default(0),
  failed: integer("failed").notNull().default(0),
  startedAt: instant("started_at").notNull(),
  updatedAt: instant("updated_at").notNull(),
  finishedAt: instant("finished_at"),
})
