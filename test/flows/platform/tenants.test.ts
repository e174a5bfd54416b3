/**
 * A company can access its own data only, in the database itself and on every route. Over 300 lines because both are checked
 * on the same data.
 */
import pg from "pg"
import { beforeEach, describe, expect, test } from "vitest"
import { utf8 } from "../../../shared/crypto/bytes.ts"
import { parseKeyRing } from "../../../shared/crypto/key-ring.ts"
import { seal } from "../../../shared/crypto/seal.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { caseOf, failPayment, messages, payInvoice } from "../../support/actions/members.ts"
import { fresh, invoiceEvent, sendStripe, stripeSecrets } from "../../support/events/providers.ts"
import { api, reset, sql, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

const A = world().companyId

/** A failed payment of a member, of company A or, through its own endpoint, of another one. */
async function live(companyId = A) {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  const options = companyId === A ? {} : { path: `/api/webhooks/stripe/${companyId}` }
  const { status, body } = await failPayment(customer, invoice, {}, options)
  expect(status).toBe(200)
  await waitUntilProcessed()
  return { customer, invoice, eventId: String(body.id), caseId: `payment_${invoice}` }
}

/** Works as the Worker's role, within a company or, with null, within none. */
async function asWorker<T>(companyId: string | null, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: world().vars.DATABASE_URL })
  await client.connect()
  try {
    if (companyId !== null) await client.query("select set_config('app.company_id', $1, false)", [companyId])
    return await work(client)
  } finally {
    await client.end()
  }
}

const sqlStateOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : error)

const INSUFFICIENT_PRIVILEGE = "42501"

/** Tables with a company; partitions are tables as well. */
const tenantTables = async ({ partitions }: { readonly partitions: boolean }) =>
  (
    await sql<{ name: string }>(
      `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'company_id'
         and not a.attisdropped and ($1 or not c.relispartition) order by 1`,
      [partitions],
    )
  ).map(({ name }) => name)

describe("the database", () => {
  test("has row-level security enabled and forced for every table with a company and each of its partitions", async () => {
    const open = await sql(
      `select c.relname from pg_class c
       where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
         and (c.relname = 'companies' or exists (
           select from pg_attribute a where a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped))
         and not (c.relrowsecurity and c.relforcerowsecurity)`,
    )
    expect(open).toEqual([])
    expect((await tenantTables({ partitions: true })).length).toBeGreaterThan(20)
  })

  test("lets the Worker's role own nothing, assume no other role and bypass no policy", async () => {
    const [role] = await sql(
      "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles where rolname = 'churn_worker'",
    )
    expect(new Set(Object.values(role ?? {}))).toEqual(new Set([false]))
    const [owned] = await sql<{ count: string }>(
      `select (select count(*) from pg_class where relowner = 'churn_worker'::regrole)
        + (select count(*) from pg_proc where proowner = 'churn_worker'::regrole)
        + (select count(*) from pg_namespace where nspowner = 'churn_worker'::regrole)
        + (select count(*) from pg_auth_members where member = 'churn_worker'::regrole) as count`,
    )
    expect(owned?.count).toBe("0")
    expect(
      await sql("select rolcanlogin, rolbypassrls, rolsuper from pg_roles where rolname = 'churn_system'"),
    ).toEqual([{ rolcanlogin: false, rolbypassrls: false, rolsuper: false }])
  })

  test("shows the Worker's role no row without a company, and of two companies only the current one", async () => {
    const B = fresh("company")
    await addCompany(B)
    await newApiKey("admin", B)
    await live()
    await live(B)
    for (const table of await tenantTables({ partitions: false })) {
      const seen = (companyId: string | null) =>
        asWorker(companyId, async (client) => {
          const { rows } = await client.query<{ company_id: string }>(`select distinct company_id from ${table}`)
          return rows.map((row) => row.company_id)
        })
      const [present] = await sql<{ of_a: boolean; of_b: boolean }>(
        `select bool_or(company_id = $1) as of_a, bool_or(company_id = $2) as of_b from ${table}`,
        [A, B],
      )
      expect([table, await seen(null)]).toEqual([table, []])
      expect([table, await seen(A)]).toEqual([table, present?.of_a ? [A] : []])
      expect([table, await seen(B)]).toEqual([table, present?.of_b ? [B] : []])
      expect([table, await seen("nobody")]).toEqual([table, []])
    }
    expect(await asWorker(null, async (client) => (await client.query("select 1 from companies")).rowCount)).toBe(0)
    expect(await asWorker(B, async (client) => (await client.query("select id from companies")).rows)).toEqual([
      { id: B },
    ])
  })

  test("allows no access to a partition without its parent", async () => {
    await live()
    const partitions = (await tenantTables({ partitions: true })).filter((name) => /_(\d{4}_\d{2}|default)$/.test(name))
    expect(partitions.length).toBeGreaterThanOrEqual(8)
    for (const partition of partitions) {
      const refused = await asWorker(A, (client) => client.query(`select 1 from ${partition}`)).catch(sqlStateOf)
      expect([partition, refused]).toEqual([partition, INSUFFICIENT_PRIVILEGE])
    }
  })

  test("refuses a row of another company, in every table", async () => {
    const B = fresh("company")
    await addCompany(B)
    await live()
    await newApiKey("admin")
    for (const table of await tenantTables({ partitions: false })) {
      const [sample] = await sql<{ row: object }>(`select to_jsonb(t) as row from ${table} t limit 1`)
      const row = JSON.stringify({ ...sample?.row, company_id: B })
      const insert = `insert into ${table} select (jsonb_populate_record(null::${table}, $1)).*`
      const refused = await asWorker(A, (client) => client.query(insert, [row])).catch(sqlStateOf)
      expect([table, refused]).toEqual([table, INSUFFICIENT_PRIVILEGE])
      if (sample === undefined) continue
      const moved = await asWorker(A, (client) => client.query(`update ${table} set company_id = $1`, [B])).catch(
        sqlStateOf,
      )
      expect([table, moved]).toEqual([table, INSUFFICIENT_PRIVILEGE])
    }
  })

  test("does not let the Worker change or empty the ledger, the event keys and the companies", async () => {
    await live()
    for (const statement of [
      "update facts set kind = 'payment_succeeded'",
      "delete from facts",
      "update webhook_event_keys set event_id = gen_random_uuid()",
      "delete from webhook_event_keys",
      "delete from webhook_events",
      "delete from consents",
      "insert into companies (id, name) values ('x', 'x')",
      "truncate facts",
      "alter table facts disable row level security",
      "create table mine (id int)",
    ]) {
      const refused = await asWorker(A, (client) => client.query(statement)).catch(sqlStateOf)
      expect([statement, refused]).toEqual([statement, INSUFFICIENT_PRIVILEGE])
    }
  })

  test("creates the partitions of a month once, also concurrently", async () => {
    const [partitioned] = await sql<{ tables: number }>(
      "select count(*)::int as tables from pg_class where relnamespace = 'public'::regnamespace and relkind = 'p'",
    )
    const far = "select ensure_partitions('2031-01-15', 3) as made"
    const made = await Promise.all(Array.from({ length: 6 }, () => asWorker(null, (client) => client.query(far))))
    expect(made.map(({ rows }) => Number(rows[0]?.made)).sort((a, b) => a - b)).toEqual([
      0,
      0,
      0,
      0,
      0,
      4 * (partitioned?.tables ?? 0),
    ])
    const [row] = await sql<{ guarded: boolean }>(
      "select bool_and(relrowsecurity and relforcerowsecurity) as guarded from pg_class where relname like '%\\_2031\\_0_'",
    )
    expect(row?.guarded).toBe(true)
  })
})

describe("a key of another company", () => {
  test("reads that company only, on every route, and nothing by the ids of the first", async () => {
    const B = fresh("company")
    await addCompany(B)
    const own = await live()
    const other = await live(B)
    await payInvoice(own.customer, own.invoice)
    await waitUntilProcessed()
    const key = await newApiKey("admin", B)

    const ids = async (path: string) =>
      (await api<{ data: { id: string }[] }>(path, { key })).body.data.map(({ id }) => id)
    expect(await ids("/api/events")).toEqual([other.eventId])
    expect(await ids("/api/cases")).toEqual([other.caseId])
    expect((await ids("/api/nudges")).every((id) => id.startsWith(other.caseId))).toBe(true)
    expect(await ids("/api/customers")).toEqual([`stripe_${other.customer}`])
    for (const path of [
      `/api/cases?invoiceId=${own.invoice}`,
      `/api/cases?customerId=${own.customer}`,
      `/api/events?customerId=stripe_${own.customer}`,
      `/api/customers?providerCustomerId=${own.customer}`,
    ]) {
      expect([path, await ids(path)]).toEqual([path, []])
    }
    for (const path of [
      `/api/events/${own.eventId}`,
      `/api/cases/${own.caseId}`,
      `/api/customers/${own.customer}`,
      `/api/customers/stripe_${own.customer}`,
    ]) {
      expect([path, (await api(path)).status]).toEqual([path, 200])
      expect([path, (await api(path, { key })).status]).toEqual([path, 404])
    }
    const summary = await api<{ cases: object; recoveredMinor: object }>("/api/summary", { key })
    expect(summary.body).toMatchObject({ cases: { open: 1, recovered: 0 }, recoveredMinor: {} })
  })

  test("writes nothing by the ids of the first, and has its own settings", async () => {
    const B = fresh("company")
    await addCompany(B)
    const own = await live()
    const key = await newApiKey("admin", B)
    for (const path of [
      `/api/cases/${own.caseId}/nudge`,
      `/api/cases/${own.caseId}/close`,
      `/api/events/${own.eventId}/replay`,
    ]) {
      expect([path, (await api(path, { key, method: "POST" })).status]).toEqual([path, 404])
    }
    expect((await caseOf(own.invoice)).status).toBe("open")
    const before = (await api("/api/settings")).body
    const json = { "content-type": "application/json" }
    const saved = await api("/api/settings", { key, method: "PUT", headers: json, body: '{"brandName":"Other"}' })
    expect(saved.status).toBe(200)
    expect((await api("/api/settings", { key })).body).toMatchObject({ brandName: "Other" })
    expect((await api("/api/settings")).body).toEqual(before)
  })

  test("may not name the first company, and an operator who names one sees that one", async () => {
    const B = fresh("company")
    await addCompany(B)
    const other = await live(B)
    const key = await newApiKey("admin", B)
    expect((await api("/api/cases", { key, headers: { "x-company-id": A } })).status).toBe(403)
    expect(await api("/api/cases", { headers: { "x-company-id": "nobody" } })).toMatchObject({
      status: 404,
      body: { code: "NOT_FOUND" },
    })
    const named = await api<{ data: { id: string }[] }>("/api/cases", { headers: { "x-company-id": B } })
    expect(named.body.data.map(({ id }) => id)).toEqual([other.caseId])
  })
})

describe("a delivery", () => {
  test("of a connected account belongs to its company, of an unknown account to none", async () => {
    const B = fresh("company")
    const account = fresh("acct").replace("_", "_1")
    await addCompany(B)
    await sql("insert into company_accounts values ($1, 'stripe', $2)", [B, account])
    const [known, unknown] = [fresh("cus"), fresh("cus")]
    const of = (customer: string, from: string) =>
      sendStripe({
        ...invoiceEvent({ type: "invoice.payment_failed", at: new Date(), customer, invoice: fresh("in") }),
        account: from,
      })
    expect((await of(known, account)).status).toBe(200)
    expect((await of(unknown, fresh("acct"))).status).toBe(200)
    await waitUntilProcessed()
    expect(await sql("select company_id, provider_customer_id as id from customers")).toEqual([
      { company_id: B, id: known },
    ])
    const { body } = await api<{ data: { status: string }[] }>("/api/events?status=unmapped_account")
    expect(body.data).toMatchObject([{ status: "unmapped_account" }])
  })

  test("to a company's own endpoint is accepted with its own secret, and then not with the deployment's", async () => {
    const B = fresh("company")
    await addCompany(B)
    const keys = parseKeyRing(world().vars.ENCRYPTION_KEYS ?? "")
    if (!keys.ok) throw new Error("no key ring")
    const own = "whsec_of_that_company_only_01"
    for (const [id, secret, expires] of [
      ["current", own, null],
      ["retired", "whsec_of_that_company_before", "2020-01-01"],
    ]) {
      const place = { purpose: { name: "secret" }, context: ["webhook_secrets", "sealed", String(id), B] } as const
      const sealed = Buffer.from(await seal(keys.value, place, utf8(String(secret))))
      await sql("insert into webhook_secrets values ($1, $2, 'stripe', $3, $4)", [B, id, sealed, expires])
    }
    const path = `/api/webhooks/stripe/${B}`
    const send = async (secret: string | undefined, to: string) =>
      (await failPayment(fresh("cus"), fresh("in"), {}, { ...(secret !== undefined && { secret }), path: to })).status
    expect(await send(own, path)).toBe(200)
    expect(await send(stripeSecrets()[0], path)).toBe(401)
    expect(await send("whsec_of_that_company_before", path)).toBe(401)
    expect(await send(own, "/api/webhooks/stripe")).toBe(401)
    expect(await send(undefined, "/api/webhooks/stripe/no_such_company")).toBe(404)
  })

  test("of the same event to two companies is two events, one in each", async () => {
    const B = fresh("company")
    await addCompany(B)
    const [customer, invoice, id] = [fresh("cus"), fresh("in"), fresh("evt")]
    await failPayment(customer, invoice, { id })
    const second = await failPayment(customer, invoice, { id }, { path: `/api/webhooks/stripe/${B}` })
    expect(second.body).toMatchObject({ duplicate: false })
    await messages(2)
    expect(await sql("select company_id from recovery_cases order by 1")).toEqual(
      [{ company_id: A }, { company_id: B }].sort((a, b) => (a.company_id < b.company_id ? -1 : 1)),
    )
  })
})
