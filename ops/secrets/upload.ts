/** Gives the Worker the secrets of a file. */
import { spawn } from "node:child_process"
import { CommandError } from "../deployment.ts"

/** The command that uploads the file, for a person to run. */
export const uploadCommand = (file: string, env: string): string => `npx wrangler secret bulk ${file} --env ${env}`

/** Runs it. Throws `CommandError` unless wrangler says that it is done. */
export async function upload(file: string, env: string): Promise<void> {
  // What wrangler says (names of secrets, no values) goes to stderr, so that stdout stays for the result.
  const child = spawn("wrangler", ["secret", "bulk", file, "--env", env], { stdio: ["inherit", 2, 2] })
  const code = await new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null))
    child.once("exit", resolve)
  })
  if (code !== 0) throw new CommandError(`The upload did not work. The file is written: ${uploadCommand(file, env)}`)
}
