/** Uploads a file's secrets to the Worker. */
import { spawn } from "node:child_process"
import { CommandError } from "../deployment.ts"

/** The command that uploads the file, for the operator to run. */
export const uploadCommand = (file: string, env: string): string => `npx wrangler secret bulk ${file} --env ${env}`

/** Runs it. Throws `CommandError` if wrangler fails. */
export async function upload(file: string, env: string): Promise<void> {
  // Wrangler's output (names of secrets, no values) goes to stderr, since stdout is for the result.
  const child = spawn("wrangler", ["secret", "bulk", file, "--env", env], { stdio: ["inherit", 2, 2] })
  const code = await new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null))
    child.once("exit", resolve)
  })
  if (code !== 0) throw new CommandError(`The upload did not work. The file is written: ${uploadCommand(file, env)}`)
}
