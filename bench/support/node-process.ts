/** A server in a Node process of its own, beside the Workers. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { freePort, LOOPBACK } from "../../local/loopback.ts"
import { untilServing } from "../../local/processes/workerd.ts"

export interface ServedProcess {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** Runs a script that listens on PORT of this machine; resolves when it answers. */
export async function serveScript(script: URL, env: Readonly<Record<string, string>>): Promise<ServedProcess> {
  const port = await freePort()
  const child = spawn(process.execPath, [fileURLToPath(script)], {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: ["ignore", "ignore", "inherit"],
  })
  const kill = (): void => void child.kill("SIGKILL")
  process.once("exit", kill)
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const stop = async (): Promise<void> => {
    kill()
    await exited
    process.off("exit", kill)
  }
  const url = `http://${LOOPBACK}:${port}`
  try {
    await untilServing(child, url)
  } catch (cause) {
    await stop()
    throw new Error(`${script.pathname} does not serve`, { cause })
  }
  return { url, pid: child.pid ?? 0, stop }
}
