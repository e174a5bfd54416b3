/** Runs commands one after the other, and reports the result of each. */
import { spawn } from "node:child_process"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))

export interface Step {
  readonly name: string
  readonly command: readonly string[]
  /** Output is shown only on failure. */
  readonly isQuiet?: boolean
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

/** Runs all steps, also after a failure, so that one run reports all; failures are repeated at the end. True if all succeeded. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  const ended: StepResult[] = []
  for (const step of steps) {
    process.stdout.write(`\n▶ ${step.name}\n`)
    const end = await run(step)
    if (!end.isOk && step.isQuiet) process.stdout.write(end.output)
    process.stdout.write(lineOf(end))
    ended.push(end)
  }
  const failed = ended.filter(({ isOk }) => !isOk)
  for (const { step, output } of failed) {
    process.stdout.write(`\n▶ ${step.name}, last lines\n${output.split("\n").slice(-LAST_LINES).join("\n")}`)
  }
  process.stdout.write(`\n${ended.map(lineOf).join("")}`)
  return failed.length === 0
}

const lineOf = ({ step, isOk, seconds }: StepResult): string => `${isOk ? "✔" : "✘"} ${step.name} (${seconds} s)\n`

async function run(step: Step): Promise<StepResult> {
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
  let output = ""
  const collect = (chunk: string): void => {
    output += chunk
    if (!step.isQuiet) process.stdout.write(chunk)
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
