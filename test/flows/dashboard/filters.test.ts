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

/** Cases in each status, with other amounts than their order of opening, and the ids of the open ones. */
async function casesToSort(): Promise<void> {
  const caseId = await failedMember()
  await sql(
    `insert into recovery_cases (company_id, id, customer_id, provider, kind, status, currency, amount_minor, recovered_minor,
        failure_count, opened_at, closed_at)
      select company_id, 'case_' || n, customer_id, provider, kind, case when n <= 4 then 'open' else 'lost' end, 'usd',
        (array[300, 100, 300, 200, 1, 2, 3])[n], 0, 1, opened_at - n * interval '1 hour',
        case when n > 4 then opened_at + n * interval '1 hour' end
      from recovery_cases, generate_series(1, 7) n where id = $1`,
    [caseId],
  )
  await sql("delete from recovery_cases where id = $1", [caseId])
}

/** The numbers of the cases of a whole list, read in pages of two. */
async function numbersOf(query: string): Promise<string> {
  const numbers: string[] = []
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: List = await list(`${query}&limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
    numbers.push(...page.data.map(({ id }) => id.replace("case_", "")))
    cursor = page.nextCursor
  }
  return numbers.join("")
}

test("cases are listed by opening, amount and closing, over all pages, each once", async () => {
  await casesToSort()
  expect(await numbersOf("sort=opened")).toBe("1234567")
  expect(await numbersOf("sort=oldest")).toBe("7654321")
  expect(await numbersOf("status=open&sort=oldest")).toBe("4321")
  expect(await numbersOf("status=open&sort=amount")).toBe("3142")
  expect(await numbersOf("status=lost&sort=closed")).toBe("765")
  const customer = (await sql<{ id: string }>("select id from customers"))[0]?.id ?? ""
  expect(await numbersOf(`status=open&sort=amount&customerId=${encodeURIComponent(customer)}`)).toBe("3142")
})

test("an order that the status does not have, and the cursor of another order, are refused", async () => {
  await casesToSort()
  for (const query of [
    "sort=amount",
    "status=lost&sort=amount",
    "sort=closed",
    "status=open&sort=closed",
    "sort=name",
  ]) {
    const { status, body } = await api<{ detail: string }>(`/api/cases?${query}`)
    expect([query, status]).toEqual([query, 400])
    expect(body.detail).toContain("sort")
  }
  const { nextCursor } = await list("status=open&sort=amount&limit=2")
  for (const query of ["status=open", "status=open&sort=oldest"]) {
    expect((await api(`/api/cases?${query}&cursor=${encodeURIComponent(nextCursor ?? "")}`)).status).toBe(400)
  }
  const byTime = (await list("status=open&limit=2")).nextCursor
  expect((await api(`/api/cases?status=open&sort=amount&cursor=${encodeURIComponent(byTime ?? "")}`)).status).toBe(400)
  expect((await api(`/api/customers?cursor=${encodeURIComponent(nextCursor ?? "")}`)).status).toBe(400)
})

test("columns are links that sort, pages and saved views keep the order, and another status drops one that it has not", async () => {
  await casesToSort()
  const manager = await signedInWith(await newApiKey("success-manager"))
  const headOf = (html: string) => /<thead>.*?<\/thead>/s.exec(html)?.[0] ?? ""

  const newest = headOf((await manager.get("/dashboard/cases")).html)
  expect(newest).toContain('aria-sort="descending"><a href="/dashboard/cases?sort=oldest">Opened</a>')
  expect(newest).toContain('<a href="/dashboard/cases?status=open&amp;sort=amount">Amount</a>')

  const byAmount = (await manager.get("/dashboard/cases?status=open&sort=amount")).html
  expect(headOf(byAmount)).toContain(
    'aria-sort="descending"><a href="/dashboard/cases?status=open&amp;sort=amount">Amount',
  )
  expect(headOf(byAmount)).toContain('<a href="/dashboard/cases?status=open">Opened</a>')
  expect(byAmount.indexOf("/dashboard/cases/case_3")).toBeLessThan(byAmount.indexOf("/dashboard/cases/case_1"))
  expect(byAmount).toContain('<input type="hidden" name="sort" value="amount"/>')
  expect(byAmount).toContain("/dashboard/cases/export?status=open&amp;sort=amount")

  const oldest = headOf((await manager.get("/dashboard/cases?sort=oldest")).html)
  expect(oldest).toContain('aria-sort="ascending"><a href="/dashboard/cases">Opened</a>')

  const lost = headOf((await manager.get("/dashboard/cases?status=lost&sort=amount")).html)
  expect(lost).toContain('aria-sort="descending"><a href="/dashboard/cases?status=lost&amp;sort=oldest">Opened</a>')
  expect(lost).toContain('<a href="/dashboard/cases?status=lost&amp;sort=closed">Closed</a>')

  await manager.post("/dashboard/cases/views", { name: "Largest", status: "open", sort: "amount" })
  expect((await manager.get("/dashboard/cases")).html).toContain(
    '<a href="/dashboard/cases?sort=amount&amp;status=open">Largest</a>',
  )
})
