/** `npm run backfill`: imports a company's history page by page; the deployment stores the progress. */
import { parseArgs } from "node:util"
import { z } from "zod"
import {
  CommandError,
  callApi,
  DEPLOYMENT_HELP,
  DEPLOYMENT_OPTIONS,
  type Deployment,
  deploymentOf,
  runCommand,
  showProgressLine,
  withApiRetries,
} from "./deployment.ts"

const HELP = `npm run backfill -- --provider stripe --since 2026-01-01

Imports the past from the provider's lists: customers, subscriptions, payments, refunds and disputes, through the same path
as webhooks. Nobody is nudged for it. It can be stopped at any time; run it again with the same provider and date to
continue.

  --provider P   stripe or whop
  --since DATE   import invoices from this date on (2026-01-01, or an instant); subscriptions of any age
  --until DATE   import up to this time (default and maximum: an hour ago)
  --account ID   the account, if the company has several
${DEPLOYMENT_HELP}`

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  provider: { type: "string" },
  since: { type: "string" },
  until: { type: "string" },
  account: { type: "string" },
} as const

const record = z.object({
  id: z.string(),
  provider: z.string(),
  since: z.string(),
  until: z.string(),
  imported: z.number(),
  known: z.number(),
  unread: z.number(),
  reached: z.string(),
  isComplete: z.boolean(),
})
type Record = z.infer<typeof record>

async function main(): Promise<void> {
  const values = readOptions()
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const { provider, since, until, account } = values
  if (provider === undefined || since === undefined)
    throw new CommandError("Name --provider and --since. --help says more.")
  const deployment = deploymentOf(values)
  const body = { provider, since, ...(until !== undefined && { until }), ...(account !== undefined && { account }) }
  let backfill = await withApiRetries(() => callApi(deployment, "POST", "/api/backfills", record, body))

  const startMs = Date.now()
  const countBefore = backfill.imported + backfill.known
  while (!backfill.isComplete) {
    backfill = await next(deployment, backfill)
    showProgressLine(progressOf(backfill, countBefore, Date.now() - startMs))
  }
  if (process.stderr.isTTY) process.stderr.write("\n")
  process.stdout.write(values.json ? `${JSON.stringify(backfill)}\n` : summaryOf(backfill))
}

function readOptions() {
  try {
    return parseArgs({ options: OPTIONS }).values
  } catch (error) {
    throw new CommandError(`${error instanceof Error ? error.message : "The options are not known."} --help says more.`)
  }
}

const next = (deployment: Deployment, { id }: Record): Promise<Record> =>
  withApiRetries(() => callApi(deployment, "POST", `/api/backfills/${encodeURIComponent(id)}/next`, record))

function progressOf({ reached, imported, known, unread }: Record, countBefore: number, ms: number): string {
  const perSecond = Math.round(((imported + known - countBefore) * 1_000) / Math.max(ms, 1))
  return `at ${reached.slice(0, 10)}  ${imported} imported, ${known} known, ${unread} unread  ${perSecond} events/s`
}

const summaryOf = ({ id, provider, since, until, imported, known, unread }: Record): string =>
  `${provider} from ${since} to ${until} is imported (${id}):
  imported  ${imported}
  known     ${known}  existed already
  unread    ${unread}  have no data that we use
`

await runCommand(main)
