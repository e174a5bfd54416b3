/** A company's own words: saved, previewed, sent, and taken back. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { advanceClock, api, mailbox, reset, waitFor, waitUntilProcessed } from "../../support/world/world.ts"

beforeEach(reset)

interface Template {
  readonly id: string
  readonly version: number
  readonly isInForce: boolean
  readonly versions: readonly { readonly version: number; readonly words: Readonly<Record<string, string>> }[]
}

const send = <T = Template>(method: string, path: string, body: object, key?: string) =>
  api<T>(path, {
    method,
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
    ...(key !== undefined && { key }),
  })

const WORDS = { subject: "{brand} needs a new card", ask: "Please enter a card that works, {firstName}." }

const add = async (more: object = {}) => {
  const { status, body } = await send("POST", "/api/templates", { caseKind: "payment", words: WORDS, ...more })
  expect(status).toBe(201)
  return body
}

/** The e-mail to a member whose payment has just failed, and the facts of the case. */
async function failedAndTold(email = "ann@example.com", name = "Ann Example") {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await sendNewCustomer(customer, { email, name })
  await failPayment(customer, invoice)
  await waitUntilProcessed()
  await advanceClock("PT1M")
  const message = await waitFor(async () =>
    (await mailbox()).find(({ channel, to }) => channel === "email" && to === email),
  )
  const { body } = await api<{ timeline: { kind: string; template?: object }[] }>(`/api/cases/payment_${invoice}`)
  return { message, sent: body.timeline.find(({ kind }) => kind === "nudge_sent") }
}

test("the next message is written in them, with its links, and the ledger names the version", async () => {
  const { id } = await add()
  const { message, sent } = await failedAndTold()
  expect(message.subject).toMatch(/needs a new card$/)
  expect(message.body).toContain("Please enter a card that works, Ann.")
  expect(message.body).toContain("/r/")
  expect(message.body).toContain("/unsubscribe/")
  expect(sent?.template).toEqual({ id, version: 1 })
})

test("a changed template is a new version, and an earlier one can be saved again", async () => {
  const { id } = await add()
  const changed = await send("PUT", `/api/templates/${id}`, { words: { ask: "Second words." }, version: 1 })
  expect([changed.status, changed.body.version]).toEqual([200, 2])
  expect((await failedAndTold()).message.body).toContain("Second words.")
  await send("PUT", `/api/templates/${id}`, { words: WORDS, version: 2 })
  const { body } = await api<Template>(`/api/templates/${id}`)
  expect(body.versions.map(({ version, words }) => [version, words.ask])).toEqual([
    [3, WORDS.ask],
    [2, "Second words."],
    [1, WORDS.ask],
  ])
})

test("a template that is switched off is not used any more", async () => {
  const { id } = await add()
  await send("PUT", `/api/templates/${id}`, { words: WORDS, version: 1, isInForce: false })
  const { message, sent } = await failedAndTold()
  expect(message.body).not.toContain("Please enter a card that works")
  expect(sent?.template).toBeUndefined()
})

test("where a field is not known, the part is written as shipped", async () => {
  await add()
  const { message } = await failedAndTold("x@example.com", "7")
  expect(message.subject).toMatch(/needs a new card$/)
  expect(message.body).not.toContain("Please enter a card that works")
})

describe("what is refused", () => {
  test.each([
    ["an unknown field", { ask: "{password}" }, "there is no field “password”"],
    ["another link", { opening: "https://evil.example" }, "it contains an address"],
    ["a text that is too long", { button: "x".repeat(41) }, "longer than 40 characters"],
    ["a note of ten thousand characters", { opening: "x".repeat(10_000) }, "words.opening"],
  ])("%s, with a clear sentence", async (_, words, reason) => {
    const { status, body } = await send<{ detail: string }>("POST", "/api/templates", { caseKind: "payment", words })
    expect(status).toBe(400)
    expect(body.detail).toContain(reason)
  })

  test("a second template for exactly the same messages, which names the first", async () => {
    const { id } = await add({ language: "de" })
    const twin = await send<{ templateId: string }>("POST", "/api/templates", {
      caseKind: "payment",
      language: "de",
      words: WORDS,
    })
    expect([twin.status, twin.body.templateId]).toEqual([409, id])
  })

  test("a change of a version that somebody else has changed since", async () => {
    const { id } = await add()
    await send("PUT", `/api/templates/${id}`, { words: { ask: "First." }, version: 1 })
    expect((await send("PUT", `/api/templates/${id}`, { words: { ask: "Late." }, version: 1 })).status).toBe(409)
  })

  test("an analyst's words, and those of another company", async () => {
    const { id } = await add()
    const analyst = await newApiKey("success-analyst")
    expect((await send("POST", "/api/templates", { caseKind: "payment", words: WORDS }, analyst)).status).toBe(403)
    await addCompany("other_company")
    const other = await newApiKey("admin", "other_company")
    expect((await api(`/api/templates/${id}`, { key: other })).status).toBe(404)
    expect((await send("PUT", `/api/templates/${id}`, { words: WORDS, version: 1 }, other)).status).toBe(404)
    expect((await api<{ data: unknown[] }>("/api/templates", { key: other })).body.data).toEqual([])
  })
})

test("a preview shows every channel, and says what does not fit", async () => {
  const seen = await send<{ faults: { part: string }[]; previews: { channel: string; text: string }[] }>(
    "POST",
    "/api/templates/preview",
    { caseKind: "payment", words: { short: "Please update your card at {brand}." } },
  )
  expect(seen.body.faults).toEqual([])
  expect(seen.body.previews.map(({ channel }) => channel)).toEqual(["email", "sms", "push", "dm"])
  expect(seen.body.previews.find(({ channel }) => channel === "sms")?.text).toContain("Please update your card at")
  const tooLong = await send<{ faults: { part: string }[] }>("POST", "/api/templates/preview", {
    caseKind: "payment",
    words: { short: "ж".repeat(200) },
  })
  expect(tooLong.body.faults.map(({ part }) => part)).toEqual(["short"])
})
