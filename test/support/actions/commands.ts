/** Commands of `ops/` as processes against the running world, without npm. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { ROOT } from "../../steps.ts"
import { world } from "../world/world.ts"

/** Runs a command and returns what it printed. Throws when it ends with another exit code than 0. */
export async function runOps(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, `ops/${command}.ts`), ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, CHURN_SAVER_URL: world().workerUrl, CHURN_SAVER_KEY: world().adminApiKey },
  })
  return stdout
}
