/** The command of `npm run rollout`: reads a deployment's flags and metrics, shows them, and changes the phase. */
import { parseArgs } from "node:util"
import { z } from "zod"
import {
  CommandError,
  callApi,
  DEPLOYMENT_HELP,
  DEPLOYMENT_OPTIONS,
  type Deployment,
  deploymentOf,
} from "../deployment.ts"
import { type DeploymentMetrics, type Gate, gatesOf, metricsSchema } from "./gates.ts"
import { type CurrentPhase, type Flag, type FlagName, type Flags, PHASES, type Phase, phaseOf } from "./phases.ts"
import { type Change, planPhase } from "./plan.ts"
import { flagsText, flagText, gatesText, phaseText } from "./show.ts"

const HELP = `npm run rollout -- status|dark-launch|limited|full|rollback [options]
  Launches a deployment one phase at a time, or rolls it back.

  status         the phase, the flags, and the metrics beside the gates
  dark-launch    webhooks are processed; no scheduler, no notifications
  limited        scheduler for 20 %, notifications for 10 %, and at most 10 named companies; from dark-launch only
  full           everything for everybody; from limited only
  rollback       ROLLBACK_MODE on, then notifications and scheduler off; from any phase, without checking metrics

  limited and full need the gates to pass: error rate < 1 %, mean response < 2 s, processing success
  100 %, delivery > 95 %. A gate without data passes. Exit code 1: refused, or an error.

  --companies A,B  for limited: companies that get everything, beside the percentages
  --reason TEXT    why; recorded with every change
  --minutes N      the window of the metrics (15; 60 at most)
${DEPLOYMENT_HELP}`

const OPTIONS = {
  ...DEPLOYMENT_OPTIONS,
  companies: { type: "string", default: "" },
  reason: { type: "string" },
  minutes: { type: "string", default: "15" },
} as const

const COMMANDS = ["status", ...PHASES] as const

const flagSchema = z.object({
  name: z.string(),
  enabled: z.boolean(),
  percentage: z.number().min(0).max(100),
  allow: z.array(z.string()).default([]),
  deny: z.array(z.string()).default([]),
})
const flagsSchema = z.object({ data: z.array(flagSchema) })

/** The output of a command. */
export interface Output {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

/** The result of a change. `unknown`: it was requested, and neither the answer nor a later read shows the result. */
interface Applied {
  readonly name: FlagName
  readonly to: Flag
  readonly state: "set" | "not set" | "unknown"
  /** The deployment's refusal or error. */
  readonly why: string | null
}

/** Runs the command; returns its exit code. Throws `CommandError` when it ends without a result. */
export async function rollout(args: readonly string[], output: Output): Promise<0 | 1> {
  const { values, command } = readArgs(args)
  if (values.help || command === null) {
    output.out(HELP)
    return values.help ? 0 : 1
  }
  const deployment = deploymentOf(given(values))
  const companies = [...new Set(values.companies.split(",").flatMap((id) => (id.trim() === "" ? [] : [id.trim()])))]
  const reason = values.reason ?? `rollout: ${command}`
  if (command === "rollback") return rollBack(deployment, reason, values.json, output)

  const flags = await readFlags(deployment)
  const read = await readMetrics(deployment, values.minutes)
  const figures = "figures" in read ? read.figures : null
  if (command === "status") {
    const gates = figures === null ? [] : gatesOf(figures)
    if (values.json) output.out(`${JSON.stringify({ command, ...phaseOf(flags), flags, figures, gates }, null, 2)}\n`)
    else output.out(`${[...currentState(flags, read, gates)].join("\n\n")}\n`)
    return 0
  }

  const plan = planPhase(command, flags, figures, companies)
  const applied = await apply(deployment, plan.changes, reason, { continuesOnError: false })
  const isDone = plan.refused.length === 0 && applied.every(({ state }) => state === "set")
  if (values.json) {
    const { refused } = plan
    const from = phaseOf(flags)
    output.out(
      `${JSON.stringify({ command, ok: isDone, from, flags, figures, gates: plan.gates, refused, changes: applied }, null, 2)}\n`,
    )
    return isDone ? 0 : 1
  }
  output.out(`${[...currentState(flags, read, plan.gates), outcome(command, plan.refused, applied)].join("\n\n")}\n`)
  return isDone ? 0 : 1
}

/** Tries each flag, even if others fail or the current flags cannot be read; needs no metrics. */
async function rollBack(deployment: Deployment, reason: string, isJson: boolean, output: Output): Promise<0 | 1> {
  const flags = await readFlags(deployment).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error
    output.err(`${error.message} Rolling back anyway.\n`)
    return null
  })
  const changes = planPhase("rollback", flags ?? UNKNOWN_FLAGS, null).changes
  const applied = await apply(deployment, changes, reason, { continuesOnError: true })
  const isDone = applied.every(({ state }) => state === "set")
  if (isJson) {
    output.out(
      `${JSON.stringify({ command: "rollback", ok: isDone, flags, refused: [], changes: applied }, null, 2)}\n`,
    )
  } else {
    const before = flags === null ? [] : [`${phaseText(phaseOf(flags), flags)}\n${flagsText(flags)}`]
    output.out(`${[...before, outcome("rollback", [], applied)].join("\n\n")}\n`)
  }
  return isDone ? 0 : 1
}

/** The assumption for unknown flags: everything is on, so that the rollback changes all. */
const EVERYTHING: Flag = { enabled: true, percentage: 100, allow: [], deny: [] }
const UNKNOWN_FLAGS: Flags = {
  WEBHOOK_PROCESSING_ENABLED: EVERYTHING,
  SCHEDULER_ENABLED: EVERYTHING,
  NOTIFICATIONS_ENABLED: EVERYTHING,
  ROLLBACK_MODE: { enabled: false, percentage: 100, allow: [], deny: [] },
}

function readArgs(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
    const command = COMMANDS.find((name) => name === positionals[0]) ?? null
    if (positionals.length > 1 || (command === null && positionals.length > 0)) {
      throw new Error(`Unknown command ${positionals.join(" ")}.`)
    }
    if (!/^[1-9]\d?$/.test(values.minutes) || Number(values.minutes) > 60) {
      throw new Error("--minutes is a whole number from 1 to 60.")
    }
    return { values, command }
  } catch (error) {
    throw new CommandError(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
  }
}

/** The given options, without undefined ones. */
const given = ({ url, key, company }: { url?: string; key?: string; company?: string }) => ({
  ...(url !== undefined && { url }),
  ...(key !== undefined && { key }),
  ...(company !== undefined && { company }),
})

async function readFlags(deployment: Deployment): Promise<Flags> {
  const { data } = await callApi(deployment, "GET", "/api/flags", flagsSchema)
  const flagOf = (name: FlagName): Flag => {
    const found = data.find((flag) => flag.name === name)
    if (!found) throw new CommandError(`The deployment does not know the flag ${name}.`)
    const { enabled, percentage, allow, deny } = found
    return { enabled, percentage, allow, deny }
  }
  return {
    WEBHOOK_PROCESSING_ENABLED: flagOf("WEBHOOK_PROCESSING_ENABLED"),
    SCHEDULER_ENABLED: flagOf("SCHEDULER_ENABLED"),
    NOTIFICATIONS_ENABLED: flagOf("NOTIFICATIONS_ENABLED"),
    ROLLBACK_MODE: flagOf("ROLLBACK_MODE"),
  }
}

type Read = { readonly figures: DeploymentMetrics } | { readonly why: string }

async function readMetrics(deployment: Deployment, minutes: string): Promise<Read> {
  try {
    return { figures: await callApi(deployment, "GET", `/api/figures?minutes=${minutes}`, metricsSchema) }
  } catch (error) {
    if (error instanceof CommandError) return { why: error.message }
    throw error
  }
}

/** Applies the changes in order. After a failure the flags are read to find out which changes took effect. */
async function apply(
  deployment: Deployment,
  changes: readonly Change[],
  reason: string,
  { continuesOnError }: { readonly continuesOnError: boolean },
): Promise<readonly Applied[]> {
  const applied: Applied[] = []
  let hasFailed = false
  for (const { name, to } of changes) {
    if (hasFailed && !continuesOnError) {
      applied.push({ name, to, state: "not set", why: null })
      continue
    }
    try {
      await callApi(deployment, "PUT", `/api/flags/${name}`, z.unknown(), { ...to, reason })
      applied.push({ name, to, state: "set", why: null })
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      hasFailed = true
      applied.push({ name, to, state: "unknown", why: error.message })
    }
  }
  return hasFailed ? withActualStates(deployment, applied) : applied
}

/** Determines the state of changes without an answer: after a time-out a change may have taken effect. */
async function withActualStates(deployment: Deployment, applied: readonly Applied[]): Promise<readonly Applied[]> {
  const flags = await readFlags(deployment).catch(() => null)
  if (flags === null) return applied
  return applied.map((change) => {
    if (change.state !== "unknown") return change
    const isSet = flagText(flags[change.name]) === flagText(change.to)
    return { ...change, state: isSet ? ("set" as const) : ("not set" as const) }
  })
}

function* currentState(flags: Flags, read: Read, gates: readonly Gate[]): Generator<string> {
  const found: CurrentPhase = phaseOf(flags)
  yield `${phaseText(found, flags)}\n${flagsText(flags)}`
  yield "figures" in read ? gatesText(read.figures, gates) : `No metrics: ${read.why}`
}

function outcome(target: Phase, refused: readonly string[], applied: readonly Applied[]): string {
  if (refused.length > 0) return [`${target} is refused:`, ...refused.map((reason) => `  ✘ ${reason}`)].join("\n")
  if (applied.length === 0) return `It is ${target} already; nothing is changed.`
  const isDone = applied.every(({ state }) => state === "set")
  const head = isDone ? `It is ${target} now:` : `${target} is not complete:`
  const lines = applied.map(({ name, to, state, why }) => {
    const because = why === null || state === "set" ? "" : ` (${why})`
    return `  ${MARK[state]} ${name} ${flagText(to)}: ${state}${because}`
  })
  return [head, ...lines].join("\n")
}

const MARK = { set: "✔", "not set": "✘", unknown: "?" } as const
