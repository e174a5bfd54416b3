import Whop from "@whop/sdk"
import { afterEach, beforeEach, expect, test } from "vitest"
import { createMailbox } from "../channels/mailbox.ts"
import { createFaults } from "../faults.ts"
import type { ProviderApiServer } from "./stripe.ts"
import { startWhopApi, WHOP_BASE_PATH } from "./whop.ts"

const NOW = new Date("2026-05-01T00:00:00Z")
let server: ProviderApiServer
let whop: Whop

const daysAgo = (days: number): string => new Date(NOW.getTime() - days * 86_400_000).toISOString()

async function createObject(kind: string, id: string, object: object): Promise<void> {
  const response = await fetch(`${server.url}/__objects/${kind}/${id}`, { method: "PUT", body: JSON.stringify(object) })
  expect(response.status).toBe(200)
}

beforeEach(async () => {
  const mailbox = createMailbox(() => NOW)
  server = await startWhopApi({ mailbox, faults: createFaults(), apiKey: "key", now: () => NOW })
  whop = new Whop({ apiKey: "key", baseURL: `${server.url}${WHOP_BASE_PATH}`, maxRetries: 0 })
})
afterEach(() => server.stop())

test("the SDK reads all pages of payments, within the requested times", async () => {
  for (let n = 1; n <= 25; n += 1)
    await createObject("payments", `pay_${n}`, {
      company: { id: "biz_1" },
      created_at: daysAgo(n),
      updated_at: daysAgo(n),
    })
  await createObject("payments", "pay_other", {
    company: { id: "biz_2" },
    created_at: daysAgo(5),
    updated_at: daysAgo(5),
  })
  const ids: string[] = []
  const window = { updated_after: daysAgo(20.5), updated_before: daysAgo(2.5) }
  for await (const { id } of whop.payments.list({ company_id: "biz_1", first: 7, ...window })) ids.push(id)
  expect(ids).toEqual(Array.from({ length: 18 }, (_, index) => `pay_${index + 3}`))
})

test("the delivery log shows the attempts of one endpoint, the latest first, for thirty days", async () => {
  await createObject("webhooks", "hook_1", { url: "https://a.example", api_version: "v1", enabled: true })
  for (const days of [1, 2, 29, 31])
    await createObject("webhook_deliveries", `whdel_${days}`, {
      ...{ webhook_id: "hook_1", sent_at: daysAgo(days), request_body: { id: `msg_${days}` } },
    })
  await createObject("webhook_deliveries", "whdel_other", {
    webhook_id: "hook_2",
    sent_at: daysAgo(1),
    request_body: {},
  })
  const read = async (path: string) => {
    const response = await fetch(`${server.url}${WHOP_BASE_PATH}${path}`, { headers: { authorization: "Bearer key" } })
    return { status: response.status, body: (await response.json()) as { data: { id: string }[]; page_info: object } }
  }
  const first = await read("/webhooks/hook_1/deliveries?first=2")
  expect(first.body.data).toMatchObject([
    { id: "whdel_1", request_body: { id: "msg_1" }, replayed_from: null },
    { id: "whdel_2" },
  ])
  expect(first.body.page_info).toMatchObject({ end_cursor: "whdel_2", has_next_page: true })
  const second = await read("/webhooks/hook_1/deliveries?first=2&after=whdel_2")
  expect(second.body.data.map(({ id }) => id)).toEqual(["whdel_29"])
  expect(second.body.page_info).toMatchObject({ end_cursor: null, has_next_page: false })
  expect((await read("/webhooks/hook_none/deliveries")).status).toBe(404)
  const listed: string[] = []
  for await (const { id } of whop.webhooks.list({ company_id: "biz_1" })) listed.push(id)
  expect(listed).toEqual(["hook_1"])
})
