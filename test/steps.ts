/** Runs commands one after the other, or in lanes side by side, and reports the result of each. */
import { type ChildProcess, spawn } from "node:child_process"
import { constants, setPriority } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))

export interface Step {
  readonly name: string
  readonly command: readonly string[]
  /** Output is shown only on failure. */
  readonly isQuiet?: boolean
}

/** Steps that run one after the other, beside those of other lanes. */
export interface Lane {
  readonly steps: readonly Step[]
  /** Runs at the lowest priority: its tests have no tight time limits. */
  readonly isLowPriority?: boolean
}

/** The result of a step. */
interface StepResult {
  readonly step: Step
  readonly isOk: boolean
  readonly seconds: string
  readonly output: string
}

/** How much of a failed step's output is repeated at the end. */
const LAST_LINES = 120

/** Runs all steps, also after a failure, so that one run reports all; true if all succeeded. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  let isOk = true
  for (const step of steps) {
    process.stdout.write(`\n▶ ${step.name}\n`)
    const ended = await run(step, { isShown: !step.isQuiet, isLowPriority: false })
    if (!ended.isOk && step.isQuiet) process.stdout.write(ended.output)
    process.stdout.write(lineOf(ended))
    isOk &&= ended.isOk
  }
  return isOk
}

/**
 * Runs lanes side by side. The output of the first is shown at once, that of the others when a step has ended; failures are
 * repeated at the end. True if all succeeded.
 */
export async function runLanes(lanes: readonly Lane[]): Promise<boolean> {
  const ended: StepResult[] = []
  await Promise.all(
    lanes.map(async ({ steps, isLowPriority = false }, lane) => {
      for (const step of steps) {
        process.stdout.write(`\n▶ ${step.name} …\n`)
        const end = await run(step, { isShown: lane === 0, isLowPriority })
        process.stdout.write(lane === 0 ? lineOf(end) : `\n${end.output}${lineOf(end)}`)
        ended.push(end)
      }
    }),
  )
  const failed = ended.filter(({ isOk }) => !isOk)
  for (const { step, output } of failed) {
    process.stdout.write(`\n▶ ${step.name}, last lines\n${output.split("\n").slice(-LAST_LINES).join("\n")}`)
  }
  process.stdout.write(`\n${ended.map(lineOf).join("")}`)
  return failed.length === 0
}

const lineOf = ({ step, isOk, seconds }: StepResult): string => `${isOk ? "✔" : "✘"} ${step.name} (${seconds} s)\n`

async function run(
  step: Step,
  { isShown, isLowPriority }: { isShown: boolean; isLowPriority: boolean },
): Promise<StepResult> {
  const startedAt = performance.now()
  const [program = "", ...args] = step.command
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
  if (isLowPriority) lowerPriority(child)
  let output = ""
  const collect = (chunk: string): void => {
    output += chunk
    if (isShown) process.stdout.write(chunk)
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

/** Gives a process and its future children the lowest priority. */
function lowerPriority({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    // The process has ended, or its priority cannot be changed; then it slows the others down.
  }
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
