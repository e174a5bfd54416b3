/** Open pages that show changes without a reload. */
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, expect, test } from "vitest"
import { failPayment } from "../support/actions/members.ts"
import { launch, openWindow, pageUrl, signIn } from "../support/browser.ts"
import { fresh, invoiceEvent, sendStripe } from "../support/events/providers.ts"
import { reset, waitFor, waitUntilProcessed, worldNow } from "../support/world/world.ts"

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser.close())

/** A mark in the page that a reload would remove. */
const mark = (page: Page) => page.evaluate(() => document.body.setAttribute("data-same", "yes"))
const isSame = (page: Page) => page.evaluate(() => document.body.getAttribute("data-same") === "yes")

const rows = (page: Page) => page.getByRole("table", { name: "Cases" }).getByRole("link", { name: "Failed payment" })

/** Goes to a page, and waits until it is told of changes. */
async function openLive(page: Page, path: string): Promise<void> {
  const connected = page.waitForResponse((response) => response.url().endsWith("/dashboard/changes"))
  await page.goto(pageUrl(path))
  expect((await connected).headers()["content-type"]).toBe("text/event-stream")
  await mark(page)
}

test("a failed payment appears in the open list, and its recovery in the open case, without a reload", async () => {
  await reset()
  const { page, complaints, close } = await openWindow(browser)
  await signIn(page)
  await openLive(page, "/dashboard/cases")
  const [customer, invoice] = [fresh("cus"), fresh("in")]
  await failPayment(customer, invoice)
  await rows(page).first().waitFor()
  await page.getByText(/^Updated at /).waitFor({ state: "attached" })
  expect(await isSame(page)).toBe(true)

  await openLive(page, `/dashboard/cases/payment_${invoice}`)
  expect(await page.getByRole("heading", { name: "Act" }).count()).toBe(1)
  await sendStripe(invoiceEvent({ type: "invoice.paid", at: await worldNow(), customer, invoice }))
  await page.locator(".heading").getByText("Recovered").waitFor()
  expect(await page.getByRole("heading", { name: "Act" }).count()).toBe(0)
  expect(await isSame(page)).toBe(true)
  expect(complaints).toEqual([])
  await close()
})

test("a selected case and the focus stay, and the list is current when they are left", async () => {
  await reset()
  await failPayment(fresh("cus"), fresh("in"))
  await waitUntilProcessed()
  const { page, complaints, close } = await openWindow(browser)
  await signIn(page)
  await openLive(page, "/dashboard/cases?status=open")
  const box = page.getByRole("checkbox").first()
  await box.check()
  const loaded = page.waitForResponse((response) => response.url().includes("/dashboard/cases?status=open"))
  await failPayment(fresh("cus"), fresh("in"))
  await loaded
  expect(await box.isChecked()).toBe(true)
  expect(await rows(page).count()).toBe(1)
  await box.uncheck()
  await page.getByLabel("Cause").focus()
  await rows(page).nth(1).waitFor()
  expect(await page.getByLabel("Cause").evaluate((field) => field === document.activeElement)).toBe(true)
  expect(await isSame(page)).toBe(true)
  expect(complaints).toEqual([])
  await close()
})

test("a stream that has ended is continued with the id of its last event", async () => {
  await reset()
  const { page, complaints, close } = await openWindow(browser)
  await signIn(page)
  let connections = 0
  const ids: (string | undefined)[] = []
  await page.route("**/dashboard/changes", async (route) => {
    connections += 1
    ids.push(route.request().headers()["last-event-id"])
    if (connections > 1) return route.continue()
    return route.fulfill({ contentType: "text/event-stream", body: "retry: 10\nid: 5-0\n\n:\n\n" })
  })
  await page.goto(pageUrl("/dashboard/cases"))
  await waitFor(async () => ids.length > 1)
  expect(ids.slice(0, 2)).toEqual([undefined, "5-0"])
  await failPayment(fresh("cus"), fresh("in"))
  await rows(page).first().waitFor()
  expect(complaints).toEqual([])
  await close()
})
