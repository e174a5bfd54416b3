/** How often pages ask Postgres: the round trips of a page add up to the time that a person waits. */
import { beforeEach, expect, test } from "vitest"
import { newApiKey } from "../../support/actions/companies.ts"
import { signedInWith } from "../../support/actions/dashboard.ts"
import { failPayment } from "../../support/actions/members.ts"
import { fresh } from "../../support/events/providers.ts"
import { modelText, upload } from "../../support/models/scoring.ts"
import { setSwitchForAll } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import { advanceClock, api, reset, sql, waitUntilProcessed, world } from "../../support/world/world.ts"

beforeEach(reset)

/** The session, what the page shows, and what depends on the answer. */
const ROUND_TRIPS_MAX = 3

const LISTS = [
  "",
  "?days=180",
  "/cases",
  "/cases?status=open&kind=payment&declineCode=insufficient_funds",
  "/customers",
  "/customers?riskLevel=high",
  "/messages",
  "/templates",
  "/segments",
  "/interventions",
  "/models",
  "/events",
  "/imports",
  "/jobs",
  "/flags",
  "/set-up",
  "/settings",
  "/credentials",
  "/people",
  "/companies",
]

test("no page makes more than three round trips to Postgres", async () => {
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await failPayment(customer, invoice)
  await waitUntilProcessed()
  await setSwitchForAll("ADVANCED_SEGMENTATION", true)
  await advanceClock("PT10S") // this process may have read the flags less than five seconds ago, for an earlier test
  await newApiKey("admin")
  const [event] = await sql<{ id: string }>("select id from webhook_events limit 1")
  const operator = await signedInWith(world().adminApiKey)
  const ones = [
    `/cases/payment_${invoice}`,
    `/customers/${customer}`,
    `/events/${event?.id}`,
    "/jobs/reminders",
    `/segments/${(await segment()).id}`,
    `/models/${await model()}`,
  ]
  const counted: Record<string, number> = {}
  for (const path of [...LISTS, ...ones].map((rest) => `/dashboard${rest}`)) {
    const request = () => new Request(`${world().workerUrl}${path}`, { headers: { cookie: operator.cookie() } })
    // The first one fills the isolate's caches.
    await runInProcess(request(), null)
    const { status, callsTo } = await runInProcess(request(), null)
    expect([path, status]).toEqual([path, 200])
    counted[path] = callsTo(world().vars.DATABASE_FETCH_ENDPOINT ?? "")
  }
  expect(Object.entries(counted).filter(([, calls]) => calls > ROUND_TRIPS_MAX || calls < 1)).toEqual([])
})

async function segment(): Promise<{ readonly id: string }> {
  const { body } = await api<{ id: string }>("/api/segments", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "all", rule: { field: "optedOut", is: false } }),
  })
  return body
}

async function model(): Promise<string> {
  const { body } = await upload((await modelText()).text)
  return body.id
}
