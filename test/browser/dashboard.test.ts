/** The dashboard in a real browser: the journeys of a success team, and every page in both schemes on both screens. */
import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { caseOf, failPayment, sendNewCustomer } from "../support/actions/members.ts"
import {
  accessibilityFaults,
  type ColorScheme,
  launch,
  openWindow,
  pageUrl,
  picture,
  SCREENS,
  signIn,
} from "../support/browser.ts"
import { fresh } from "../support/events/providers.ts"
import { setSwitchForAll } from "../support/world/external-services.ts"
import { advanceClock, api, mailbox, reset, waitFor, waitUntilProcessed } from "../support/world/world.ts"

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser.close())

const FIRST_NAMES = ["Ann", "Ben", "Cleo"]

/** Up to three members with failed payments; the cases' invoices. */
async function failedMembers(count: number): Promise<readonly string[]> {
  const invoices: string[] = []
  for (let number = 0; number < count; number++) {
    const [customer, invoice] = [fresh("cus"), fresh("in")]
    await sendNewCustomer(customer, { email: `member${number}@example.com`, name: `${FIRST_NAMES[number]} Example` })
    await failPayment(customer, invoice)
    invoices.push(invoice)
  }
  await waitUntilProcessed()
  return invoices
}

const json = { "content-type": "application/json" }

async function addTemplate(caseKind: string): Promise<string> {
  const body = JSON.stringify({ caseKind, words: { subject: "About your plan at {brand}" } })
  return (await api<{ id: string }>("/api/templates", { method: "POST", body, headers: json })).body.id
}

async function startComparison(id: string): Promise<void> {
  const variants = [{ name: "short", words: { subject: "Your plan" } }]
  const body = JSON.stringify({ version: 1, variants })
  const { status } = await api(`/api/templates/${id}/experiment`, { method: "POST", body, headers: json })
  expect(status).toBe(201)
}

describe("a success team", () => {
  test("signs in, finds a case, writes to the member, and the message arrives", async () => {
    await reset()
    await failedMembers(1)
    await advanceClock("P1D")
    const before = (await mailbox()).filter(({ channel }) => channel === "email").length
    const { page, complaints, close } = await openWindow(browser)
    await signIn(page)
    await page.getByRole("link", { name: "Customers" }).click()
    await page.getByLabel("E-mail address").fill("MEMBER0@example.com")
    await page.getByRole("button", { name: "Find" }).click()
    await page.getByRole("link", { name: "Ann Example" }).click()
    await page.getByRole("link", { name: "Failed payment" }).click()
    await page.getByRole("button", { name: "Send a message" }).click()
    await page.getByText("The message is being sent.").waitFor()
    await waitFor(async () => (await mailbox()).filter(({ channel }) => channel === "email").length === before + 1)
    expect(complaints).toEqual([])
    await close()
  })

  test("finds a customer by a part of the name, and adds a webhook secret", async () => {
    await reset()
    await failedMembers(2)
    const { page, complaints, close } = await openWindow(browser)
    await signIn(page)
    await page.getByRole("link", { name: "Customers" }).click()
    await page.getByLabel("Name", { exact: true }).fill("BEN")
    await page.getByRole("button", { name: "Find" }).click()
    await page.getByRole("link", { name: "Ben Example" }).waitFor()
    expect(await page.getByRole("link", { name: "Ann Example" }).count()).toBe(0)

    await page.getByRole("link", { name: "Set-up" }).click()
    await page.getByText("Add a secret").click()
    await page.getByLabel("Secret (whsec_…, ws_…)").fill("whsec_0123456789abcdefghijklmnop")
    await page.getByRole("button", { name: "Add the secret" }).click()
    await page.getByText("The secret is added.").waitFor()
    expect(complaints).toEqual([])
    await close()
  })

  test("closes many cases by keyboard alone, after seeing what would happen", async () => {
    await reset()
    const invoices = await failedMembers(2)
    const { page, complaints, close } = await openWindow(browser)
    await signIn(page)
    await page.goto(pageUrl("/dashboard/cases?status=open"))
    for (const box of await page.getByRole("checkbox").all()) {
      await box.focus()
      await page.keyboard.press("Space")
    }
    await page.getByRole("button", { name: "Close the selected …" }).focus()
    await page.keyboard.press("Enter")
    await page.getByText("2 of 2 cases would change. Nothing has changed yet.").waitFor()
    await page.getByRole("button", { name: "Close 2 cases" }).focus()
    await page.keyboard.press("Enter")
    await page.getByText("2 of 2 cases changed.").waitFor()
    for (const invoice of invoices) expect(await caseOf(invoice)).toMatchObject({ status: "lost" })
    expect(complaints).toEqual([])
    await close()
  })

  test("switches messages off, and sees that they are", async () => {
    await reset()
    const { page, complaints, close } = await openWindow(browser)
    await signIn(page)
    await page.getByRole("link", { name: "Flags and switches" }).click()
    await page.getByRole("link", { name: "NOTIFICATIONS_ENABLED" }).click()
    await page.getByLabel("On", { exact: true }).uncheck()
    await page.getByLabel("Why").fill("maintenance")
    await page.getByRole("button", { name: "Set" }).click()
    await page.getByText("The flag is set.").waitFor()
    expect(await page.getByText("maintenance").count()).toBe(1)
    await setSwitchForAll("NOTIFICATIONS_ENABLED", true)
    expect(complaints).toEqual([])
    await close()
  })

  test("writes its own words, looks at them, saves them, and a member reads them", async () => {
    await reset()
    const { page, complaints, close } = await openWindow(browser)
    await signIn(page)
    await page.getByRole("link", { name: "Templates" }).click()
    await page.getByRole("link", { name: "New template" }).click()
    await page.getByLabel("What to do").fill("Please give us a card that works, {firstName}.")
    await page.getByRole("button", { name: "Preview" }).click()
    await page.getByText("Please give us a card that works, Ada.").first().waitFor()
    await page.getByRole("button", { name: "Save" }).click()
    await page.getByText("Saved.").waitFor()
    await failedMembers(1)
    await advanceClock("PT1M")
    const message = await waitFor(async () => (await mailbox()).find(({ to }) => to === "member0@example.com"))
    expect(message.body).toContain("Please give us a card that works, Ann.")
    expect(complaints).toEqual([])
    await close()
  })

  test("asks for a suggestion, compares it with its own words, and keeps the better ones", async () => {
    await reset()
    const { page, complaints, close } = await openWindow(browser)
    await signIn(page)
    await page.goto(pageUrl("/dashboard/templates/new"))
    await page.getByLabel("Subject").fill("A card is needed at {brand}")
    await page.getByRole("button", { name: "Save" }).click()
    await page.getByText("Saved.").waitFor()
    await page.getByRole("link", { name: "Failed payment" }).click()
    await page.getByRole("link", { name: "Variants" }).click()
    await page.getByLabel("Your brand's voice, for a suggestion").fill("warm and short")
    await page.getByRole("button", { name: "Suggest words for variant 1" }).click()
    await page.getByText("Nothing is saved").waitFor()
    expect(await page.getByLabel("Subject").first().inputValue()).toBe("A quick note: A card is needed at {brand}")
    await page.getByRole("button", { name: "Start the comparison" }).click()
    await page.getByText("The comparison has started.").waitFor()
    await page.getByRole("button", { name: "End, and use “a”" }).click()
    await page.getByText("The comparison has ended.").waitFor()
    await failedMembers(1)
    await advanceClock("PT1M")
    const message = await waitFor(async () => (await mailbox()).find(({ to }) => to === "member0@example.com"))
    expect(message.subject).toMatch(/^A quick note: A card is needed at /)
    expect(complaints).toEqual([])
    await close()
  })

  test("saves a view and finds it again, changes a playbook, and sets a credential", async () => {
    await reset()
    const { page, complaints, close } = await openWindow(browser)
    await signIn(page)
    await page.goto(pageUrl("/dashboard/cases?status=open"))
    await page.getByText("Change saved views").click()
    await page.getByLabel("Name of this view").fill("Open ones")
    await page.getByRole("button", { name: "Save for the company" }).click()
    await page.getByText("Saved.").waitFor()
    await page.goto(pageUrl("/dashboard/cases"))
    await page.getByRole("link", { name: "Open ones" }).click()
    await page.waitForURL("**/dashboard/cases?status=open")

    await page.getByRole("link", { name: "Settings" }).click()
    const steps = page.locator("section", { hasText: "Playbook: Cancellation" })
    await steps.getByLabel("Day", { exact: true }).nth(0).fill("1")
    await page.getByRole("button", { name: "Save the playbook: Cancellation" }).click()
    await page.getByText("Saved.").waitFor()
    expect(await steps.getByLabel("Day", { exact: true }).nth(0).inputValue()).toBe("1")

    await page.getByRole("link", { name: "Credentials" }).click()
    await page.getByText("Set Link domain", { exact: true }).click()
    await page.getByLabel("Domain", { exact: true }).fill("pay.ada.example")
    await page.getByRole("button", { name: "Check and save Link domain" }).click()
    await page.getByText("Saved.").waitFor()
    expect(complaints).toEqual([])
    await close()
  })

  test("exports what it sees", async () => {
    await reset()
    await failedMembers(1)
    const { page, close } = await openWindow(browser)
    await signIn(page)
    await page.goto(pageUrl("/dashboard/cases"))
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Export as CSV" }).click(),
    ])
    expect(download.suggestedFilename()).toMatch(/^cases-.*\.csv$/)
    await close()
  })
})

const schemes: readonly ColorScheme[] = ["light", "dark"]
const looks = SCREENS.flatMap((screen) => schemes.map((colorScheme) => ({ screen, colorScheme })))

describe("every page", () => {
  let templates: readonly string[] = []

  beforeAll(async () => {
    await reset()
    await setSwitchForAll("ADVANCED_SEGMENTATION", true)
    templates = [await addTemplate("payment"), await addTemplate("cancellation")]
    await startComparison(templates[0] ?? "")
    await advanceClock("PT1S")
    await failedMembers(3)
    await advanceClock("PT2M")
  })

  test.concurrent.each(looks)(
    "is accessible and without complaints: $screen.name, $colorScheme",
    async ({ screen, colorScheme }) => {
      const { page, complaints, close } = await openWindow(browser, { screen, colorScheme })
      await page.goto(pageUrl("/dashboard/sign-in"))
      expect(await accessibilityFaults(page)).toEqual([])
      await signIn(page)
      const links = await page.locator("nav[aria-label=Pages] a").all()
      const paths = await Promise.all(links.map(async (link) => (await link.getAttribute("href")) ?? ""))
      expect(paths.length).toBeGreaterThanOrEqual(15)
      await page.goto(pageUrl("/dashboard/cases"))
      const detail = await page.locator("td a").evaluateAll((all) => all.map((link) => link.getAttribute("href") ?? ""))
      await page.goto(pageUrl("/dashboard/events"))
      const event = (await page.locator("td a").first().getAttribute("href")) ?? ""
      for (const path of [
        ...paths,
        ...detail.slice(0, 2),
        event,
        `${event}/payload`,
        "/dashboard/templates/new",
        ...templates.flatMap((id) => [`/dashboard/templates/${id}`, `/dashboard/templates/${id}/variants`]),
        "/dashboard/flags/ROLLBACK_MODE",
        "/dashboard/jobs/sweep",
      ]) {
        await page.goto(pageUrl(path))
        expect([path, ...(await accessibilityFaults(page))]).toEqual([path])
        const isTooWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
        expect([path, isTooWide]).toEqual([path, false])
        if (screen.name === "desktop") await picture(page, pictureName(path), colorScheme)
      }
      expect(complaints).toEqual([])
      // The browser itself complains of the status.
      await page.goto(pageUrl("/dashboard/no-such-page"))
      expect(await accessibilityFaults(page)).toEqual([])
      await close()
    },
  )
})

/** The name of a page; one of a list's entries has the list's name in the singular in place of its id. */
const pictureName = (path: string): string =>
  path
    .replace(/^\//, "")
    .replace(/s\/(payment_\w+|stripe_\w+|[0-9a-f]{8}-[-0-9a-f]{27})/, "")
    .replaceAll(/\W+/g, "-")
