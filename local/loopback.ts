import type { IncomingMessage } from "node:http"
import { serve } from "./faults.ts"

/** Every server of the local world listens here and nowhere else: none of them asks who is calling. */
export const LOOPBACK = "127.0.0.1"

/** A port that was free a moment ago, for a server whose address others must know before it starts. */
export async function freePort(): Promise<number> {
  const { port, stop } = await serve(undefined, async () => {})
  await stop()
  return port
}

/** Whether `url` is plain HTTP to this machine. Stand-ins call nobody else. */
export function isLoopbackUrl(url: URL): boolean {
  return url.protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname)
}

/** The value of one request header; several lines of it are joined as HTTP says. */
export function headerOf(req: Pick<IncomingMessage, "headers">, name: string): string | null {
  const value = req.headers[name]
  if (value === undefined) return null
  return Array.isArray(value) ? value.join(", ") : value
}
