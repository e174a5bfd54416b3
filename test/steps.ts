/** Runs commands one after the other and says how each went. */
import { spawn } from "node:child_process"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))

export interface Step {
  readonly name: string
  readonly command: readonly string[]
  /** Only what goes wrong is worth reading. */
  readonly isQuiet?: boolean
}

/** Runs all steps, also after one failed, so that one run tells all; answers whether all went well. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  let isGood = true
  for (const step of steps) {
    process.stdout.write(`\n▶ ${step.name}\n`)
    const { isStepGood, report, output } = await timed(step, step.isQuiet ?? false)
    process.stdout.write(isStepGood ? report : `${output}${report}`)
    isGood &&= isStepGood
  }
  return isGood
}

/**
 * Runs lanes of steps side by side, so that steps which mostly wait leave no core idle; within a lane one comes after the
 * other. What a step writes is shown as a whole when it has ended.
 */
export async function runLanes(lanes: readonly (readonly Step[])[]): Promise<boolean> {
  const runLane = async (steps: readonly Step[]): Promise<boolean> => {
    let isGood = true
    for (const step of steps) {
      process.stdout.write(`\n▶ ${step.name} …\n`)
      const { isStepGood, report, output } = await timed(step, true)
      process.stdout.write(isStepGood && step.isQuiet ? report : `\n${output}${report}`)
      isGood &&= isStepGood
    }
    return isGood
  }
  return (await Promise.all(lanes.map(runLane))).every(Boolean)
}

async function timed(
  step: Step,
  isKept: boolean,
): Promise<{ readonly isStepGood: boolean; readonly report: string; readonly output: string }> {
  const startedAt = performance.now()
  const { code, output } = await run(step, isKept)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const report = code === 0 ? `✔ ${step.name} (${seconds} s)\n` : `✘ ${step.name} (${seconds} s, exit ${code})\n`
  return { isStepGood: code === 0, report, output }
}

function run({ command }: Step, isKept: boolean): Promise<{ readonly code: number; readonly output: string }> {
  const [program = "", ...args] = command
  const bin = join(ROOT, "node_modules", ".bin")
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...OFFLINE, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` },
    stdio: ["ignore", isKept ? "pipe" : "inherit", isKept ? "pipe" : "inherit"],
  })
  let output = ""
  child.stdout?.on("data", (chunk) => {
    output += chunk
  })
  child.stderr?.on("data", (chunk) => {
    output += chunk
  })
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: 1, output: String(error) }))
    child.on("close", (code) => resolve({ code: code ?? 1, output }))
  })
}

/** Wrangler would otherwise ask the network and write into the home directory. */
const OFFLINE = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_LOG_PATH: join(ROOT, ".local", "wrangler", "logs"),
  WRANGLER_REGISTRY_PATH: join(ROOT, ".local", "wrangler", "registry"),
  WRANGLER_CACHE_DIR: join(ROOT, ".local", "wrangler", "cache"),
  XDG_CONFIG_HOME: join(ROOT, ".local", "wrangler", "config"),
}
