/** A clock ahead of the world's for processes of a test: what is due for them is not due in the world yet. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { worldNow } from "./world.ts"

export interface ClockAhead {
  readonly url: string
  readonly advance: (ms: number) => void
  readonly stop: () => void
}

/** Starts a clock that is `aheadMs` ahead, independent of the world from then on. */
export async function startClockAhead(aheadMs: number): Promise<ClockAhead> {
  let offsetMs = (await worldNow()).getTime() - Date.now() + aheadMs
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify({ now: new Date(Date.now() + offsetMs).toISOString() }))
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo // a listening TCP server has this kind of address
  return {
    url: `http://127.0.0.1:${port}/clock`,
    advance: (ms) => {
      offsetMs += ms
    },
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
