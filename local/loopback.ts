import type { IncomingMessage } from "node:http"
import { serve } from "./faults.ts"

/** All servers of the local world listen only here, since most have no authentication. */
export const LOOPBACK = "127.0.0.1"

/** A port that is currently free, for a server whose address others need before it starts. */
export async function freePort(): Promise<number> {
  const { port, stop } = await serve(undefined, async () => {})
  await stop()
  return port
}

/** Whether `url` is plain HTTP to this machine. Local replacements call no other host. */
export function isLoopbackUrl(url: URL): boolean {
  return url.protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname)
}

/** The value of one request header; several lines are joined with commas. */
export function headerOf(req: Pick<IncomingMessage, "headers">, name: string): string | null {
  const value = req.headers[name]
  if (value === undefined) return null
  return Array.isArray(value) ? value.join(", ") : value
}
