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
    const startedAt = performance.now()
    process.stdout.write(`\n▶ ${step.name}\n`)
    const { code, output } = await run(step)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    if (code !== 0 && step.isQuiet) process.stdout.write(output)
    process.stdout.write(
      code === 0 ? `✔ ${step.name} (${seconds} s)\n` : `✘ ${step.name} (${seconds} s, exit ${code})\n`,
    )
    isGood &&= code === 0
  }
  return isGood
}

function run({ command, isQuiet = false }: Step): Promise<{ readonly code: number; readonly output: string }> {
  const [program = "", ...args] = command
  const bin = join(ROOT, "node_modules", ".bin")
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...OFFLINE, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` },
    stdio: ["ignore", isQuiet ? "pipe" : "inherit", isQuiet ? "pipe" : "inherit"],
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
