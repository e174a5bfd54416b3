/** A network with a delay: forwards connections, and every byte arrives half of the round trip later. */
import { connect, createServer, type Socket } from "node:net"
import { LOOPBACK } from "../../local/loopback.ts"

export interface DelayedRoute {
  readonly port: number
  /** What has come back so far. */
  bytesReceived(): number
  stop(): Promise<void>
}

/** Forwards to a port of this machine with a round trip of `roundTripMs`. */
export async function startDelayedRoute(toPort: number, roundTripMs: number): Promise<DelayedRoute> {
  const open = new Set<Socket>()
  let received = 0
  const server = createServer((near) => {
    const far = connect(toPort, LOOPBACK)
    forward(near, far, roundTripMs / 2)
    forward(far, near, roundTripMs / 2)
    far.on("data", (bytes) => {
      received += bytes.length
    })
    for (const socket of [near, far]) {
      open.add(socket)
      socket.setNoDelay(true)
      socket.once("close", () => open.delete(socket))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("not listening on a TCP port")
  return {
    port: address.port,
    bytesReceived: () => received,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** Timers of one length end in the order in which they began, so bytes keep their order. */
function forward(from: Socket, to: Socket, delayMs: number): void {
  const later = (action: () => void): void => void setTimeout(action, delayMs)
  from.on("data", (bytes) => later(() => to.writable && to.write(bytes)))
  from.on("end", () => later(() => to.end()))
  from.on("error", () => to.destroy())
}
