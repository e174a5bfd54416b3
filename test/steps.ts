/** Runs commands, and reports the result of each. */
import { spawn } from "node:child_process"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))

export interface Step {
  readonly name: string
  readonly command: readonly string[]
  /** Output is shown only on failure. */
  readonly isQuiet?: boolean
  /** Runs only while a processor would be free. */
  readonly isPatient?: boolean
}

/** Steps that run side by side; their output is shown when they end. */
export type StepGroup = readonly Step[]

/** The result of a step. */
interface StepResult {
  readonly step: Step
  readonly isOk: boolean
  readonly seconds: string
  readonly output: string
}

/**
 * Lowers the priority of a command and of all that it starts: Linux' idle class, else `nice`, beside which what wakes up often
 * is slower. Windows has neither, and shares its processors evenly.
 */
const PATIENT =
  process.platform === "win32"
    ? []
    : ["sh", "-c", 'chrt --idle 0 true 2>/dev/null && exec chrt --idle 0 "$@"; exec nice -n 15 "$@"', "sh"]

/** How much of a failed step's output is repeated at the end. */
const LAST_LINES = 120

/**
 * Runs the steps and groups one after the other, also after a failure, so that one run reports all; failures are repeated at
 * the end. `beside` runs from the start beside all of them; its output is shown last. True if all succeeded.
 */
export async function runSteps(steps: readonly (Step | StepGroup)[], beside?: Step): Promise<boolean> {
  const ended: StepResult[] = []
  const last = beside && run(beside, () => undefined)
  for (const step of steps) ended.push(...("command" in step ? [await show(step)] : await showGroup(step)))
  if (beside && last) {
    process.stdout.write(`\n▶ ${beside.name}\n`)
    ended.push(showEnd(await last))
  }
  const failed = ended.filter(({ isOk }) => !isOk)
  for (const { step, output } of failed) {
    process.stdout.write(`\n▶ ${step.name}, last lines\n${output.split("\n").slice(-LAST_LINES).join("\n")}`)
  }
  process.stdout.write(`\n${ended.map(lineOf).join("")}`)
  return failed.length === 0
}

async function show(step: Step): Promise<StepResult> {
  process.stdout.write(`\n▶ ${step.name}\n`)
  const end = await run(step, (chunk) => !step.isQuiet && process.stdout.write(chunk))
  if (!end.isOk && step.isQuiet) process.stdout.write(end.output)
  process.stdout.write(lineOf(end))
  return end
}

async function showGroup(steps: StepGroup): Promise<StepResult[]> {
  process.stdout.write(`\n▶ ${steps.map(({ name }) => name).join(" · ")}\n`)
  return Promise.all(steps.map(async (step) => showEnd(await run(step, () => undefined))))
}

function showEnd(end: StepResult): StepResult {
  process.stdout.write(end.isOk && end.step.isQuiet ? lineOf(end) : `${end.output}${lineOf(end)}`)
  return end
}

const lineOf = ({ step, isOk, seconds }: StepResult): string => `${isOk ? "✔" : "✘"} ${step.name} (${seconds} s)\n`

/** `onOutput` receives the output as it comes. */
async function run(step: Step, onOutput: (chunk: string) => void): Promise<StepResult> {
  const startedAt = performance.now()
  const [program = "", ...args] = step.isPatient ? [...PATIENT, ...step.command] : step.command
  const bin = join(ROOT, "node_modules", ".bin")
  const child = spawn(program, args, {
    cwd: ROOT,
    env: {
      ...process.env,
      ...OFFLINE,
      ...(process.stdout.isTTY && { FORCE_COLOR: "1" }),
      PATH: `${bin}${delimiter}${process.env.PATH ?? ""}`,
    },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  const collect = (chunk: string): void => {
    output += chunk
    onOutput(chunk)
  }
  child.stdout.setEncoding("utf8").on("data", collect)
  child.stderr.setEncoding("utf8").on("data", collect)
  const isOk = await new Promise<boolean>((resolve) => {
    child.on("error", (error) => {
      collect(`${String(error)}\n`)
      resolve(false)
    })
    child.on("close", (code) => resolve(code === 0))
  })
  return { step, isOk, seconds: ((performance.now() - startedAt) / 1000).toFixed(1), output }
}

/** Otherwise wrangler uses the network and writes into the home directory. */
const OFFLINE = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_LOG_PATH: join(ROOT, ".local", "wrangler", "logs"),
  WRANGLER_REGISTRY_PATH: join(ROOT, ".local", "wrangler", "registry"),
  WRANGLER_CACHE_DIR: join(ROOT, ".local", "wrangler", "cache"),
  XDG_CONFIG_HOME: join(ROOT, ".local", "wrangler", "config"),
}
