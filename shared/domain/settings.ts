/** What a company can configure about messages to its members, with the defaults. */
import type { ChannelName, Incentive } from "./facts.ts"
import { DEFAULT_MILESTONES, type MilestoneSettings } from "./interventions/milestones.ts"
import { DEFAULT_RISK_POLICY, type RiskPolicy } from "./interventions/risk-policy.ts"
import { type ComponentWeights, MODEL_WEIGHTS, RISK_THRESHOLDS, type RiskThresholds } from "./scoring/health.ts"
import type { CaseKind } from "./state.ts"

/** Channels that reach a member; `slack` reaches the team only. */
export const MEMBER_CHANNELS = ["email", "sms", "push", "dm"] as const satisfies readonly ChannelName[]
export type MemberChannel = (typeof MEMBER_CHANNELS)[number]

/** One step of a playbook: `day` days after the case became known. */
export interface PlaybookStep {
  readonly day: number
  /** A fixed channel, or null: the first of `channelOrder` that can reach the member. `slack` notifies the team. */
  readonly channel: ChannelName | null
  readonly incentive: Incentive | null
}

/** At most `max` messages to one customer within `hours`, over all cases and channels. */
export interface FrequencyCap {
  readonly max: number
  readonly hours: number
}

export interface CompanySettings {
  /** The name that members see; null: the company's name. */
  readonly brandName: string | null
  readonly supportEmail: string | null
  /** Assumed country of phone numbers without a country code (ISO 3166-1 alpha-2). Null: nothing is assumed. */
  readonly country: string | null
  /** Members get no reminder of an invoice that was older than this when its case opened. */
  readonly invoiceAgeDaysMax: number
  /** IANA zone of the company, used where a member's own zone is not known. */
  readonly timeZone: string
  readonly playbooks: Readonly<Record<CaseKind, readonly PlaybookStep[]>>
  readonly channelOrder: readonly MemberChannel[]
  /** Local hours in which members get no message; null: none. */
  readonly quietHours: { readonly start: string; readonly end: string } | null
  readonly frequencyCaps: readonly FrequencyCap[]
  /** At most one incentive per customer within this many days. */
  readonly incentivePeriodDays: number
  /** Notify the team in Slack when a case opens. */
  readonly alertTeam: boolean
  /** Share of new cases that is held out so that lift can be measured, 0 to 50; null: the deployment's. */
  readonly holdoutPercentage: number | null
  /** When members at risk are contacted before they cancel. */
  readonly atRisk: RiskPolicy
  /** The weight of each component of the health; 1: the model's weight. */
  readonly healthWeights: ComponentWeights
  /** The multiples of the base rate from which a customer is at medium, high and critical risk. */
  readonly riskThresholds: RiskThresholds
  readonly milestones: MilestoneSettings
}

const step = (day: number): PlaybookStep => ({ day, channel: null, incentive: null })

/** Days 0, 2 and 4; 21:00 to 08:00 quiet (US TCPA, 47 CFR 64.1200(c)(1)); two messages a day and five a week at most. */
export const DEFAULT_SETTINGS: CompanySettings = {
  brandName: null,
  supportEmail: null,
  country: null,
  invoiceAgeDaysMax: 60,
  timeZone: "UTC",
  playbooks: {
    payment: [step(0), step(2), step(4)],
    cancellation: [step(0), step(2), step(4)],
    at_risk: [step(0), step(2), step(4)],
  },
  channelOrder: ["email", "push", "dm", "sms"],
  quietHours: { start: "21:00", end: "08:00" },
  frequencyCaps: [
    { max: 2, hours: 24 },
    { max: 5, hours: 7 * 24 },
  ],
  incentivePeriodDays: 180,
  alertTeam: false,
  holdoutPercentage: null,
  atRisk: DEFAULT_RISK_POLICY,
  healthWeights: MODEL_WEIGHTS,
  riskThresholds: RISK_THRESHOLDS,
  milestones: DEFAULT_MILESTONES,
}

/** The company's settings, with defaults for those not set. Stored settings were validated when they were saved. */
export const settingsOf = ({ settings }: { readonly settings: unknown }): CompanySettings => ({
  ...DEFAULT_SETTINGS,
  ...(settings as Partial<CompanySettings> | null),
})
