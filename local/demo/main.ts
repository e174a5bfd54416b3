/** `npm run demo`: a month of two companies in a minute, against a running `npm start` or a world of its own. */
import { parseArgs } from "node:util"
import { browserUrl, LOCAL_ADMIN, makeSignInLink } from "../sign-in-link.ts"
import { firstCompany, SECOND_COMPANY } from "./companies.ts"
import { type FoundWorld, findRunningWorld, startOwnWorld } from "./find-world.ts"
import { DemoError, messagesOf, reset, type World } from "./http.ts"
import { readSummary } from "./report/figures.ts"
import { createProgress } from "./report/progress.ts"
import { renderReport } from "./report/report.ts"
import { runDemo } from "./run.ts"

const HELP = `npm run demo [-- options]
  Simulates a month of two companies, through the real webhook endpoints: the world's first company, with members at Stripe
  and Whop, and one with an own Stripe account, sender, Slack channel and words. Ends with figures, the stories of three
  members, and the addresses of their cases. Uses the world that npm start runs, and moves its clock; it changes the settings
  of its company, adds the other one, and puts a model in service. If none runs, starts one of its own with temporary data,
  which stays until Ctrl-C in a terminal, and otherwise ends with the demo.
  --fresh          empty the running world first
  --seed N         the seed of the simulation (1)
  --days N         how long (30)
  --customers N    how many members (60), four fifths of them the first company's
  --keep           a world of its own stays until Ctrl-C, without a terminal too
  --json           the report as JSON on standard output
  --url URL        the Worker (http://127.0.0.1:8787)
  --control URL    the control server (http://127.0.0.1:8788)
  --key KEY        the admin key (ADMIN_API_KEY of .dev.vars)
`

/** A year and 5000 members are enough for a laptop; the clock moves ten years at most. */
const DAYS_MAX = 366
const CUSTOMERS_MAX = 5_000
/** The rest is the second company's. */
const FIRST_SHARE = 0.8
const SEED_MAX = 2 ** 32 - 1
/** More lines of the same kind do not help. */
const UNEXPECTED_SHOWN_MAX = 10
/** The shell's exit code for Ctrl-C. */
const INTERRUPTED = 130

const OPTIONS = {
  fresh: { type: "boolean", default: false },
  seed: { type: "string", default: "1" },
  days: { type: "string", default: "30" },
  customers: { type: "string", default: "60" },
  keep: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  url: { type: "string" },
  control: { type: "string" },
  key: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const

function readOptions() {
  try {
    return parseArgs({ options: OPTIONS }).values
  } catch (error) {
    throw new DemoError(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
  }
}

type Options = ReturnType<typeof readOptions>
type Output = NodeJS.WriteStream

/** The world to use; prints it to `people`. */
async function openWorld(values: Options, people: Output): Promise<FoundWorld> {
  const wanted = { url: values.url ?? null, control: values.control ?? null, key: values.key ?? null }
  const running = await findRunningWorld(wanted)
  if (running === null) {
    people.write("No world is running here (npm start); starting one for this demo …\n")
    return startOwnWorld()
  }
  const { workerUrl } = running.world
  people.write(`Using the world at ${workerUrl}; its clock moves with the simulation.\n`)
  if (values.fresh) {
    people.write("Emptying it first (--fresh) …\n")
    await reset(running.world)
  }
  const { events } = await readSummary(running.world)
  if (Object.values(events).some((count) => count > 0)) {
    people.write("It has data already, which the report includes (--fresh starts without).\n")
  }
  return running
}

/** Runs the demo and reports; returns the exit code. */
async function main(): Promise<number> {
  const values = readOptions()
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const options = {
    seed: wholeNumber("seed", values.seed, 0, SEED_MAX),
    days: wholeNumber("days", values.days, 1, DAYS_MAX),
    customers: wholeNumber("customers", values.customers, 1, CUSTOMERS_MAX),
  }
  // With --json, standard output is for the report alone.
  const people = values.json ? process.stderr : process.stdout
  const found = await openWorld(values, people)
  let isInterrupted = false
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // The Worker's runtime listens too, and would end the process before the world has stopped.
    process.removeAllListeners(signal).on(signal, () => {
      if (isInterrupted) return
      isInterrupted = true
      void found.stop().finally(() => process.exit(INTERRUPTED))
    })
  }
  try {
    const { world } = found
    const report = await runDemo(world, options, createProgress(people), [
      { profile: firstCompany(world.companyId), share: FIRST_SHARE },
      { profile: SECOND_COMPANY, share: 1 - FIRST_SHARE },
    ])
    people.write(`\n${renderReport(report)}`)
    const isKept = found.isOwn && (values.keep || (people.isTTY && process.stdin.isTTY && !values.json))
    people.write(await addressesText(world, found.isOwn && !isKept))
    if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`)
    const { unexpected } = report
    for (const line of unexpected.slice(0, UNEXPECTED_SHOWN_MAX)) process.stderr.write(`unexpected: ${line}\n`)
    if (unexpected.length > UNEXPECTED_SHOWN_MAX) process.stderr.write(`… ${unexpected.length} in total\n`)
    if (isKept) {
      people.write("The world stays until Ctrl-C.\n")
      await new Promise(() => {}) // ended by a signal
    }
    return unexpected.length === 0 ? 0 : 1
  } catch (error) {
    if (isInterrupted) return INTERRUPTED // the world has stopped because we stop it
    throw error
  } finally {
    await found.stop()
  }
}

/** Where the cases are to be seen, and how to sign in. */
async function addressesText(world: World, isEnding: boolean): Promise<string> {
  const dashboard = `${browserUrl(world.workerUrl)}/dashboard`
  if (isEnding) {
    return `\nThis world ends with the demo. To open the cases at these addresses, run npm start first, or the demo with --keep.\n`
  }
  const link = await makeSignInLink({
    ...world,
    readMail: async () => (await messagesOf(world)).filter(({ to }) => to === LOCAL_ADMIN).map(({ body }) => body),
  }).catch(() => null)
  const how =
    link === null
      ? `with the key ${world.apiKey}`
      : `${link}\n                 (once, for 15 minutes of the local clock; pages for operators need the key ${world.apiKey})`
  return `\nAll cases        ${dashboard}/cases\nSign in          ${how}\n`
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= min && number <= max) return number
  throw new DemoError(`--${name} must be a whole number from ${min} to ${max}.`)
}

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof DemoError)) throw error
  process.stderr.write(`${error.message}\n`)
  return 1
})
