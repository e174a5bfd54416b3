/** `npm run rebuild`: compares the stored states with the ledgers, and corrects them. */
import { parseArgs } from "node:util"
import { z } from "zod"
import {
  CommandError,
  callApi,
  DEPLOYMENT_HELP,
  DEPLOYMENT_OPTIONS,
  deploymentOf,
  runCommand,
  showProgressLine,
  withApiRetries,
} from "./deployment.ts"

const HELP = `npm run rebuild -- --check
npm run rebuild -- --apply

Folds the ledger of each customer of a company from the beginning and compares the result with the stored state. --check
reports differences and changes nothing; --apply stores the result: missed cases are opened, and their nudges planned.
Unprocessed events are not touched. Safe to stop and to repeat.

  --check               report only; exit code 3 when something differs
  --apply               report, and store the result
  --nudge-age-hours N   with --apply: a case that opened longer ago is opened without nudges (default 48)
  --after ID            continue after this customer
${DEPLOYMENT_HELP}`

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  check: { type: "boolean", default: false },
  apply: { type: "boolean", default: false },
  "nudge-age-hours": { type: "string" },
  after: { type: "string" },
} as const

/** States differ and were not changed. */
const EXIT_DIFFERS = 3

const difference = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("case"),
    id: z.string(),
    stored: z.string().nullable(),
    rebuilt: z.string().nullable(),
  }),
  z.object({ kind: z.literal("part"), id: z.string() }),
])
const customer = z.object({
  customerId: z.string(),
  isPending: z.boolean(),
  isApplied: z.boolean(),
  differences: z.array(difference),
})
const page = z.object({ checked: z.number(), differing: z.array(customer), next: z.string().nullable() })
type Customer = z.infer<typeof customer>

async function main(): Promise<void> {
  const values = readOptions()
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const { check, apply, "nudge-age-hours": hours } = values
  if (check === apply) throw new CommandError("Say either --check or --apply. --help says more.")
  if (hours !== undefined && !/^\d{1,3}$/.test(hours)) throw new CommandError("--nudge-age-hours takes a whole number.")
  const deployment = deploymentOf(values)
  const request = { apply, ...(hours !== undefined && { nudgeAgeHours: Number(hours) }) }

  const found: Customer[] = []
  let checked = 0
  let after = values.after ?? null
  do {
    const body = { ...request, after }
    const { differing, next, ...read } = await withApiRetries(() =>
      callApi(deployment, "POST", "/api/rebuild", page, body),
    )
    checked += read.checked
    found.push(...differing)
    after = next
    if (!values.json) for (const each of differing) process.stdout.write(lineOf(each))
    showProgressLine(
      `${checked} customers compared, ${found.length} differ${after === null ? "" : `; --after ${after}`}`,
    )
  } while (after !== null)
  if (process.stderr.isTTY) process.stderr.write("\n")

  const applied = found.filter(({ isApplied }) => isApplied).length
  const pending = found.filter(({ isPending }) => isPending).length
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ checked, applied, pending, differing: found })}\n`
      : `${checked} customers compared: ${found.length} differ, ${applied} brought up to date, ${pending} with events not processed yet\n`,
  )
  if (found.length > applied + pending) process.exitCode = EXIT_DIFFERS
}

function readOptions() {
  try {
    return parseArgs({ options: OPTIONS }).values
  } catch (error) {
    throw new CommandError(`${error instanceof Error ? error.message : "The options are not known."} --help says more.`)
  }
}

function lineOf({ customerId, isPending, isApplied, differences }: Customer): string {
  const what = differences.map((each) =>
    each.kind === "case" ? `${each.id}: ${each.stored ?? "none"} -> ${each.rebuilt ?? "none"}` : each.id,
  )
  const how = isApplied ? "applied" : isPending ? "not processed yet" : "differs"
  return `${customerId}  ${how}  ${what.join(", ")}\n`
}

await runCommand(main)
