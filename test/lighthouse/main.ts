/**
 * `npm run lighthouse`: Google's Lighthouse measures the overview and the list of cases of a world of its own, with the browser of
 * the browser tests. Fails below the thresholds. Not part of `npm test`: npm fetches the package, of 176 MB, on its first run.
 */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, request, type Server } from "node:http"
import type { AddressInfo } from "node:net"
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
  finalDisplayedUrl: z.string(),
  categories: z.object({ performance: score, accessibility: score }),
  audits: z.object({
    ...{ "first-contentful-paint": figure, "largest-contentful-paint": figure },
    ...{ "total-blocking-time": figure, "cumulative-layout-shift": figure, "total-byte-weight": figure },
  }),
})

/**
 * A server that shows the dashboard to whoever asks, as if they had signed in. Without the header `referrer-policy`, with which
 * Lighthouse's own navigation is aborted in this browser; it is no part of what is measured.
 */
async function startSignedIn(workerUrl: string, cookie: string): Promise<Server> {
  const server = createServer((incoming, answer) => {
    const headers = { ...incoming.headers, host: new URL(workerUrl).host, cookie }
    const asked = request(
      new URL(incoming.url ?? "/", workerUrl),
      { method: incoming.method ?? "GET", headers },
      (got) => {
        const { "referrer-policy": _, ...rest } = got.headers
        answer.writeHead(got.statusCode ?? 502, rest)
        got.pipe(answer)
      },
    )
    asked.on("error", () => answer.destroy())
    answer.on("close", () => asked.destroy())
    asked.end()
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return server
}

/** What Lighthouse, as a phone on a slow network, finds at this address. */
async function measure(url: string, folder: string): Promise<z.infer<typeof report>> {
  const path = join(folder, "report.json")
  await promisify(execFile)(
    "npx",
    [
      ...["--yes", LIGHTHOUSE, url, "--quiet", "--output=json", `--output-path=${path}`],
      "--only-categories=performance,accessibility",
      "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
    ],
    { env: { ...process.env, CHROME_PATH: await sparticuz.executablePath() }, timeout: RUN_MS_MAX },
  )
  return report.parse(JSON.parse(readFileSync(path, "utf8")))
}

const world = await startFlowsWorld(null)
let server: Server | undefined
const folder = mkdtempSync(join(tmpdir(), "churn-saver-lighthouse-"))
try {
  useWorld(world.access)
  await Promise.all(Array.from({ length: CASES }, () => failPayment(fresh("cus"), fresh("in"))))
  await waitUntilProcessed()
  const operator = await signedInWith(world.access.adminApiKey)
  server = await startSignedIn(world.access.workerUrl, operator.cookie())
  const { port } = server.address() as AddressInfo // it listens on a port
  for (const path of PAGES) {
    const url = `http://127.0.0.1:${port}${path}`
    const { finalDisplayedUrl, categories, audits } = await measure(url, folder)
    // The page of the sign-in would be measured without a complaint.
    const page = await (await fetch(url)).text()
    if (finalDisplayedUrl !== url || !page.includes("Sign out")) throw new Error(`${finalDisplayedUrl} is another page`)
    const scores = Object.entries(categories).map(([name, one]) => [name, one.score] as const)
    const figures = Object.entries(audits).map(([name, { displayValue }]) => `${name} ${displayValue}`)
    const shown = scores.map(([name, value]) => `${name} ${Math.round(value * 100)}`)
    process.stdout.write(`${path}: ${shown.join(", ")}; ${figures.join(", ")}\n`)
    if (scores.some(([, value]) => value < SCORE_MIN)) process.exitCode = 1
  }
} finally {
  server?.closeAllConnections()
  server?.close()
  await world.stop()
  rmSync(folder, { recursive: true, force: true })
}
