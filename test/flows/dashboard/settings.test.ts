/** The settings page: playbooks, limits and risk are changed by fields, each form leaves the rest alone, and none overwrites. */
import { beforeEach, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { decoded, hiddenField, signedInWith, type Visitor } from "../../support/actions/dashboard.ts"
import { api, reset } from "../../support/world/world.ts"

beforeEach(reset)

const PATH = "/dashboard/settings"

const versionOf = async (someone: Visitor) => decoded(hiddenField((await someone.get(PATH)).html, "version"))

const stored = async () => (await api<Record<string, unknown>>("/api/settings")).body

test("a playbook is changed by its fields, and everything else stays", async () => {
  const admin = await signedInWith(await newApiKey("admin"))
  const before = await stored()
  const { html } = await admin.post(`${PATH}/playbooks/cancellation`, {
    version: await versionOf(admin),
    "step.0.day": "5",
    "step.0.channel": "sms",
    "step.1.day": "",
    "step.2.day": "1",
    "step.2.incentive": "discount",
    "step.2.percentOff": "25",
    "step.2.months": "2",
  })
  expect(html).toContain("Saved.")
  expect(await stored()).toEqual({
    ...before,
    playbooks: {
      ...(before.playbooks as object),
      cancellation: [
        { day: 1, channel: null, incentive: { kind: "discount", percentOff: 25, months: 2 } },
        { day: 5, channel: "sms", incentive: null },
      ],
    },
  })
  expect(html).toContain('name="step.0.percentOff" value="25"')
})

test("channels, limits, risk and hold-out are changed by their fields", async () => {
  const admin = await signedInWith(await newApiKey("admin"))
  const limits = await admin.post(`${PATH}/limits`, {
    version: await versionOf(admin),
    "channel.0.name": "sms",
    "channel.1.name": "email",
    "cap.0.max": "1",
    "cap.0.hours": "48",
    incentivePeriodDays: "90",
  })
  expect(limits.html).toContain("Saved.")
  const atRisk = {
    ...{ marginPercent: 62.5, valueMonths: 9, contactCostMinor: 150, assumedUplift: 0.2 },
    ...{ casesPerDay: 10, restDays: 21, periodDays: 45 },
  }
  const risk = await admin.post(`${PATH}/risk`, {
    version: await versionOf(admin),
    holdoutPercentage: "12",
    ...Object.fromEntries(Object.entries(atRisk).map(([name, value]) => [name, String(value)])),
  })
  expect(risk.html).toContain("Saved.")
  expect(await stored()).toMatchObject({
    ...{ channelOrder: ["sms", "email"], frequencyCaps: [{ max: 1, hours: 48 }], incentivePeriodDays: 90 },
    ...{ holdoutPercentage: 12, atRisk },
  })
})

test("what is not acceptable is refused by the name of its field, and nothing changes", async () => {
  const admin = await signedInWith(await newApiKey("admin"))
  const before = await stored()
  const version = await versionOf(admin)
  for (const [path, fields, reason] of [
    ["playbooks/payment", { "step.0.day": "1", "step.1.day": "1" }, "expected each day once"],
    ["playbooks/payment", { "step.0.day": "soon" }, "playbooks.payment.0.day"],
    ["limits", { "channel.0.name": "email", "channel.1.name": "email", incentivePeriodDays: "1" }, "each channel once"],
    ["risk", { holdoutPercentage: "90" }, "holdoutPercentage"],
  ] as const) {
    const { status, html } = await admin.post(`${PATH}/${path}`, { version, ...fields })
    expect([path, status]).toEqual([path, 400])
    expect(html).toContain(reason)
  }
  expect((await admin.post(`${PATH}/playbooks/nothing`, { version })).status).toBe(404)
  expect(await stored()).toEqual(before)
})

test("a form that somebody else has overtaken is refused, whichever of the forms it is", async () => {
  const admin = await signedInWith(await newApiKey("admin"))
  const version = await versionOf(admin)
  const first = { version, "step.0.day": "3" }
  expect((await admin.post(`${PATH}/playbooks/payment`, first)).html).toContain("Saved.")
  for (const path of ["playbooks/payment", "playbooks/at_risk", "limits", "risk"]) {
    const late = await admin.post(`${PATH}/${path}`, { version, "step.0.day": "9" })
    expect([path, late.status]).toEqual([path, 409])
    expect(late.html).toContain("The settings were changed by another user")
  }
  expect(await stored()).toMatchObject({ playbooks: { payment: [{ day: 3 }] } })
})

test("a manager reads the settings and changes none", async () => {
  const manager = await signedInWith(await newApiKey("success-manager"))
  const { html } = await manager.get(PATH)
  expect(html).toContain("Playbook: Failed payment")
  expect(html).not.toContain("Save the playbook")
  const version = await versionOf(manager)
  expect((await manager.post(`${PATH}/playbooks/payment`, { version, "step.0.day": "3" })).status).toBe(403)
})
