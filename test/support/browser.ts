/** A real Chromium for tests, from an npm package: nothing is downloaded when tests run. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import AxeBuilder from "@axe-core/playwright"
import sparticuz from "@sparticuz/chromium"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"
import { ROOT } from "../steps.ts"
import { world } from "./world/world.ts"

/**
 * Not the package's own arguments, which switch web security off. Without the sandbox, because tests run as root in
 * containers; without background traffic, because there is no network.
 */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
]

export async function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: await sparticuz.executablePath(), args: ARGS, headless: true })
}

export type ColorScheme = "light" | "dark"
export interface Screen {
  readonly name: "desktop" | "phone"
  readonly width: number
  readonly height: number
}

export const SCREENS: readonly Screen[] = [
  { name: "desktop", width: 1280, height: 900 },
  { name: "phone", width: 390, height: 844 },
]

/** A browser window, and what it complained about: errors of pages, console errors, blocked resources. */
export interface Window {
  readonly page: Page
  readonly complaints: readonly string[]
  close(): Promise<void>
}

export async function openWindow(
  browser: Browser,
  { screen = SCREENS[0], colorScheme = "light" }: { readonly screen?: Screen; readonly colorScheme?: ColorScheme } = {},
): Promise<Window> {
  const context: BrowserContext = await browser.newContext({
    ...(screen && { viewport: { width: screen.width, height: screen.height } }),
    colorScheme,
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
  })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
  })
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("requestfailed", (request) => {
    const failure = request.failure()?.errorText ?? "failed"
    // Leaving a page cancels its event stream, and a request for its changes.
    const isLeft = ["eventsource", "fetch"].includes(request.resourceType()) && failure === "net::ERR_ABORTED"
    if (!isLeft) complaints.push(`${request.url()} ${failure}`)
  })
  return { page, complaints, close: () => context.close() }
}

/**
 * The rules of accessibility that a page breaks (WCAG 2.2 AA, and axe's best practices), each with its first place. Frames
 * hold previews of whole documents, which are tested by themselves.
 */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  const { violations } = await new AxeBuilder({ page }).exclude("iframe").analyze()
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ""}`)
}

/** A page of the Worker, under the name that `npm start` prints. */
export const pageUrl = (path: string): string => `${world().workerUrl.replace("127.0.0.1", "localhost")}${path}`

/** Signs in to the dashboard with the operator's key. */
export async function signIn(page: Page): Promise<void> {
  await page.goto(pageUrl("/dashboard"))
  await page.getByLabel("Or an API key").fill(world().adminApiKey)
  await page.getByRole("button", { name: "Sign in with the key" }).click()
  await page.getByRole("heading", { name: "Overview" }).waitFor()
}

/** Saves a picture to be looked at: `SCREENSHOTS=<folder> npx vitest run --project browser`. */
export async function picture(page: Page, name: string, colorScheme: ColorScheme): Promise<void> {
  const folder = process.env.SCREENSHOTS
  if (folder === undefined) return
  mkdirSync(join(ROOT, folder), { recursive: true })
  await page.screenshot({ path: join(ROOT, folder, `${name}-${colorScheme}.png`), fullPage: true })
}
