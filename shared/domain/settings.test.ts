import { describe, expect, test } from "vitest"
import { DEFAULT_MILESTONES } from "./interventions/milestones.ts"
import { DEFAULT_RISK_POLICY } from "./interventions/risk-policy.ts"
import { MODEL_WEIGHTS, RISK_THRESHOLDS } from "./scoring/health.ts"
import { DEFAULT_SETTINGS, settingsOf } from "./settings.ts"

describe("a company that set nothing", () => {
  test("sends three reminders, by e-mail where it can, and never at night", () => {
    const playbook = [0, 2, 4].map((day) => ({ day, channel: null, incentive: null }))
    expect(DEFAULT_SETTINGS).toEqual({
      brandName: null,
      supportEmail: null,
      country: null,
      invoiceAgeDaysMax: 60,
      timeZone: "UTC",
      playbooks: { payment: playbook, cancellation: playbook, at_risk: playbook },
      channelOrder: ["email", "push", "dm", "sms"],
      quietHours: { start: "21:00", end: "08:00" },
      frequencyCaps: [
        { max: 2, hours: 24 },
        { max: 5, hours: 168 },
      ],
      incentivePeriodDays: 180,
      alertTeam: false,
      holdoutPercentage: null,
      atRisk: DEFAULT_RISK_POLICY,
      healthWeights: MODEL_WEIGHTS,
      riskThresholds: RISK_THRESHOLDS,
      milestones: DEFAULT_MILESTONES,
    })
  })

  test("has all defaults, however nothing is stored", () => {
    expect(settingsOf({ settings: null })).toEqual(DEFAULT_SETTINGS)
    expect(settingsOf({ settings: {} })).toEqual(DEFAULT_SETTINGS)
  })
})

test("what a company set replaces the default, and nothing else does", () => {
  expect(settingsOf({ settings: { alertTeam: true, quietHours: null } })).toEqual({
    ...DEFAULT_SETTINGS,
    alertTeam: true,
    quietHours: null,
  })
})
