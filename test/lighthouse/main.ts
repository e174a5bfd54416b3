/**
 * `npm run lighthouse`: Google's Lighthouse measures the overview and the list of cases of a world of its own, with the browser of
 * the browser tests. Fails below the thresholds. Not part of `npm test`: npm fetches the package, of 176 MB, on its first run.
 */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import sparticuz from "@sparticuz/chromium"
import * as z from "zod"
import { signedInWith } from "../support/actions/dashboard.ts"
import { failPayment } from "../support/actions/members.ts"
import { fresh } from "../support/events/providers.ts"
import { startFlowsWorld } from "../support/world/start-world.ts"
import { useWorld, waitUntilProcessed } from "../support/world/world.ts"

const LIGHTHOUSE = "lighthouse@13.5.0"
const PAGES = ["/dashboard", "/dashboard/cases"]
const SCORE_MIN = 0.95
/** A full page of the list. */
const CASES = 60
/** A page takes half a minute on a slow machine. */
const RUN_MS_MAX = 5 * 60_000

const score = z.object({ score: z.number() })
const figure = z.object({ displayValue: z.string() })
const report = z.object({
  categories: z.object({ performance: score, accessibility: score }),
  audits: z.object({
    ...{ "first-contentful-paint": figure, "largest-contentful-paint": figure },
    ...{ "total-blocking-time": figure, "cumulative-layout-shift": figure, "total-byte-weight": figure },
  }),
})

/** What Lighthouse, as a phone on a slow network, finds at this address. */
async function measure(url: string, cookie: string, folder: string): Promise<z.infer<typeof report>> {
  const path = join(folder, "report.json")
  await promisify(execFile)(
    "npx",
    [
      ...["--yes", LIGHTHOUSE, url, "--quiet", "--output=json", `--output-path=${path}`],
      ...["--only-categories=performance,accessibility", `--extra-headers=${JSON.stringify({ cookie })}`],
      "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
    ],
    { env: { ...process.env, CHROME_PATH: await sparticuz.executablePath() }, timeout: RUN_MS_MAX },
  )
  return report.parse(JSON.parse(readFileSync(path, "utf8")))
}

const world = await startFlowsWorld(null)
const folder = mkdtempSync(join(tmpdir(), "churn-saver-lighthouse-"))
try {
  useWorld(world.access)
  await Promise.all(Array.from({ length: CASES }, () => failPayment(fresh("cus"), fresh("in"))))
  await waitUntilProcessed()
  const operator = await signedInWith(world.access.adminApiKey)
  for (const path of PAGES) {
    const { categories, audits } = await measure(`${world.access.workerUrl}${path}`, operator.cookie(), folder)
    const scores = Object.entries(categories).map(([name, one]) => [name, one.score] as const)
    const figures = Object.entries(audits).map(([name, { displayValue }]) => `${name} ${displayValue}`)
    const shown = scores.map(([name, value]) => `${name} ${Math.round(value * 100)}`)
    process.stdout.write(`${path}: ${shown.join(", ")}; ${figures.join(", ")}\n`)
    if (scores.some(([, value]) => value < SCORE_MIN)) process.exitCode = 1
  }
} finally {
  await world.stop()
  rmSync(folder, { recursive: true, force: true })
}
