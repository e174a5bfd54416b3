/** The messages of a case as they were read: composed again from what was known when they were sent. */
import { beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { failPayment, messages, payInvoice, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { advanceClock, api, mailbox, reset, sql, waitUntilProcessed } from "../../support/world/world.ts"

beforeEach(reset)

interface AsRead {
  readonly step: number | null
  readonly status: string
  readonly sentAt: string | null
  readonly asOf: string
  readonly subject: string | null
  readonly text: string | null
  readonly template: { readonly id: string; readonly version: number } | null
}

const messagesOf = async (invoice: string, key?: string) => {
  const { status, body } = await api<{ readonly data: readonly AsRead[] }>(`/api/cases/payment_${invoice}/messages`, {
    ...(key !== undefined && { key }),
  })
  return { status, data: body.data }
}

const withoutTokens = (text: string): string => text.replaceAll(/\/(r|unsubscribe)\/[\w.~-]+/g, "/$1/…")

const call = <T>(method: string, path: string, body: object) =>
  api<T>(path, { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } })

const PAYMENT = { caseKind: "payment", stage: null, ask: null, channel: null, language: null }

test("a message reads as it was sent, whatever has changed since", async () => {
  await call("PUT", "/api/settings", { quietHours: null, brandName: "Acme" })
  const { body: template } = await call<{ readonly id: string }>("POST", "/api/templates", {
    ...PAYMENT,
    words: { subject: "First words: {amount}", ask: "Please look, {firstName}." },
  })
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const email = `${customer}@example.com`
  await sendNewCustomer(customer, { email })
  await failPayment(customer, invoice)
  await messages(1)
  // Other words for the next message, another failure in between, and in the end nothing is owed.
  await call("PUT", `/api/templates/${template.id}`, { version: 1, words: { subject: "Second words: {amount}" } })
  await failPayment(customer, fresh("in"))
  await advanceClock("P2DT1M")
  await waitUntilProcessed()
  await payInvoice(customer, invoice)
  await waitUntilProcessed()

  const sent = (await mailbox()).filter(({ to, subject }) => to === email && subject.includes("words"))
  const { status, data } = await messagesOf(invoice)
  expect(status).toBe(200)
  const read = data.filter(({ sentAt }) => sentAt !== null)
  expect(read.length).toBeGreaterThanOrEqual(2)
  expect(read.map(({ subject }) => subject)).toEqual(expect.arrayContaining(["First words: $19.99"]))
  for (const { subject, text, asOf, sentAt } of read) {
    expect(sent.map((message) => [message.subject, withoutTokens(message.body)])).toContainEqual([subject, text])
    expect(asOf).toBe(sentAt)
  }
  expect(read.map(({ template: used }) => used?.version)).toEqual([1, 2])
})

test("a planned message is as it would be sent now, and reading it does nothing", async () => {
  await call("PUT", "/api/settings", { quietHours: null })
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await sendNewCustomer(customer, { email: `${customer}@example.com` })
  await failPayment(customer, invoice)
  await messages(1)
  const counted = () =>
    sql<{ facts: number; nudges: number }>(`
    SELECT (SELECT count(*)::int FROM facts) AS facts, (SELECT count(*)::int FROM nudges) AS nudges`)
  const before = await counted()
  const { data } = await messagesOf(invoice)
  expect(data.map(({ step, status }) => [step, status])).toEqual([
    [0, "sent"],
    [2, "planned"],
    [4, "planned"],
  ])
  expect(data.slice(1).every(({ text }) => text?.includes("/r/…"))).toBe(true)
  expect(JSON.stringify(data)).not.toMatch(/\/r\/[\w-]{5}/)
  expect(await counted()).toEqual(before)
})

test("is for those who may see names, of their own company", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await failPayment(customer, invoice)
  await waitUntilProcessed()
  const statusFor = async (key: string) => (await messagesOf(invoice, key)).status
  expect(await statusFor(await newApiKey("success-analyst"))).toBe(403)
  expect(await statusFor(await newApiKey("success-manager"))).toBe(200)
  await addCompany("other_company")
  expect(await statusFor(await newApiKey("admin", "other_company"))).toBe(404)
})
