/** A clock for processes of the test's own that is ahead of the world's: what is due there is not due in the world yet. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { worldNow } from "./world.ts"

/** Starts a clock that is so far ahead, and asks it nothing more of the world. */
export async function startClockAhead(aheadMs: number): Promise<{ readonly url: string; readonly stop: () => void }> {
  const offsetMs = (await worldNow()).getTime() - Date.now() + aheadMs
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify({ now: new Date(Date.now() + offsetMs).toISOString() }))
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo // a TCP server that listens has no other kind
  return {
    url: `http://127.0.0.1:${port}/clock`,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
