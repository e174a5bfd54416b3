import { expect, test } from "vitest"
import { DEFAULT_SETTINGS } from "../../../shared/domain/settings.ts"
import { settingsSchema } from "../../operations/settings-schema.ts"
import { withGeneral, withLimits, withPlaybook, withRisk } from "./settings-form.ts"

const current = settingsSchema.parse(DEFAULT_SETTINGS)

test("rows without a day are removed, and steps come in the order of their days", () => {
  const { playbooks, ...rest } = withPlaybook(current, "payment", {
    "step.0.day": "4",
    "step.0.channel": "sms",
    "step.1.day": " ",
    "step.1.channel": "email",
    "step.2.day": "1",
    "step.2.incentive": "discount",
    "step.2.percentOff": "20",
    "step.2.months": "3",
    "step.3.day": "9",
    "step.3.incentive": "free_days",
    "step.3.days": "7",
  })
  expect(playbooks.payment).toEqual([
    { day: 1, channel: null, incentive: { kind: "discount", percentOff: 20, months: 3 } },
    { day: 4, channel: "sms", incentive: null },
    { day: 9, channel: null, incentive: { kind: "free_days", days: 7 } },
  ])
  expect(playbooks.cancellation).toEqual(current.playbooks.cancellation)
  expect({ ...current, ...rest }).toEqual(current)
})

test("a field that is no number is refused, not taken as zero", () => {
  const changed = [
    withPlaybook(current, "payment", { "step.0.day": "soon" }),
    withPlaybook(current, "payment", { "step.0.day": "0", "step.0.incentive": "free_days", "step.0.days": "" }),
    withLimits(current, { "channel.0.name": "email", "cap.0.max": "2", incentivePeriodDays: "180" }),
    withRisk(current, {}),
    withGeneral(current, {}),
  ]
  expect(changed.map((one) => settingsSchema.safeParse(one).success)).toEqual(changed.map(() => false))
})

test("channels without a name are left out, and an empty share of held-out cases is the deployment's", () => {
  expect(withLimits(current, { "channel.0.name": "", "channel.1.name": "sms" }).channelOrder).toEqual(["sms"])
  expect(withRisk(current, { holdoutPercentage: "" }).holdoutPercentage).toBeNull()
  expect(withRisk(current, { holdoutPercentage: "15" }).holdoutPercentage).toBe(15)
})
