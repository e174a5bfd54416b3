/** Runs commands one after the other, or in lanes side by side, and says how each went. */
import { type ChildProcess, spawn } from "node:child_process"
import { constants, setPriority } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

export const ROOT = fileURLToPath(new URL("..", import.meta.url))

export interface Step {
  readonly name: string
  readonly command: readonly string[]
  /** Only what goes wrong is worth reading. */
  readonly isQuiet?: boolean
}

/** Steps that run one after the other, beside those of other lanes. */
export interface Lane {
  readonly steps: readonly Step[]
  /** Gets what time of the processors the other lanes leave: theirs is measured, this one's is not. */
  readonly isBehind?: boolean
}

/** How a step went. */
interface Ended {
  readonly step: Step
  readonly isGood: boolean
  readonly seconds: string
  readonly output: string
}

/** How much of what a failed step wrote is shown again at the end, where a reader looks first. */
const LAST_LINES = 120

/** Runs all steps, also after one failed, so that one run tells all; answers whether all went well. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  let isGood = true
  for (const step of steps) {
    process.stdout.write(`\n▶ ${step.name}\n`)
    const ended = await run(step, { isShown: !step.isQuiet, isBehind: false })
    if (!ended.isGood && step.isQuiet) process.stdout.write(ended.output)
    process.stdout.write(lineOf(ended))
    isGood &&= ended.isGood
  }
  return isGood
}

/**
 * Runs lanes side by side. The first one's output is shown as it comes, a step's of the others when it has ended; failures
 * once more at the end. Answers whether all went well.
 */
export async function runLanes(lanes: readonly Lane[]): Promise<boolean> {
  const ended: Ended[] = []
  await Promise.all(
    lanes.map(async ({ steps, isBehind = false }, lane) => {
      for (const step of steps) {
        process.stdout.write(`\n▶ ${step.name} …\n`)
        const end = await run(step, { isShown: lane === 0, isBehind })
        process.stdout.write(lane === 0 ? lineOf(end) : `\n${end.output}${lineOf(end)}`)
        ended.push(end)
      }
    }),
  )
  const failed = ended.filter(({ isGood }) => !isGood)
  for (const { step, output } of failed) {
    process.stdout.write(`\n▶ ${step.name}, its last lines again\n${output.split("\n").slice(-LAST_LINES).join("\n")}`)
  }
  process.stdout.write(`\n${ended.map(lineOf).join("")}`)
  return failed.length === 0
}

const lineOf = ({ step, isGood, seconds }: Ended): string => `${isGood ? "✔" : "✘"} ${step.name} (${seconds} s)\n`

async function run(step: Step, { isShown, isBehind }: { isShown: boolean; isBehind: boolean }): Promise<Ended> {
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
  if (isBehind) giveWay(child)
  let output = ""
  const hear = (chunk: string): void => {
    output += chunk
    if (isShown) process.stdout.write(chunk)
  }
  child.stdout.setEncoding("utf8").on("data", hear)
  child.stderr.setEncoding("utf8").on("data", hear)
  const isGood = await new Promise<boolean>((resolve) => {
    child.on("error", (error) => {
      hear(`${String(error)}\n`)
      resolve(false)
    })
    child.on("close", (code) => resolve(code === 0))
  })
  return { step, isGood, seconds: ((performance.now() - startedAt) / 1000).toFixed(1), output }
}

/** Lets a process and all that it will start have the lowest priority; one that is gone already needs none. */
function giveWay({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    // Then it runs like the others: slower for them, and right all the same.
  }
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
