/**
 * `npm run pictures`: plays the demo in a world of its own, and takes the pictures of the dashboard's pages for `docs/images`.
 * To be looked at before they are committed. Not part of `npm test`, which looks at the same pages by rules.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { Browser, Page } from "playwright-core"
import { firstCompany, SECOND_COMPANY } from "../../local/demo/companies.ts"
import { startOwnWorld } from "../../local/demo/find-world.ts"
import type { World } from "../../local/demo/http.ts"
import { createProgress } from "../../local/demo/report/progress.ts"
import type { Report } from "../../local/demo/report/report.ts"
import { runDemo } from "../../local/demo/run.ts"
import { browserUrl } from "../../local/sign-in-link.ts"
import { ROOT } from "../steps.ts"
import { launch, openWindow } from "../support/browser.ts"

const FOLDER = join(ROOT, "docs", "images")

/** The demo as it runs without options. */
const DEMO = { seed: 1, days: 30, customers: 60 }
const FIRST_SHARE = 0.8

const found = await startOwnWorld()
let browser: Browser | undefined
try {
  const { world } = found
  const report = await runDemo(world, DEMO, createProgress(process.stdout), [
    { profile: firstCompany(world.companyId), share: FIRST_SHARE },
    { profile: SECOND_COMPANY, share: 1 - FIRST_SHARE },
  ])
  if (report.unexpected.length > 0) throw new Error(report.unexpected.join("\n"))
  browser = await launch()
  mkdirSync(FOLDER, { recursive: true })
  await takePictures(browser, world, report)
} finally {
  await browser?.close()
  await found.stop()
}

async function takePictures(opened: Browser, world: World, { stories }: Report): Promise<void> {
  const { page, close } = await openWindow(opened)
  const go = (path: string) => page.goto(`${browserUrl(world.workerUrl)}${path}`)
  const take = async (path: string, name: string) => {
    await go(path)
    await save(page, `dashboard${name === "" ? "" : `-${name}`}-light`)
  }
  const linkOn = async (path: string, selector: string): Promise<string> => {
    await go(path)
    return (await page.locator(selector).first().getAttribute("href")) ?? ""
  }

  await signIn(page, world)
  const pages = await page
    .locator("nav[aria-label=Pages] a")
    .evaluateAll((links) => links.map((link) => link.getAttribute("href") ?? ""))
  for (const path of pages) await take(path, path.replace("/dashboard", "").slice(1))
  const [story] = stories
  if (story === undefined) throw new Error("the demo told no story")
  const casePath = new URL(story.url).pathname
  await go(casePath)
  await page.locator("details summary", { hasText: "as it was read" }).first().click()
  await page.getByRole("heading", { name: "Messages" }).scrollIntoViewIfNeeded()
  await save(page, "dashboard-case-light")
  await take(await linkOn(casePath, 'a[href^="/dashboard/customers/"]'), "customer")
  const event = await linkOn("/dashboard/events", "td a")
  await take(event, "event")
  await take(`${event}/payload`, "event-payload")
  await take("/dashboard/templates/new", "templates-new")
  await take("/dashboard/flags/ROLLBACK_MODE", "flag")
  await take("/dashboard/jobs/sweep", "job")

  // The second company has words of its own.
  await go("/dashboard/companies")
  await page.locator(`form[action="/dashboard/companies/${SECOND_COMPANY.id}/choose"] button`).click()
  await page.waitForLoadState()
  await take("/dashboard/templates", "templates")
  await take(await linkOn("/dashboard/templates", 'td a[href^="/dashboard/templates/"]'), "template")
  await close()

  const dark = await openWindow(opened, { colorScheme: "dark" })
  await signIn(dark.page, world)
  await save(dark.page, "dashboard-dark")
  await dark.close()
}

/** Signs in with the key of the world's operator, who sees every page. */
async function signIn(page: Page, { workerUrl, apiKey }: World): Promise<void> {
  await page.goto(`${browserUrl(workerUrl)}/dashboard`)
  await page.getByLabel("Or an API key").fill(apiKey)
  await page.getByRole("button", { name: "Sign in with the key" }).click()
  await page.getByRole("heading", { name: "Overview" }).waitFor()
}

/** What of a page is seen without scrolling. */
async function save(page: Page, name: string): Promise<void> {
  process.stdout.write(`${name}\n`)
  await page.screenshot({ path: join(FOLDER, `${name}.png`) })
}
