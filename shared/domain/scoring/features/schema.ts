/**
 * The features by name, in the order of a model's inputs. Names are permanent: a feature whose meaning changes gets a new
 * one, because models in use were trained on the old one. None contains an amount, a name or an id of a company, so that one
 * model can serve several companies.
 */
import { PRICE_CLASSES } from "./prices.ts"

/** The group of a feature; the health score has one component per group. */
export type FeatureGroup = "payment" | "usage" | "support" | "relationship" | "tenure"

/** How risk plausibly changes as the feature grows: +1 up, -1 down, 0 either way. */
export type Direction = -1 | 0 | 1

export interface FeatureDefinition {
  readonly name: string
  /** Absent: a number. Else the levels of a category. */
  readonly levels?: readonly string[]
  /** Shown to people; lower case, for use within a sentence. */
  readonly label: string
  readonly group: FeatureGroup
  readonly direction: Direction
}

/** Billing intervals, by the months that one invoice covers. */
export const INTERVALS = ["shorter", "month", "quarter", "half_year", "year", "longer"] as const

export const FEATURES = [
  { name: "tenure_days", label: "days as a paying customer", group: "tenure", direction: 0 },
  { name: "interval", levels: INTERVALS, label: "billing interval", group: "tenure", direction: 0 },
  { name: "days_to_renewal", label: "days until the next renewal", group: "tenure", direction: 0 },
  { name: "long_renewal_due", label: "renewal of a plan longer than a month is due", group: "tenure", direction: 1 },
  { name: "long_plan", label: "plan longer than a month, not up for renewal", group: "tenure", direction: -1 },
  { name: "on_trial", label: "in a trial", group: "tenure", direction: 0 },
  { name: "returns", label: "times come back after leaving", group: "tenure", direction: 0 },

  { name: "payments", label: "invoices paid", group: "payment", direction: 0 },
  { name: "failed_invoices_30d", label: "invoices failed in the last 30 days", group: "payment", direction: 1 },
  { name: "failed_invoices_90d", label: "invoices failed in the last 90 days", group: "payment", direction: 1 },
  { name: "failed_attempts_30d", label: "failed attempts to pay in the last 30 days", group: "payment", direction: 1 },
  {
    name: "unrecovered_invoices_30d",
    label: "invoices failed in the last 30 days and still open",
    group: "payment",
    direction: 1,
  },
  {
    name: "unrecovered_invoices_90d",
    label: "invoices failed in the last 90 days and still open",
    group: "payment",
    direction: 1,
  },
  {
    name: "recovered_invoices_90d",
    label: "failed invoices paid after all in the last 90 days",
    group: "payment",
    direction: 0,
  },
  {
    name: "failure_share_365d",
    label: "share of the year's invoices that failed first",
    group: "payment",
    direction: 1,
  },
  { name: "days_since_failure", label: "days since a payment failed", group: "payment", direction: 0 },
  { name: "new_card_needed", label: "last failure waits for a new payment method", group: "payment", direction: 1 },
  { name: "new_card_90d", label: "new payment method in the last 90 days", group: "payment", direction: 0 },
  { name: "refunds_180d", label: "refunds in the last 180 days", group: "payment", direction: 1 },
  { name: "disputes_365d", label: "disputes in the last year", group: "payment", direction: 1 },
  { name: "price_class", levels: PRICE_CLASSES, label: "price class", group: "payment", direction: 0 },

  { name: "usage_known", label: "usage is known", group: "usage", direction: 0 },
  { name: "usage_4w_ratio", label: "usage of 4 weeks against the 4 before", group: "usage", direction: -1 },
  { name: "usage_8w_ratio", label: "usage of 4 weeks against the 8 before", group: "usage", direction: -1 },
  { name: "usage_2w_ratio", label: "usage of 2 weeks against the 6 before", group: "usage", direction: -1 },
  { name: "usage_life_ratio", label: "usage of 4 weeks against all before", group: "usage", direction: -1 },
  { name: "usage_decline_4w", label: "decline of usage over 4 weeks", group: "usage", direction: 1 },
  { name: "usage_decline_8w", label: "decline of usage against the 8 weeks before", group: "usage", direction: 1 },
  { name: "usage_drop_8w", label: "habit lost against the 8 weeks before", group: "usage", direction: 1 },
  { name: "zero_usage_4w", label: "no usage in 4 weeks", group: "usage", direction: 1 },
  { name: "zero_usage_weeks", label: "weeks without usage among the last 4", group: "usage", direction: 1 },
  { name: "days_since_usage", label: "days since the last use", group: "usage", direction: 1 },

  { name: "tickets_30d", label: "support tickets in the last 30 days", group: "support", direction: 0 },
  { name: "tickets_90d", label: "support tickets in the last 90 days", group: "support", direction: 0 },
  {
    name: "negative_tickets_30d",
    label: "unhappy support tickets in the last 30 days",
    group: "support",
    direction: 1,
  },
  {
    name: "negative_tickets_90d",
    label: "unhappy support tickets in the last 90 days",
    group: "support",
    direction: 1,
  },
  {
    name: "days_since_negative_ticket",
    label: "days since the last unhappy support ticket",
    group: "support",
    direction: 0,
  },
  { name: "open_tickets", label: "support tickets not closed", group: "support", direction: 0 },

  { name: "upgrades_90d", label: "upgrades in the last 90 days", group: "relationship", direction: -1 },
  { name: "upgrades_365d", label: "upgrades in the last year", group: "relationship", direction: -1 },
  { name: "downgrades_30d", label: "downgrades in the last 30 days", group: "relationship", direction: 1 },
  { name: "downgrades_90d", label: "downgrades in the last 90 days", group: "relationship", direction: 1 },
  { name: "downgrades_365d", label: "downgrades in the last year", group: "relationship", direction: 1 },
  { name: "price_change_365d", label: "price against that of a year ago", group: "relationship", direction: 0 },
  { name: "nudges_30d", label: "reminders received in the last 30 days", group: "relationship", direction: 0 },
  { name: "nudges_90d", label: "reminders received in the last 90 days", group: "relationship", direction: 0 },
  { name: "clicks_90d", label: "links followed in the last 90 days", group: "relationship", direction: 0 },
  { name: "opted_out", label: "asked for no more reminders", group: "relationship", direction: 0 },
  { name: "cancel_scheduled", label: "cancellation announced", group: "relationship", direction: 1 },
  {
    name: "withdrawn_cancellations",
    label: "cancellations announced and taken back",
    group: "relationship",
    direction: 0,
  },
  { name: "paused", label: "paused", group: "relationship", direction: 1 },
  { name: "pauses_365d", label: "pauses in the last year", group: "relationship", direction: 0 },
  { name: "discount", label: "discount that runs, in per cent", group: "relationship", direction: 0 },
] as const satisfies readonly FeatureDefinition[]

export type FeatureName = (typeof FEATURES)[number]["name"]

/** A number, a category's level, or null if unknown. */
export type FeatureValue = number | string | null

/** The features of a customer at a moment. */
export type Features = Readonly<Record<FeatureName, FeatureValue>>
