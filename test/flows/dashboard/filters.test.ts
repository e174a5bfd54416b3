/** Filters of the list of cases: what each of them shows, also where a page has to search for it. */
import { beforeEach, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { signedInWith } from "../../support/actions/dashboard.ts"
import { failPayment, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  sql,
  waitFor,
  waitUntilProcessed,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)

interface List {
  readonly data: readonly { readonly id: string }[]
  readonly nextCursor: string | null
}

async function failedMember(): Promise<string> {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await sendNewCustomer(customer, { email: `${customer}@example.com` })
  await failPayment(customer, invoice)
  await waitUntilProcessed()
  return `payment_${invoice}`
}

const list = async (query: string): Promise<List> => (await api<List>(`/api/cases?${query}`)).body

test("cases are found by channel, amount and days", async () => {
  const caseId = await failedMember()
  await advanceClock("PT5M")
  await waitFor(async () => (await mailbox()).some(({ channel }) => channel === "email"))
  await waitUntilProcessed()
  const today = (await worldNow()).toISOString().slice(0, 10)
  const [row] = await sql<{ amount: number }>("select amount_minor::int as amount from recovery_cases")
  const amount = row?.amount ?? 0
  const finds = async (query: string) => (await list(query)).data.some(({ id }) => id === caseId)
  expect(await finds(`openedFrom=${today}&openedTo=${today}`)).toBe(true)
  expect(await finds("openedTo=2001-01-01")).toBe(false)
  expect(await finds("openedFrom=2999-01-01")).toBe(false)
  expect(await finds(`amountMinorMin=${amount}`)).toBe(true)
  expect(await finds(`amountMinorMin=${amount + 1}`)).toBe(false)
  expect(await finds("channel=email")).toBe(true)
  expect(await finds("channel=sms")).toBe(false)
  for (const query of ["openedFrom=yesterday", "amountMinorMin=-1", "channel=slack"]) {
    expect((await api(`/api/cases?${query}`)).status, query).toBe(400)
  }
})

test("a page that searched its rows without a match says so, and the next one finds the rest", async () => {
  const caseId = await failedMember()
  // Newer than the case, and more than a page searches.
  await sql(
    `insert into recovery_cases (company_id, id, customer_id, provider, kind, status, amount_minor, recovered_minor,
        decline_code, failure_count, opened_at)
      select company_id, 'other_' || n, customer_id, provider, kind, 'lost', 100, 0, 'other', 1, opened_at + n * interval '1 ms'
      from recovery_cases, generate_series(1, 2100) n where id = $1`,
    [caseId],
  )
  await sql("update recovery_cases set decline_code = 'rare' where id = $1", [caseId])
  const first = await list("declineCode=rare")
  expect(first.data).toEqual([])
  const second = await list(`declineCode=rare&cursor=${encodeURIComponent(first.nextCursor ?? "")}`)
  expect(second).toMatchObject({ data: [{ id: caseId }], nextCursor: null })

  const manager = await signedInWith(await newApiKey("success-manager"))
  const { html } = await manager.get("/dashboard/cases?declineCode=rare")
  expect(html).toContain("Not all rows are searched yet.")
  const { html: file } = await manager.get("/dashboard/cases/export?declineCode=rare")
  expect(file.trim().split("\r\n")).toHaveLength(2)
})
