/**
 * The features of a customer: one definition for training, backtest and live scoring. Pure, and without functions whose last
 * bit depends on the machine (only + − × ÷ and comparison), so that the ledger reproduces every stored vector bit for bit.
 */
import type { Instant } from "../facts.ts"
import { paymentFeatures } from "./features/payment.ts"
import { relationshipFeatures } from "./features/relationship.ts"
import {
  FEATURES,
  type FeatureDefinition,
  type FeatureName,
  type Features,
  type FeatureValue,
} from "./features/schema.ts"
import { supportFeatures } from "./features/support.ts"
import { tenureFeatures } from "./features/tenure.ts"
import { usageFeatures } from "./features/usage.ts"
import { type LedgerFact, viewOf } from "./features/view.ts"

export type { FeatureName, Features, FeatureValue, LedgerFact }

/** The features in the order of a model's inputs, each with its label, group and plausible direction. */
export const featureSchema: readonly (FeatureDefinition & { readonly name: FeatureName })[] = FEATURES

/** The features as a model's artefact names them. */
export const modelFeatures: readonly (
  | { readonly name: string; readonly type: "number" }
  | { readonly name: string; readonly type: "category"; readonly levels: string[] }
)[] = featureSchema.map(({ name, levels }) =>
  levels ? { name, type: "category", levels: [...levels] } : { name, type: "number" },
)

/**
 * The features of a customer as known at `asOf`, from the ledger: only facts that occurred before and were known by then
 * count, each once, in any order.
 */
export function features(ledger: readonly LedgerFact[], asOf: Instant): Features {
  const view = viewOf(ledger, asOf)
  return {
    ...tenureFeatures(view),
    ...paymentFeatures(view),
    ...usageFeatures(view),
    ...supportFeatures(view),
    ...relationshipFeatures(view),
  }
}

/** The values in the order of the schema. */
export const vectorOf = (values: Features): FeatureValue[] => FEATURES.map(({ name }) => values[name])
