/** Models for upload, and customers that can be scored. */
import { createHash } from "node:crypto"
import { modelFeatures } from "../../../shared/domain/scoring/features.ts"
import type { Artefact, ModelFeature } from "../../../shared/scoring/model/artefact.ts"
import { envelope, fresh, sendStripe } from "../events/providers.ts"
import { api, sql, waitUntilProcessed, worldNow } from "../world/world.ts"
import { artefactOf } from "./models.ts"

/** Metrics that pass every gate. */
const GOOD = { auc: 0.78, prAuc: 0.2, logLoss: 0.12, brier: 0.03, ece: 0.01, accuracy: 0.93, baseRate: 0.1, lift: 4 }

const ROWS = 2_000
const EVENTS = 200

/** A model of a test: its weights by feature, over defaults. */
export interface ModelOptions {
  readonly intercept?: number
  /** Log-odds that a feature's value of 10 adds compared with 0. */
  readonly weights?: Readonly<Record<string, number>>
  readonly metrics?: Partial<typeof GOOD>
  readonly features?: ModelFeature[]
  /** By company, inside the artefact: the older form. */
  readonly offsets?: Record<string, number>
}

/** A small scorecard over features of customers, as text, and its SHA-256. */
export async function modelText(
  options: ModelOptions = {},
): Promise<{ readonly text: string; readonly sha256: string }> {
  const { intercept = -2, weights = { failed_invoices_30d: 20, tenure_days: -0.2, price_class: 0 } } = options
  const features = options.features ?? modelFeatures.filter(({ name }) => Object.hasOwn(weights, name))
  const terms = features.map((feature, input) =>
    feature.type === "number"
      ? {
          ...{ shape: "line" as const, input, knots: [0, 10], values: [0, weights[feature.name] ?? 1] },
          missing: 0.05,
        }
      : { shape: "levels" as const, input, values: feature.levels.map((_, level) => level / 8), missing: 0 },
  )
  const artefact = await artefactOf(features, [
    { weight: 1, model: { kind: "gam", intercept, terms, means: terms.map(() => 0.1) } },
  ])
  const training: Artefact["training"] = {
    ...{ ...artefact.training, rows: ROWS, events: EVENTS },
    metrics: { ...GOOD, ...options.metrics },
    reference: features.map(() => ({ missing: 0, cuts: [1, 2, 3], shares: [0.25, 0.25, 0.25, 0.25] })),
  }
  const confidence = [{ upTo: 1, rows: ROWS, events: EVENTS }]
  const older = options.offsets && { offsets: options.offsets }
  const text = JSON.stringify({ ...artefact, training, confidence, ...older })
  return { text, sha256: createHash("sha256").update(text).digest("hex") }
}

const JSON_TYPE = { "content-type": "application/json" }

/** A call of the API with a JSON body. */
export const send = <T = Record<string, unknown>>(path: string, body: unknown, key?: string) =>
  api<T>(path, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body), ...(key !== undefined && { key }) })

/** Uploads a model. */
export const upload = (text: string, query = "", key?: string) =>
  api<{ id: string; version: string; state: string; scope: string; code?: string; detail?: string }>(
    `/api/models${query}`,
    { method: "POST", headers: JSON_TYPE, body: text, ...(key !== undefined && { key }) },
  )

/** Stores a company's offset for a model. */
export const putOffset = (id: string, logOdds: number, { company, key }: { company?: string; key?: string } = {}) =>
  api(`/api/models/${id}/offset`, {
    method: "PUT",
    headers: { ...JSON_TYPE, ...(company !== undefined && { "x-company-id": company }) },
    body: JSON.stringify({ logOdds, rows: ROWS, madeAt: "2026-01-01T00:00:00.000Z" }),
    ...(key !== undefined && { key }),
  })

/** Uploads and promotes a model; `offset` is the company's. */
export async function champion(
  { offset, ...options }: ModelOptions & { readonly offset?: number } = {},
  scope: "company" | "shared" = "company",
): Promise<string> {
  const { text, sha256 } = await modelText(options)
  const { status } = await upload(text, `?scope=${scope}`)
  if (status !== 201) throw new Error(`the upload was answered ${status}`)
  if (offset !== undefined) await putOffset(sha256, offset)
  const promoted = await send(`/api/models/${sha256}/promote`, { reason: "for this test" })
  if (promoted.status !== 200) throw new Error(`the promotion was answered ${JSON.stringify(promoted.body)}`)
  return sha256
}

/** Creates a member with a paid subscription; returns our id. */
export async function subscriber(customer = fresh("cus"), path = "/api/webhooks/stripe"): Promise<string> {
  const now = await worldNow()
  const seconds = (days: number) => Math.floor((now.getTime() + days * 86_400_000) / 1_000)
  const object = {
    ...{ id: `sub_of_${customer}`, object: "subscription", customer, status: "active", currency: "usd" },
    ...{ cancel_at_period_end: false, cancel_at: null, start_date: seconds(-100) },
    items: {
      object: "list",
      data: [
        {
          ...{ id: `si_of_${customer}`, quantity: 1, current_period_end: seconds(20) },
          price: {
            ...{ id: "price_1", product: "prod_1", unit_amount: 1_999, currency: "usd" },
            recurring: { interval: "month", interval_count: 1, usage_type: "licensed" },
          },
        },
      ],
    },
  }
  const at = new Date(now.getTime() - 60_000)
  const { status } = await sendStripe(envelope("customer.subscription.created", at, fresh("evt"), object), { path })
  if (status !== 200) throw new Error(`the subscription was answered ${status}`)
  await waitUntilProcessed()
  return `stripe_${customer}`
}

/** Ends the member's subscription. */
export async function cancelSubscription(customerId: string): Promise<void> {
  const customer = customerId.replace(/^stripe_/, "")
  const now = await worldNow()
  const ended = Math.floor(now.getTime() / 1_000)
  const object = {
    ...{ id: `sub_of_${customer}`, object: "subscription", customer, status: "canceled", currency: "usd" },
    ...{ cancel_at_period_end: false, cancel_at: null, start_date: ended - 8_640_000, ended_at: ended },
    items: { object: "list", data: [] },
  }
  await sendStripe(envelope("customer.subscription.deleted", now, fresh("evt"), object))
  await waitUntilProcessed()
}

export interface ScoreBody {
  readonly customerId: string
  readonly status: "scored" | "not_scored"
  readonly notScored: { readonly reason: string; readonly needed: number | null } | null
  readonly source: "model" | "rules" | null
  readonly model: { readonly id: string; readonly version: string } | null
  readonly modelVersion: string
  readonly probability: number
  readonly interval: { readonly low: number; readonly high: number }
  readonly riskLevel: string
  readonly logOdds: number
  readonly base: number
  readonly reasons: readonly { readonly code: string; readonly label: string; readonly logOdds: number }[]
  readonly change: {
    readonly since: string
    readonly logOdds: number
    readonly isOtherModel: boolean
    readonly reasons: readonly { readonly code: string; readonly logOdds: number }[]
  } | null
  readonly coverage: number
  readonly confidence: number
  readonly isConfident: boolean
  readonly asOf: string
  readonly isStored: boolean
  readonly ignored?: readonly string[]
  readonly unusable?: readonly string[]
}

/** The score of a customer. */
export const scoreOf = async (customerId: string, query = ""): Promise<ScoreBody> =>
  (await api<ScoreBody>(`/api/customers/${customerId}/score${query}`)).body

/** The predictions of a customer, oldest first. */
export const logOf = (customerId: string) =>
  sql<{ trigger: string; is_shadow: boolean; model_sha256: string | null; source: string; as_of: Date }>(
    "select trigger, is_shadow, model_sha256, source, as_of from predictions where customer_id = $1 order by as_of, is_shadow",
    [customerId],
  )
