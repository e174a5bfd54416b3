/** `npm run schedules -- sync|list|remove`: keeps a deployment's schedules at QStash equal to the list in the code. */
import { parseArgs } from "node:util"
import { z } from "zod"
import { SCHEDULES } from "../workers/platform/jobs/schedules.ts"
import { QstashError } from "../workers/platform/qstash/call.ts"
import {
  applyChanges,
  isDeploymentSchedule,
  planChanges,
  type QstashSchedule,
  qstashSchedules,
  type ScheduleChange,
  schedulesOf,
} from "../workers/platform/qstash/schedules.ts"
import { CommandError, runCommand } from "./deployment.ts"

const HELP = `npm run schedules -- sync|list|remove [options]

  sync    creates missing schedules, corrects those that differ and removes our obsolete ones; schedules of other
          deployments and of anybody else are not touched
  list    the schedules of this deployment, compared with the code; exit code 2 when they differ
  remove  all schedules of this deployment

  --app-url URL       the Worker's address, as in its APP_URL (APP_URL)
  --qstash-token T    (QSTASH_TOKEN)
  --qstash-url URL    the URL of your QStash region (QSTASH_URL; else https://qstash.upstash.io)
  --dry-run           shows what would be done, changes nothing
  --json              output for machines

A schedule that was paused at QStash is resumed: pause the job instead (POST /api/jobs/:job/pause).
`

const OPTIONS = {
  "app-url": { type: "string" },
  "qstash-url": { type: "string" },
  "qstash-token": { type: "string" },
  "dry-run": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const

/** The schedules differ; for scripts that check. */
const EXIT_SCHEDULES_DIFFER = 2

const address = z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, ""))

/** The deployment and the account from options and environment. Throws `CommandError` that names what is missing. */
function settingsOf(options: { "app-url"?: string; "qstash-url"?: string; "qstash-token"?: string }) {
  const appUrl = address.safeParse(options["app-url"] ?? process.env.APP_URL)
  if (!appUrl.success) throw new CommandError("Name the Worker's address with --app-url or APP_URL.")
  const url = address.safeParse(options["qstash-url"] ?? process.env.QSTASH_URL ?? "https://qstash.upstash.io")
  if (!url.success) throw new CommandError("--qstash-url (or QSTASH_URL) is not a URL.")
  const token = options["qstash-token"] ?? process.env.QSTASH_TOKEN
  if (!token) throw new CommandError("Name QStash's token with --qstash-token or QSTASH_TOKEN.")
  return { appUrl: appUrl.data, account: { url: url.data, token } }
}

async function main(): Promise<void> {
  const { values, positionals } = parseCommandLine()
  const [verb, ...more] = positionals
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  if (more.length > 0 || (verb !== "sync" && verb !== "list" && verb !== "remove")) throw new CommandError(HELP)
  const { appUrl, account } = settingsOf(values)
  const schedules = qstashSchedules(account)
  const present = await schedules.list()
  const wanted = verb === "remove" ? [] : await schedulesOf(appUrl, SCHEDULES)
  const changes = planChanges(appUrl, wanted, present)
  if (verb === "list") {
    showList(
      present.filter((schedule) => isDeploymentSchedule(appUrl, schedule)),
      changes,
      values.json,
    )
    if (changes.length > 0) process.exitCode = EXIT_SCHEDULES_DIFFER
    return
  }
  if (!values["dry-run"]) await applyChanges(schedules, changes)
  showChanges(changes, {
    isDry: values["dry-run"],
    isJson: values.json,
    whenNone: verb === "sync" ? "in step" : "none",
  })
}

function parseCommandLine() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new CommandError(`${error instanceof Error ? error.message : "The options are not understood."}\n\n${HELP}`)
  }
}

const shown = ({ action, schedule, differing }: ScheduleChange) => ({ action, ...schedule, differing })

function showList(present: readonly QstashSchedule[], changes: readonly ScheduleChange[], isJson: boolean): void {
  const fault = new Map(changes.map((change) => [change.schedule.scheduleId, change]))
  if (isJson) {
    print(JSON.stringify({ schedules: present, changes: changes.map(shown) }))
    return
  }
  for (const schedule of present) {
    const change = fault.get(schedule.scheduleId)
    const how = change === undefined ? "in step" : change.action === "remove" ? "not wanted" : inWords(change)
    print(`${schedule.scheduleId}  ${schedule.cron}  ${schedule.destination}  ${how}`)
  }
  for (const change of changes.filter(({ action }) => action === "create")) {
    print(`${change.schedule.scheduleId}  ${change.schedule.cron}  ${change.schedule.destination}  missing`)
  }
}

function showChanges(
  changes: readonly ScheduleChange[],
  { isDry, isJson, whenNone }: { readonly isDry: boolean; readonly isJson: boolean; readonly whenNone: string },
): void {
  if (isJson) {
    print(JSON.stringify({ isDryRun: isDry, changes: changes.map(shown) }))
    return
  }
  if (changes.length === 0) print(whenNone)
  const done = isDry ? DRY : DONE
  for (const change of changes) {
    const why = change.differing.length === 0 ? "" : `  ${inWords(change)}`
    print(`${done[change.action]} ${change.schedule.scheduleId}  ${change.schedule.cron}${why}`)
  }
}

const DONE = { create: "created", correct: "corrected", remove: "removed" } as const
const DRY = { create: "would create", correct: "would correct", remove: "would remove" } as const

const inWords = ({ differing }: ScheduleChange): string =>
  differing.map((field) => (field === "isPaused" ? "is paused" : `another ${field}`)).join(", ")

const print = (line: string): boolean => process.stdout.write(`${line}\n`)

await runCommand(async () => {
  await main().catch((error: unknown) => {
    if (!(error instanceof QstashError)) throw error
    throw new CommandError(
      error.status === 401 ? "QStash does not accept the token." : `QStash did not do it: ${error.message}.`,
    )
  })
})
