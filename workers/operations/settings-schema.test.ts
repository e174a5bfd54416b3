import { describe, expect, test } from "vitest"
import { DEFAULT_SETTINGS } from "../../shared/domain/settings.ts"
import { settingsSchema } from "./settings-schema.ts"

const accepts = (change: object): boolean => settingsSchema.safeParse({ ...DEFAULT_SETTINGS, ...change }).success

const step = (day: number, more: object = {}) => ({ day, channel: null, incentive: null, ...more })
const withPayment = (steps: unknown) => ({ playbooks: { ...DEFAULT_SETTINGS.playbooks, payment: steps } })

test("the defaults are valid, and missing fields take them", () => {
  expect(settingsSchema.parse(DEFAULT_SETTINGS)).toEqual(DEFAULT_SETTINGS)
  expect(settingsSchema.parse({})).toEqual(DEFAULT_SETTINGS)
})

test("changing a parsed value does not change the defaults", () => {
  settingsSchema.parse({}).playbooks.payment.pop()
  expect(settingsSchema.parse({})).toEqual(DEFAULT_SETTINGS)
})

describe("acceptable", () => {
  test.each<[string, object]>([
    ["a zone of two parts", { timeZone: "America/Argentina/Ushuaia" }],
    ["no quiet hours", { quietHours: null }],
    ["quiet hours over midnight", { quietHours: { start: "23:59", end: "00:00" } }],
    [
      "a discount and a fixed channel",
      withPayment([
        step(0, { channel: "slack" }),
        step(3, { incentive: { kind: "discount", percentOff: 20, months: 3 } }),
      ]),
    ],
    ["free days", withPayment([step(0, { incentive: { kind: "free_days", days: 7 } })])],
    ["a playbook without steps", withPayment([])],
    ["a step that says its day only", withPayment([{ day: 1 }])],
    ["no caps", { frequencyCaps: [] }],
    ["a name in any script", { brandName: "株式会社 Ünïcode & Söhne" }],
    ["a hold-out of half, or none of its own", { holdoutPercentage: 50 }],
    ["the deployment's hold-out", { holdoutPercentage: null }],
    ["a policy that says one thing only", { atRisk: { contactCostMinor: 0 } }],
    ["an address for support", { supportEmail: "help@acme.example" }],
  ])("%s", (_, change) => {
    expect(accepts(change)).toBe(true)
  })
})

describe("refused", () => {
  test.each<[string, object]>([
    ["an unknown field", { companyId: "other" }],
    ["an unknown field of a step", withPayment([step(0, { template: "x" })])],
    ["a zone that is none", { timeZone: "Mars/Olympus" }],
    ["an offset for a zone", { timeZone: "+05:00" }],
    ["hours past midnight", { quietHours: { start: "24:00", end: "08:00" } }],
    ["hours with one digit", { quietHours: { start: "9:00", end: "08:00" } }],
    ["a day twice", withPayment([step(2), step(2)])],
    ["a day before the case", withPayment([step(-1)])],
    ["half a day", withPayment([step(0.5)])],
    ["more than twenty steps", withPayment(Array.from({ length: 21 }, (_, day) => step(day)))],
    [
      "more than all of the price",
      withPayment([step(0, { incentive: { kind: "discount", percentOff: 101, months: 1 } })]),
    ],
    ["an incentive nobody knows", withPayment([step(0, { incentive: { kind: "cash", amount: 5 } })])],
    ["a channel nobody knows", { channelOrder: ["fax"] }],
    ["the team among the members' channels", { channelOrder: ["slack"] }],
    ["a channel twice", { channelOrder: ["email", "email"] }],
    ["no channel", { channelOrder: [] }],
    ["a cap of nothing", { frequencyCaps: [{ max: 0, hours: 24 }] }],
    ["a name of several lines", { brandName: "Acme\nBcc: x@example.com" }],
    ["half a character", { brandName: "Acme \ud800" }],
    ["a name that turns the text around", { brandName: "Acme \u202egnp" }],
    ["no name", { brandName: "  " }],
    ["an address that is none", { supportEmail: "help@acme.example\r\nBcc: x@example.com" }],
    ["a hold-out of most", { holdoutPercentage: 51 }],
    ["a hold-out of half a percent", { holdoutPercentage: 0.5 }],
    ["an uplift over all", { atRisk: { assumedUplift: 1.1 } }],
    ["a contact that pays", { atRisk: { contactCostMinor: -1 } }],
    ["a policy of unknown words", { atRisk: { budget: 5 } }],
    ["a number as text", { incentivePeriodDays: "180" }],
  ])("%s", (_, change) => {
    expect(accepts(change)).toBe(false)
  })
})
