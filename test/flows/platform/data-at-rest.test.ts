/**
 * Personal data is encrypted at rest, and in no log, queue or cache: canary values are sent and searched for. Over 300 lines
 * because one set of canaries is searched everywhere.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { parseKeyRing } from "../../../shared/crypto/key-ring.ts"
import { open, payloadPurpose } from "../../../shared/crypto/seal.ts"
import { newApiKey } from "../../support/actions/companies.ts"
import { caseOf, failWhopPayment, linksIn, messages, sendNewCustomer } from "../../support/actions/members.ts"
import { fresh, invoiceEvent, post, sendStripe, stripeSignature } from "../../support/events/providers.ts"
import { qstash, redis } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import {
  advanceClock,
  api,
  mailbox,
  reset,
  setFault,
  sql,
  waitUntilProcessed,
  world,
  worldNow,
} from "../../support/world/world.ts"

beforeEach(reset)
afterEach(async () => {
  vi.restoreAllMocks()
  for (const target of ["postgres", "qstash", "stripe-api", "email"]) await setFault(target, "off")
})

/** Values that appear nowhere else in the world. */
const CANARIES = {
  name: "Zephyrine Quillfeather",
  email: "zephyrine.canary@example.com",
  phone: "+4915550009137",
  page: "https://invoice.stripe.com/i/acct_canary/personal_page",
  whopName: "Balthasar Nightjar",
  whopUser: "nightjar_canary",
  whopEmail: "balthasar.canary@example.com",
} as const

/** Each canary as text, and as it looks in a bytea column or in base64. */
const needles = Object.values(CANARIES).flatMap((value) => [
  value,
  Buffer.from(value).toString("hex"),
  ...[0, 1, 2].map((shift) =>
    Buffer.from(`${"x".repeat(shift)}${value}`)
      .toString("base64")
      .slice(shift + 1, -4),
  ),
])

const found = (haystack: string): string[] =>
  needles.filter((needle) => haystack.toLowerCase().includes(needle.toLowerCase()))

async function stripeEvents() {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await sendNewCustomer(customer, { name: CANARIES.name, email: CANARIES.email, phone: CANARIES.phone })
  await sendStripe(await failure(customer, invoice))
  return { customer, invoice }
}

const failure = async (customer: string, invoice: string) =>
  invoiceEvent({
    type: "invoice.payment_failed",
    at: await worldNow(),
    customer,
    invoice,
    more: {
      customer_name: CANARIES.name,
      customer_email: CANARIES.email,
      customer_phone: CANARIES.phone,
      hosted_invoice_url: CANARIES.page,
      description: CANARIES.name,
      metadata: { note: CANARIES.email },
    },
  })

const whopEvents = () =>
  failWhopPayment(
    { user: `user_${Date.now()}`, membership: fresh("mem"), payment: fresh("pay") },
    { name: CANARIES.whopName, username: CANARIES.whopUser, email: CANARIES.whopEmail },
  )

/** Every row of every table, as text. */
async function everythingInPostgres(): Promise<string> {
  const tables = await sql<{ name: string }>(
    `select c.relname as name from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`,
  )
  const texts: string[] = []
  for (const { name } of tables) {
    for (const { row } of await sql<{ row: string }>(`select t::text as row from ${name} t`))
      texts.push(`${name} ${row}`)
  }
  return texts.join("\n")
}

const READERS: Readonly<Record<string, readonly string[]>> = {
  string: ["GET"],
  hash: ["HGETALL"],
  set: ["SMEMBERS"],
  list: ["LRANGE", "0", "-1"],
  zset: ["ZRANGE", "0", "-1"],
  stream: ["XRANGE", "-", "+"],
}

/** Every key of Redis with its value. */
async function everythingInRedis(): Promise<string> {
  const texts: string[] = []
  for (const key of await redis<string[]>("KEYS", "*")) {
    const [command, ...rest] = READERS[await redis<string>("TYPE", key)] ?? []
    if (command === undefined) throw new Error("a type that is not looked into")
    texts.push(key, JSON.stringify(await redis(command, key, ...rest)))
  }
  return texts.join("\n")
}

/** Messages, dead letters and logs of QStash. */
const everythingAtQstash = async (): Promise<string> =>
  JSON.stringify([await qstash("/v2/messages"), await qstash("/v2/dlq"), await qstash("/v2/events")])

describe("canaries", () => {
  test("are in the message to the member, and in no row, key or queue", async () => {
    const { invoice } = await stripeEvents()
    await whopEvents()
    const sent = await messages(2)
    const toMember = sent.find(({ to }) => to === CANARIES.email)
    expect(toMember?.body).toContain("Zephyrine")
    if (toMember === undefined) throw new Error("no message")
    await fetch(linksIn(toMember).link, { redirect: "manual" })
    expect((await api(`/api/cases/${(await caseOf(invoice)).id}/nudge`, { method: "POST" })).status).toBe(202)
    await messages(3)
    await fetch(linksIn(toMember).unsubscribe, { method: "POST" })
    await advanceClock("PT1H")

    const rows = await everythingInPostgres()
    expect(rows).toContain(invoice) // the search works
    expect(found(rows)).toEqual([])
    expect(found(await everythingInRedis())).toEqual([])
    expect(found(await everythingAtQstash())).toEqual([])
  })

  test("are encrypted in the fallback queue as well", async () => {
    await setFault("postgres", "down")
    const [customer, first, second] = [fresh("cus"), fresh("in"), fresh("in")]
    expect((await sendStripe(await failure(customer, first))).status).toBe(200)
    const waiting = await everythingAtQstash()
    expect(waiting).toContain("/jobs/ingest")
    await setFault("qstash", "down")
    expect((await sendStripe(await failure(customer, second))).status).toBe(200)
    const fallback = await everythingInRedis()
    expect(fallback).toContain("parked:deliveries")
    await setFault("qstash", "off")
    expect(found(waiting)).toEqual([])
    expect(found(fallback)).toEqual([])
  })

  test("are in no log line, whatever fails", async () => {
    const lines: string[] = []
    for (const level of ["debug", "log", "info", "warn", "error"] as const) {
      vi.spyOn(console, level).mockImplementation((...values) => void lines.push(values.map(String).join(" ")))
    }
    const deliver = async (body: string, signature?: string) => {
      const timestamp = Math.floor((await worldNow()).getTime() / 1_000)
      const headers = { "stripe-signature": signature ?? (await stripeSignature(body, timestamp)) }
      const url = `${world().vars.APP_URL}/api/webhooks/stripe`
      return runInProcess(new Request(url, { method: "POST", body, headers }), null)
    }
    const bodyOf = async () => JSON.stringify(await failure(fresh("cus"), fresh("in")))
    await deliver(await bodyOf())
    await deliver(await bodyOf(), "t=1,v1=00")
    await deliver((await bodyOf()).slice(0, -2))
    for (const [target, mode] of [
      ["postgres", "down"],
      ["postgres", "drop"],
      ["postgres", "error"],
      ["qstash", "down"],
      ["qstash", "error"],
    ] as const) {
      await setFault(target, mode)
      await deliver(await bodyOf())
      await setFault(target, "off")
    }
    const [invoice] = await sql<{ id: string }>("select invoice_id as id from recovery_cases limit 1")
    const nudge = (mode: string) =>
      setFault("email", mode).then(() =>
        runInProcess(
          new Request(`${world().vars.APP_URL}/jobs/nudges`, {
            method: "POST",
            headers: { authorization: `Bearer ${world().adminApiKey}` },
            body: JSON.stringify({
              companyId: world().companyId,
              nudgeIds: [`payment_${invoice?.id}.0.email`],
              owner: null,
            }),
          }),
          null,
        ),
      )
    for (const mode of ["error", "drop", "off"]) await nudge(mode)
    const asked = new Request(`${world().vars.APP_URL}/api/customers?providerCustomerId=${CANARIES.email}`)
    await runInProcess(asked, null)

    expect(lines.length).toBeGreaterThan(8)
    expect(lines.join("\n")).toContain("webhook_recorded")
    expect(found(lines.join("\n"))).toEqual([])
    const secrets = ["DATABASE_URL", "STRIPE_WEBHOOK_SECRET", "QSTASH_TOKEN", "ADMIN_API_KEY", "ENCRYPTION_KEYS"]
    for (const name of secrets) {
      const value = world().vars[name] ?? ""
      expect([name, lines.join("\n").includes(value)]).toEqual([name, false])
    }
  })

  test("are in no answer to a role that may not see them, and in no error", async () => {
    const { customer } = await stripeEvents()
    await waitUntilProcessed()
    const analyst = await newApiKey("success-analyst")
    const manager = await newApiKey("success-manager")
    for (const path of [`/api/customers/${customer}`, "/api/customers", "/api/cases", `/api/cases/payment_x`]) {
      expect([path, found(JSON.stringify((await api(path, { key: analyst })).body))]).toEqual([path, []])
    }
    const shown = await api(`/api/customers/${customer}`, { key: manager })
    expect(shown.body).toMatchObject({ name: CANARIES.name, email: CANARIES.email })
    const asked = encodeURIComponent(CANARIES.email)
    for (const path of [`/api/customers/${asked}`, `/api/cases?${asked}=1`, `/api/cases?status=${asked}`]) {
      const { status, body } = await api(path)
      expect([path, status >= 400 && found(JSON.stringify(body))]).toEqual([path, []])
    }
  })
})

describe("a sealed payload", () => {
  test("opens with the key ring in its place, and is byte for byte what was sent", async () => {
    const body = `${JSON.stringify(await failure(fresh("cus"), fresh("in")))} \n`
    const timestamp = Math.floor((await worldNow()).getTime() / 1_000)
    const headers = { "stripe-signature": await stripeSignature(body, timestamp) }
    const { body: answer } = await post("/api/webhooks/stripe", body, headers)
    const [row] = await sql<{ payload: Buffer; received_at: Date }>(
      "select payload, received_at from webhook_events where id = $1",
      [answer.id],
    )
    if (row === undefined) throw new Error("no event")
    const ring = parseKeyRing(world().vars.ENCRYPTION_KEYS ?? "")
    if (!ring.ok) throw new Error("no key ring")
    const place = (companyId: string) => ({
      purpose: payloadPurpose(companyId, row.received_at),
      context: ["webhook_events", "payload", String(answer.id), companyId],
    })
    const opened = await open(ring.value, place(world().companyId), row.payload)
    expect(Buffer.from(opened).equals(Buffer.from(body))).toBe(true)
    await expect(open(ring.value, place("another_company"), row.payload)).rejects.toThrow("not_authentic")
  })

  test("of another event does not open in its place: the event is dead, and has no effect", async () => {
    const { invoice } = await stripeEvents()
    const other = await stripeEvents()
    await waitUntilProcessed()
    const before = await sql("select id, state - 'outreach' as state from customers order by id")
    const [first, second] = await sql<{ id: string }>(
      "select id from webhook_events where type = 'invoice.payment_failed' order by received_at",
    )
    await sql("update webhook_events e set payload = o.payload from webhook_events o where e.id = $1 and o.id = $2", [
      first?.id,
      second?.id,
    ])
    const replayed = await api(`/api/events/${first?.id}/replay`, { method: "POST" })
    expect(replayed.body).toMatchObject({ status: "dead" })
    expect((await api(`/api/events/${first?.id}`)).body).toMatchObject({ error: "payload_does_not_open" })
    expect(await sql("select id, state - 'outreach' as state from customers order by id")).toEqual(before)
    expect((await caseOf(invoice)).customerId).not.toBe((await caseOf(other.invoice)).customerId)
  })
})

describe("a sealed contact", () => {
  const swap = (table: string, column: string, [one, other]: readonly [string, string]) =>
    sql(
      `update ${table} t set ${column} = o.${column} from ${table} o
       where t.customer_id = any ($1) and o.customer_id = any ($1) and o.customer_id <> t.customer_id`,
      [[`stripe_${one}`, `stripe_${other}`]],
    )

  test.each([
    ["customer_pii", "sealed", false],
    ["customer_keys", "wrapped", false],
    ["customer_pii", "sealed", true],
  ])(
    "in another customer's row (%s.%s, with the key: %s) is an error, and never their data",
    async (table, column, both) => {
      const [ann, bob] = [fresh("cus"), fresh("cus")]
      await sendNewCustomer(ann, { name: "Ann Canary", email: "ann.canary@example.com" })
      await sendNewCustomer(bob, { name: "Bob Canary", email: "bob.canary@example.com" })
      await waitUntilProcessed()
      expect((await api(`/api/customers/${ann}`)).body).toMatchObject({ name: "Ann Canary" })
      await swap(table, column, [ann, bob])
      if (both) await swap("customer_keys", "wrapped", [ann, bob])
      for (const path of [`/api/customers/${ann}`, `/api/customers/${bob}`, "/api/customers"]) {
        const { status, body } = await api(path)
        expect([path, status, body.code]).toEqual([path, 500, "INTERNAL"])
        expect(JSON.stringify(body)).not.toMatch(/canary|sealed|authentic/i)
      }
    },
  )

  test("that does not open sends no message", async () => {
    const [ann, bob] = [fresh("cus"), fresh("cus")]
    await sendNewCustomer(ann, { name: "Ann Canary", email: "ann.canary@example.com" })
    await sendNewCustomer(bob, { name: "Bob Canary", email: "bob.canary@example.com" })
    await waitUntilProcessed()
    await swap("customer_pii", "sealed", [ann, bob])
    await setFault("qstash", "down")
    const invoice = fresh("in")
    const more = { customer_email: null, customer_name: null, hosted_invoice_url: null }
    await sendStripe(
      invoiceEvent({ type: "invoice.payment_failed", at: await worldNow(), customer: ann, invoice, more }),
    )
    await waitUntilProcessed()
    await setFault("qstash", "off")
    await advanceClock("PT20M")
    expect(await mailbox()).toEqual([])
  })
})

test("a token in a link contains no personal data", async () => {
  await stripeEvents()
  const [message] = await messages(1)
  if (message === undefined) throw new Error("no message")
  const { link } = linksIn(message)
  const claims = Buffer.from(link.slice(link.lastIndexOf("/") + 1), "base64url").toString("latin1")
  expect(claims).toContain(world().companyId)
  expect(found(claims)).toEqual([])
})
