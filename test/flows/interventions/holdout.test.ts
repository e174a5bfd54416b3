/** The hold-out: held-out cases get no automatic messages and are marked everywhere; a manual message needs an override. */
import { beforeEach, describe, expect, test } from "vitest"
import { armFor } from "../../../shared/domain/interventions/holdout.ts"
import type { CaseBody } from "../../support/actions/members.ts"
import { caseOf, failPayment, messages, payInvoice, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { advanceClock, api, mailbox, reset, sql, world } from "../../support/world/world.ts"

beforeEach(reset)

const json = { "content-type": "application/json" }
const putSettings = async (settings: object) => {
  const answer = await api("/api/settings", { method: "PUT", body: JSON.stringify(settings), headers: json })
  expect(answer.status).toBe(200)
  return answer.body
}

/** An invoice whose case is in that arm at 50 %. */
function invoiceOn(arm: "treated" | "held_out"): string {
  for (;;) {
    const invoice = fresh("in")
    if (armFor(world().companyId, `payment_${invoice}`, 50) === arm) return invoice
  }
}

const nudge = (invoice: string, body: object = {}) =>
  api<{ detail?: string; nudge?: { id: string } }>(`/api/cases/payment_${invoice}/nudge`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { ...json, "idempotency-key": fresh("key") },
  })

type Shown = CaseBody & {
  readonly heldOut: boolean
  readonly arm: string | null
  readonly holdoutPercentage: number | null
}
const shown = async (invoice: string): Promise<Shown> => (await caseOf(invoice)) as Shown
const listed = async (filter: string): Promise<readonly string[]> =>
  (await api<{ data: { invoiceId: string }[] }>(`/api/cases?${filter}`)).body.data.map(({ invoiceId }) => invoiceId)

describe("with half of the cases held out", () => {
  test("treated cases are nudged and held-out ones are not, marked everywhere, while the case is open", async () => {
    expect(await putSettings({ holdoutPercentage: 50, quietHours: null, alertTeam: true })).toMatchObject({
      holdoutPercentage: 50,
    })
    const [held, treated] = [invoiceOn("held_out"), invoiceOn("treated")]
    const [quiet, written] = [fresh("cus"), fresh("cus")]
    await sendNewCustomer(quiet, { email: "quiet@example.com" })
    await sendNewCustomer(written, { email: "written@example.com" })
    await failPayment(quiet, held)
    await failPayment(written, treated)
    await messages(1)

    expect(await shown(held)).toMatchObject({ heldOut: true, arm: "held_out", holdoutPercentage: 50 })
    expect(await shown(treated)).toMatchObject({ heldOut: false, arm: "treated", holdoutPercentage: 50 })
    expect(await listed("heldOut=true")).toEqual([held])
    expect(await listed("heldOut=false")).toEqual([treated])
    const { nudges, timeline } = await shown(held)
    expect(new Set(nudges.map(({ status, reason }) => `${status} ${reason}`))).toEqual(new Set(["suppressed held_out"]))
    expect(timeline.find(({ kind }) => kind === "case_assigned")).toMatchObject({ arm: "held_out", percentage: 50 })

    // A later change applies to new cases.
    await putSettings({ holdoutPercentage: 0, quietHours: null, alertTeam: true })
    await failPayment(quiet, held, { attempt: 2 })
    await advanceClock("P5D")
    expect(await shown(held)).toMatchObject({ heldOut: true, holdoutPercentage: 50 })
    const sent = await mailbox()
    expect(sent.filter(({ to }) => to === "quiet@example.com")).toEqual([])
    expect(sent.filter(({ to }) => to === "written@example.com")).toHaveLength(3)
    expect(sent.filter(({ channel }) => channel === "slack")).toHaveLength(1)

    await payInvoice(quiet, held)
    await payInvoice(written, treated)
    expect(await shown(held)).toMatchObject({ status: "recovered", cause: "provider_retry" })
    await shown(treated)
    expect((await api("/api/summary")).body).toMatchObject({
      casesByArm: {
        treated: { recovered: 1, open: 0 },
        held_out: { recovered: 1, open: 0 },
        not_drawn: { recovered: 0, open: 0 },
      },
      recoveredMinor: { usd: 3998 },
      recoveredMinorByArm: { treated: { usd: 1999 }, held_out: { usd: 1999 }, not_drawn: {} },
    })
  }, 60_000)

  test("a manual message is refused, unless it overrides the hold-out", async () => {
    await putSettings({ holdoutPercentage: 50, quietHours: null })
    const [customer, held] = [fresh("cus"), invoiceOn("held_out")]
    await sendNewCustomer(customer, { email: "ann@example.com" })
    await failPayment(customer, held)
    expect(await shown(held)).toMatchObject({ heldOut: true })

    const refused = await nudge(held)
    expect(refused.status).toBe(409)
    expect(refused.body.detail).toContain("held out")
    expect((await nudge(held, { overrideHoldout: false })).status).toBe(409)
    expect((await nudge(held, { overrideHoldout: "yes" })).status).toBe(400)
    expect(await mailbox()).toEqual([])

    expect((await nudge(held, { overrideHoldout: true })).status).toBe(202)
    expect(await messages(1)).toMatchObject([{ to: "ann@example.com" }])
    const after = await shown(held)
    expect(after.heldOut).toBe(true)
    expect(after.timeline.find(({ kind }) => kind === "nudge_planned")).toMatchObject({ overridesHoldout: true })
    await advanceClock("P5D")
    expect(await mailbox()).toHaveLength(1)
  }, 60_000)
})

test("a case that is open when the hold-out begins counts as treated, and keeps its plan", async () => {
  await putSettings({ holdoutPercentage: 50, quietHours: null })
  const [customer, held] = [fresh("cus"), invoiceOn("held_out")]
  await sendNewCustomer(customer, { email: "ann@example.com" })
  await failPayment(customer, held)
  await shown(held)
  // As by a version without hold-outs: planned and never assigned.
  await sql("delete from facts where kind = 'case_assigned'")
  await sql("update customers set state = state #- '{outreach,assignments}', version = version + 1")
  await sql("update recovery_cases set arm = null, holdout_percentage = null")
  await sql("update nudges set status = 'planned', reason = null where step > 0")
  await failPayment(customer, held, { attempt: 2 })
  expect(await shown(held)).toMatchObject({ heldOut: false, arm: null, holdoutPercentage: null })
  await advanceClock("P3D")
  expect(await mailbox()).toMatchObject([{ to: "ann@example.com" }])
}, 60_000)

test.each([-1, 51, 12.5, "10", true])("a share of %s is refused", async (holdoutPercentage) => {
  const answer = await api("/api/settings", {
    method: "PUT",
    body: JSON.stringify({ holdoutPercentage }),
    headers: json,
  })
  expect(answer.status).toBe(400)
})
