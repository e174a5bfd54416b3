/** A company's branding in a real browser: the page where it is set, an e-mail, and a member's page. */
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { failPayment, linksIn } from "../support/actions/members.ts"
import {
  accessibilityFaults,
  type ColorScheme,
  launch,
  openWindow,
  picture,
  SCREENS,
  signIn,
} from "../support/browser.ts"
import { fresh } from "../support/events/providers.ts"
import { png } from "../support/logos.ts"
import {
  advanceClock,
  type MailboxMessage,
  mailbox,
  reset,
  waitFor,
  waitUntilProcessed,
  world,
} from "../support/world/world.ts"

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser.close())

async function openBranding(page: Page): Promise<void> {
  await signIn(page)
  await page.getByRole("link", { name: "Branding" }).click()
  await page.getByRole("heading", { name: "Branding" }).waitFor()
}

async function fillIn(page: Page, accent: string): Promise<void> {
  const logo = { name: "logo.png", mimeType: "image/png", buffer: Buffer.from(png(180, 48)) }
  await page.getByLabel(/^Logo/).setInputFiles(logo)
  await page.getByLabel("Colour of buttons").fill(accent)
  await page.getByLabel(/^Signature/).fill("Warm regards,\nYour Ada team")
  await page.getByLabel("Reply address").fill("answers@ada.example")
  await page.getByLabel(/^Postal address/).fill("Ada Fitness Inc.\n12 Main St\nSpringfield, IL 62701")
}

/** The first message to a new member. */
async function firstMessage(): Promise<MailboxMessage> {
  const customer = fresh("cus")
  await failPayment(customer, fresh("in"), { more: { customer_email: `${customer}@example.com` } })
  await waitUntilProcessed()
  await advanceClock("PT1M")
  return waitFor(async () => (await mailbox()).find(({ to }) => to === `${customer}@example.com`))
}

test("a team uploads a logo, looks at it in both schemes, saves, and a member gets it", async () => {
  await reset()
  const { page, complaints, close } = await openWindow(browser)
  await openBranding(page)
  await fillIn(page, "#ffd400")
  await page.getByRole("button", { name: "Preview" }).click()
  const email = page.frameLocator("iframe[title='E-mail, light']")
  await email.getByText("Your Ada team").waitFor()
  // Throws where the image cannot be shown.
  const width = await email.locator("img").evaluate(async (element) => {
    const image = element as unknown as { readonly naturalWidth: number; decode(): Promise<void> }
    await image.decode()
    return image.naturalWidth
  })
  expect(width).toBe(180)
  // Each frame has the scheme of its title, whatever the browser's is.
  for (const [scheme, background] of [
    ["light", "rgb(246, 247, 249)"],
    ["dark", "rgb(18, 22, 29)"],
  ]) {
    const body = page.frameLocator(`iframe[title="Member's page, ${scheme}"]`).locator("body")
    await body.getByText("12 Main St").waitFor()
    const shown = await body.evaluate((element) => getComputedStyle(element).backgroundColor)
    expect([scheme, shown]).toEqual([scheme, background])
  }
  await page.getByRole("button", { name: "Save" }).click()
  await page.getByText("Saved.").waitFor()
  expect((await firstMessage()).html).toContain("12 Main St")
  expect(complaints).toEqual([])
  await close()
})

const schemes: readonly ColorScheme[] = ["light", "dark"]
const looks = SCREENS.flatMap((screen) => schemes.map((colorScheme) => ({ screen, colorScheme })))

describe.each(["#ffd400", "#000000", "#1a237e"])("with the colour %s", (accent) => {
  let message: MailboxMessage
  beforeAll(async () => {
    await reset()
    const { page, close } = await openWindow(browser)
    await openBranding(page)
    await fillIn(page, accent)
    await page.getByRole("button", { name: "Save" }).click()
    await page.getByText("Saved.").waitFor()
    await close()
    message = await firstMessage()
  })

  test.each(looks)(
    "the page, an e-mail and a member's page are accessible: $screen.name, $colorScheme",
    async ({ screen, colorScheme }) => {
      const { page, complaints, close } = await openWindow(browser, { screen, colorScheme })
      const check = async (name: string, isApart: (fault: string) => boolean = () => false) => {
        const faults = (await accessibilityFaults(page)).filter((fault) => !isApart(fault))
        expect([name, ...faults]).toEqual([name])
        const isTooWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
        expect([name, isTooWide]).toEqual([name, false])
        if (screen.name === "desktop" && accent === "#1a237e") await picture(page, name, colorScheme)
      }
      await openBranding(page)
      await check("dashboard-branding")
      await page.goto(linksIn(message).unsubscribe)
      await check("member-page")
      // In a document of its own, without a policy; of the Worker's origin, because the browser loads no local image elsewhere.
      const address = `${world().workerUrl}/e-mail`
      await page.route(address, (route) => route.fulfill({ contentType: "text/html", body: message.html ?? "" }))
      await page.goto(address)
      // An e-mail is shown within the page of a mail program, which has the landmarks and the heading.
      await check("e-mail", (fault) => /^(landmark-one-main|page-has-heading-one|region):/.test(fault))
      expect(complaints).toEqual([])
      await close()
    },
  )
})
