/** Two companies go through the demo side by side: each member is reached by the right sender, in the right words. */
import { beforeEach, expect, test } from "vitest"
import { findMisdirected, ownerOf } from "../../../local/demo/check-messages.ts"
import type { CompanyProfile } from "../../../local/demo/companies.ts"
import type { World } from "../../../local/demo/http.ts"
import { type CompanyRun, runCompanies } from "../../../local/demo/run.ts"
import { providerCalls } from "../../support/world/external-services.ts"
import { mailbox, reset, sql, world } from "../../support/world/world.ts"

beforeEach(reset)

const SETTINGS = {
  alertTeam: true,
  quietHours: null,
  playbooks: {
    payment: [{ day: 0, incentive: { kind: "discount", percentOff: 20, months: 2 } }, { day: 2 }],
    cancellation: [{ day: 0 }],
    at_risk: [],
  },
}

const profileOf = (account: string, name: string, motto: string): CompanyProfile => ({
  ...{ id: `${account}_company`, name, motto },
  own: { account, sender: `${name} <pay@${account}.example>`, linkDomain: `links.${account}.example` },
  settings: { ...SETTINGS, brandName: name },
  people: [`team@${account}.example`],
})

const ADA = profileOf("ada", "Ada Fitness", "Your locker is kept.")
const BOB = profileOf("bob", "Bob Books", "The next chapter waits.")

const SILENT = { show: () => {}, end: () => {} }

test("no message, key, link, alert or provider call of one company is the other's", async () => {
  const { adminApiKey: apiKey, companyId, controlUrl, workerUrl } = world()
  const here: World = { apiKey, companyId, controlUrl, workerUrl, secrets: { stripe: "", whop: "" } }
  const options = { seed: 1, days: 9, customers: 70 }
  const halves = [ADA, BOB].map((profile) => ({ profile, share: 0.5 }))
  const { running, unexpected } = await runCompanies(here, options, SILENT, halves)
  expect(unexpected).toEqual([])

  const messages = await mailbox()
  const sent = (run: CompanyRun) =>
    messages
      .filter((message) => ownerOf(message, running) === run.company)
      .map(({ channel, from, account, to, body }) => ({ channel, from, account, to, body }))
  for (const run of running) {
    const { name, motto, own } = run.company.profile
    const account = own?.account
    const other = run.company.profile === ADA ? BOB : ADA
    const emails = sent(run).filter(({ channel }) => channel === "email")
    const alerts = sent(run).filter(({ channel }) => channel === "slack")
    expect(emails.length).toBeGreaterThan(4)
    expect(alerts.length).toBeGreaterThan(2)
    expect(new Set(emails.map((email) => `${email.from} ${email.account}`))).toEqual(
      new Set([`pay@${account}.example ${account}`]),
    )
    expect(emails.filter(({ body }) => !body.includes(name) || !body.includes(motto ?? ""))).toEqual([])
    const links = emails.flatMap(({ body }) => body.match(/https?:\/\/[^\s/]+(?=\/(?:r|unsubscribe)\/)/g) ?? [])
    expect(new Set(links)).toEqual(new Set([`https://links.${account}.example`]))
    expect(alerts.filter(({ to, body }) => !to.endsWith(`_of_${account}`) || !body.includes(name))).toEqual([])
    expect(JSON.stringify(sent(run))).not.toMatch(
      new RegExp(`${other.name}|${other.motto}|${other.own?.account}\\.example`),
    )
  }
  expect(findMisdirected(messages, running)).toEqual([])

  const calls = (await providerCalls()).filter(({ method, path }) => method === "POST" && !path.includes("coupons"))
  for (const run of running) {
    const own = calls.filter(({ account }) => account === `acct_${run.company.profile.own?.account}`)
    const ids = run.members.flatMap(({ customerId, subscriptionId }) => [customerId, subscriptionId])
    expect(own.some(({ path }) => path.includes("billing_portal"))).toBe(true)
    expect(own.some(({ path }) => path.includes("subscriptions"))).toBe(true)
    expect(own.filter(({ path, body }) => !ids.some((id) => `${path} ${JSON.stringify(body)}`.includes(id)))).toEqual(
      [],
    )
  }
  expect(new Set(calls.map(({ account }) => account))).toEqual(new Set(["acct_ada", "acct_bob"]))

  const customers = await sql<{ company_id: string; count: string }>(
    "select company_id, count(*) from customers group by company_id order by company_id",
  )
  expect(customers.map(({ company_id: id }) => id)).toEqual(["ada_company", "bob_company"])
  const known = running.reduce((count, run) => count + sent(run).length, 0)
  const invitations = messages.filter(({ to }) => to.startsWith("team@"))
  expect(messages).toHaveLength(known + invitations.length)
})
