/** Variants of a template: cases are assigned, read their own words, and are compared as assigned. */
import { beforeEach, describe, expect, test } from "vitest"
import { armFor } from "../../../shared/domain/interventions/holdout.ts"
import type { Experiment } from "../../../shared/domain/messaging/templates/templates.ts"
import { variantFor } from "../../../shared/domain/messaging/templates/variants.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { caseOf, failPayment, messages, payInvoice, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { advanceClock, api, mailbox, reset, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

interface Template {
  readonly id: string
  readonly version: number
  readonly words: Readonly<Record<string, string>>
  readonly experiment: Experiment | null
  readonly detail?: string
}

const call = <T = Template>(method: string, path: string, body: object, key?: string) =>
  api<T>(path, {
    method,
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    ...(key !== undefined && { key }),
  })

const OWN = { subject: "Own words of {brand}" }
const SHORT = { name: "short", words: { subject: "Short words of {brand}", ask: "Please look, {firstName}." } }

const addTemplate = async (): Promise<Template> =>
  (await call("POST", "/api/templates", { caseKind: "payment", words: OWN })).body

const start = (id: string, version = 1, more: object = {}) =>
  call("POST", `/api/templates/${id}/experiment`, { version, variants: [SHORT], ...more })

/** Starts a comparison; cases of the next events open after its start, though providers state whole seconds. */
async function startedExperiment({ id }: Pick<Template, "id">): Promise<Experiment> {
  const { status, body } = await start(id)
  expect([status, body.version]).toEqual([201, 2])
  if (body.experiment === null) throw new Error("no comparison has started")
  await advanceClock("PT1S")
  return body.experiment
}

const variantOfInvoice = (experiment: Experiment, invoice: string): string =>
  variantFor(world().companyId, `payment_${invoice}`, experiment)

/** An invoice whose case is assigned to that variant. */
function invoiceOf(experiment: Experiment, variant: string): string {
  for (;;) {
    const invoice = fresh("in")
    if (variantOfInvoice(experiment, invoice) === variant) return invoice
  }
}

/** A member whose payment fails. */
async function member(invoice: string): Promise<{ readonly customer: string; readonly email: string }> {
  const customer = fresh("cus")
  const email = `${customer}@example.com`
  await sendNewCustomer(customer, { email })
  await failPayment(customer, invoice)
  return { customer, email }
}

const subjectsTo = async (email: string): Promise<readonly string[]> =>
  (await mailbox()).filter(({ to }) => to === email).map(({ subject }) => subject)

interface Arm {
  readonly name: string
  readonly cases: number
  readonly matured: number
  readonly successes: number
  readonly rate: number | null
  readonly lift: { readonly verdict: string; readonly difference: number | null } | null
}
const compared = async (query = "horizonDays=1") => {
  const { body } = await api<{ variants: { id: string; endedAt: string | null; arms: Arm[] }[] }>(
    `/api/interventions?${query}`,
  )
  return body.variants
}

const setPlaybook = async (settings: object = {}) => {
  const answer = await call("PUT", "/api/settings", { quietHours: null, ...settings })
  expect(answer.status).toBe(200)
}

describe("two variants", () => {
  test("are read by the cases that were assigned to them, in every message, and compared as assigned", async () => {
    await setPlaybook()
    const { id } = await addTemplate()
    const experiment = await startedExperiment({ id })
    const [ownInvoice, shortInvoice] = [invoiceOf(experiment, "control"), invoiceOf(experiment, "short")]
    const [own, short] = [await member(ownInvoice), await member(shortInvoice)]
    await messages(2)
    expect((await subjectsTo(own.email))[0]).toMatch(/^Own words of /)
    expect((await subjectsTo(short.email))[0]).toMatch(/^Short words of /)
    for (const [invoice, variant] of [
      [ownInvoice, "control"],
      [shortInvoice, "short"],
    ] as const) {
      const { timeline } = await caseOf(invoice)
      expect(timeline.find(({ kind }) => kind === "variant_assigned")).toMatchObject({
        ...{ templateId: id, experimentId: experiment.id, variant },
      })
      expect(timeline.find(({ kind }) => kind === "nudge_sent")?.template).toEqual({ id, version: 2, variant })
    }

    expect((await compared()).map(({ arms }) => arms.map(({ cases, matured }) => [cases, matured]))).toEqual([
      [
        [1, 0],
        [1, 0],
      ],
    ])
    // A later message keeps the words of the first.
    await advanceClock("P2D")
    for (const { email } of [own, short]) {
      const [first, second] = await subjectsTo(email)
      expect(second).toBe(first)
    }
    expect((await caseOf(shortInvoice)).timeline.filter(({ kind }) => kind === "variant_assigned")).toHaveLength(1)

    // Paid after a horizon of one day, and within one of five days.
    await payInvoice(short.customer, shortInvoice)
    await waitUntilProcessed()
    await advanceClock("P4D")
    const outcomes = async (query: string) =>
      (await compared(query))[0]?.arms.map(({ name, matured, successes, rate }) => [name, matured, successes, rate])
    expect(await outcomes("horizonDays=1")).toEqual([
      ["control", 1, 0, 0],
      ["short", 1, 0, 0],
    ])
    expect(await outcomes("horizonDays=5")).toEqual([
      ["control", 1, 0, 0],
      ["short", 1, 1, 1],
    ])
    expect(await outcomes("horizonDays=60")).toEqual([
      ["control", 0, 0, null],
      ["short", 0, 0, null],
    ])
    const [, lifted] = (await compared("horizonDays=5"))[0]?.arms ?? []
    expect(lifted?.lift).toMatchObject({ verdict: "too_few_to_tell", difference: 1 })
    expect(await compared("kind=cancellation")).toEqual([])
  }, 60_000)

  test("stay as assigned when the comparison ends, and the promoted words are the template's from then on", async () => {
    await setPlaybook()
    const { id } = await addTemplate()
    const experiment = await startedExperiment({ id })
    const invoice = invoiceOf(experiment, "short")
    const { email } = await member(invoice)
    await messages(1)
    const ended = await call("POST", `/api/templates/${id}/experiment/end`, { version: 2, promote: "short" })
    expect(ended.body).toMatchObject({ version: 3, words: SHORT.words, experiment: null })
    const other = await member(fresh("in"))
    await messages(2)
    expect((await subjectsTo(other.email))[0]).toMatch(/^Short words of /)
    const [before] = await compared()
    expect(before?.endedAt).not.toBeNull()
    expect(before?.arms.map(({ name, cases }) => [name, cases])).toEqual([
      ["control", 0],
      ["short", 1],
    ])
    // Without a comparison, the message names the version and no variant; the case is counted as it was assigned.
    await advanceClock("P2D")
    expect(await subjectsTo(email)).toHaveLength(2)
    const sent = (await caseOf(invoice)).timeline.filter(({ kind }) => kind === "nudge_sent")
    expect(sent.map(({ template }) => template)).toEqual([
      { id, version: 2, variant: "short" },
      { id, version: 3 },
    ])
    expect((await compared())[0]?.arms[1]?.cases).toBe(1)
  }, 60_000)

  test("are not for a case that opened before the start, and never for a held-out one", async () => {
    await setPlaybook()
    const { id } = await addTemplate()
    const early = fresh("in")
    const { email } = await member(early)
    await messages(1)
    // One that opens after the start, in the arm that gets no automatic message.
    await setPlaybook({ holdoutPercentage: 50 })
    const experiment = await startedExperiment({ id })
    const held = (() => {
      for (;;) {
        const invoice = invoiceOf(experiment, "short")
        if (armFor(world().companyId, `payment_${invoice}`, 50) === "held_out") return invoice
      }
    })()
    const quiet = await member(held)
    await waitUntilProcessed()
    const manual = await api(`/api/cases/payment_${held}/nudge`, {
      method: "POST",
      body: JSON.stringify({ overrideHoldout: true }),
      headers: { "content-type": "application/json", "idempotency-key": fresh("key") },
    })
    expect(manual.status).toBe(202)
    await messages(2)
    expect((await subjectsTo(quiet.email))[0]).toMatch(/^Own words of /)
    await advanceClock("P2D")
    expect(await subjectsTo(email)).toHaveLength(2)
    for (const invoice of [early, held]) {
      const { timeline } = await caseOf(invoice)
      expect(timeline.filter(({ kind }) => kind === "variant_assigned")).toEqual([])
    }
    expect((await compared())[0]?.arms.map(({ cases }) => cases)).toEqual([0, 0])
  }, 60_000)
})

describe("a comparison is refused", () => {
  const other = { ...SHORT, name: "other" }
  test.each<[string, object, number, string]>([
    ["without variants", { variants: [] }, 400, "variants"],
    ["with more than three", { variants: ["a", "b", "c", "d"].map((name) => ({ ...SHORT, name })) }, 400, "variants"],
    ["with two of one name", { variants: [SHORT, SHORT] }, 400, "different names"],
    ["with a variant named as the template's own words", { variants: [{ ...SHORT, name: "control" }] }, 400, "control"],
    ["with a name that is none", { variants: [{ ...SHORT, name: "A b" }] }, 400, "lower-case"],
    ["with a weight of nothing", { variants: [{ ...SHORT, weight: 0 }] }, 400, "weight"],
    [
      "with words that a template would not accept, naming the variant",
      { variants: [SHORT, { name: "other", words: { ask: "Pay at https://evil.example" } }] },
      400,
      "The words of the variant “other” cannot be used: ask: it contains an address",
    ],
    ["with a variant that words nothing", { variants: [{ ...other, words: {} }] }, 400, "nothing is worded"],
    ["of a version that somebody has changed", { version: 2 }, 409, "newer version"],
  ])("%s", async (_, more, status, detail) => {
    const { id } = await addTemplate()
    const refused = await start(id, 1, more)
    expect(refused.status).toBe(status)
    expect(refused.body.detail).toContain(detail)
    expect((await api<Template>(`/api/templates/${id}`)).body).toMatchObject({ version: 1, experiment: null })
  })

  test("while one is under way, as is a change of the words; and of a template that is switched off", async () => {
    const { id } = await addTemplate()
    await startedExperiment({ id })
    expect((await start(id, 2)).body.detail).toContain("A comparison is under way")
    const changed = await call("PUT", `/api/templates/${id}`, { words: { subject: "New" }, version: 2 })
    expect([changed.status, changed.body.detail]).toEqual([409, expect.stringContaining("End the comparison first")])
    const end = (body: object) => call("POST", `/api/templates/${id}/experiment/end`, body)
    expect((await end({ version: 1 })).status).toBe(409)
    expect((await end({ version: 2, promote: "nothing" })).status).toBe(400)
    expect((await end({ version: 2 })).body).toMatchObject({ version: 3, words: OWN, experiment: null })
    expect((await end({ version: 3 })).body.detail).toContain("No comparison is under way")
    await call("PUT", `/api/templates/${id}`, { words: OWN, version: 3, isInForce: false })
    expect((await start(id, 4)).body.detail).toContain("switched off")
  })

  test("to an analyst and to another company", async () => {
    const { id } = await addTemplate()
    const body = { version: 1, variants: [SHORT] }
    const analyst = await newApiKey("success-analyst")
    expect((await call("POST", `/api/templates/${id}/experiment`, body, analyst)).status).toBe(403)
    await addCompany("other_company")
    const admin = await newApiKey("admin", "other_company")
    expect((await call("POST", `/api/templates/${id}/experiment`, body, admin)).status).toBe(404)
    await start(id)
    const seen = await api<{ variants: unknown[] }>("/api/interventions", { key: admin })
    expect(seen.body.variants).toEqual([])
  })
})
