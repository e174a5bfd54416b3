/** The server-sent events for case changes: access, content, and that Redis is not written to while no page is open. */
import { afterEach, beforeEach, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { signedInWith, type Visitor, visitor } from "../../support/actions/dashboard.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { redis } from "../../support/world/external-services.ts"
import { reset, setFault, waitFor, waitUntilProcessed, world } from "../../support/world/world.ts"

const PATH = "/dashboard/changes"

beforeEach(reset)

const open: AbortController[] = []
afterEach(async () => {
  for (const connection of open.splice(0)) connection.abort()
  await setFault("redis", "off")
})

/** A connection as a browser holds it: its headers, and what has arrived so far. */
async function connect(someone: Visitor, headers: Readonly<Record<string, string>> = {}) {
  const connection = new AbortController()
  open.push(connection)
  const response = await fetch(`${world().workerUrl}${PATH}`, {
    headers: { cookie: someone.cookie(), ...headers },
    signal: connection.signal,
  })
  let text = ""
  const read = async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk
  }
  void read().catch(() => undefined) // ends with the connection
  return { status: response.status, headers: response.headers, text: () => text }
}

/** An event with changes, with its id, which begins with the time in milliseconds. */
const EVENT = /id: (\d+-\d+)\ndata: (\[\{.*\}\])\n\n/

const streams = async () => (await redis<string[]>("KEYS", "live:*")).sort()

test("a new case is sent within seconds to its own company, with id, kind and status only", async () => {
  await addCompany("another")
  const [own, another] = await Promise.all([
    connect(await signedInWith(await newApiKey("success-analyst"))),
    connect(await signedInWith(await newApiKey("success-analyst", "another"))),
  ])
  expect(own.status).toBe(200)
  expect(own.headers.get("content-type")).toBe("text/event-stream")
  expect(own.headers.get("cache-control")).toBe("no-store")
  const invoice = fresh("in")
  await failPayment(fresh("cus"), invoice)
  await waitFor(async () => own.text().includes(invoice))
  const [, id = "", data] = EVENT.exec(own.text()) ?? []
  expect(JSON.parse(data ?? "")).toEqual([{ caseId: `payment_${invoice}`, kind: "payment", status: "open" }])
  expect(another.text()).not.toContain("payment_")

  const again = await connect(await signedInWith(await newApiKey("success-analyst")), { "last-event-id": id })
  await failPayment(fresh("cus"), fresh("in"))
  await waitFor(async () => again.text().includes("data: [{"))
  expect(again.text()).toContain(`retry: 3000\nid: ${id}\n`)
  expect(Number.parseInt(EVENT.exec(again.text())?.[1] ?? "", 10)).toBeGreaterThan(Number.parseInt(id, 10))
})

test("nothing is written while no page is open", async () => {
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  expect(await streams()).toEqual([])
  await connect(await signedInWith(world().adminApiKey))
  expect(await streams()).toEqual([`live:changes:${world().companyId}`, "live:watched"])
  expect(await redis<number>("TTL", "live:watched")).toBeLessThanOrEqual(180)
})

test("a stream requires a session, and answers 503 without Redis", async () => {
  const signedOut = await connect(visitor())
  expect(signedOut.headers.get("content-type")).toContain("text/html")
  const operator = await signedInWith(world().adminApiKey)
  await setFault("redis", "down")
  expect((await connect(operator)).status).toBe(503)
})

test("the policy allows our script on live pages, and no script on others", async () => {
  const operator = await signedInWith(world().adminApiKey)
  const script = '<script type="module" src="/dashboard/live.js"></script>'
  for (const path of ["/dashboard", "/dashboard/cases"]) {
    const { html, headers } = await operator.get(path)
    expect(html.match(/<script/g), path).toHaveLength(1)
    expect(html).toContain(script)
    expect(headers.get("content-security-policy")).toContain("; script-src 'self'; connect-src 'self'")
  }
  const { html, headers } = await operator.get("/dashboard/customers")
  expect(html).not.toContain("<script")
  expect(headers.get("content-security-policy")).not.toContain("script-src")
})
