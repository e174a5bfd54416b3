/** The HTTP server of the Node targets: one route, which answers 401 when `handle` refuses. */
import { createServer } from "node:http"
import { LOOPBACK } from "../../../local/loopback.ts"

/** Handles a delivery; false: its signature is not accepted. */
export type Handle = (body: Buffer, signature: string) => Promise<boolean>

/** Serves on PORT of this machine. */
export function serveWebhooks(handle: Handle): void {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const isAccepted = await handle(Buffer.concat(chunks), String(request.headers["stripe-signature"] ?? ""))
    response.writeHead(isAccepted ? 200 : 401, { "content-type": "application/json" })
    response.end(JSON.stringify(isAccepted ? { received: true } : { error: "signature" }))
  })
  server.listen(Number(process.env.PORT), LOOPBACK)
}

/** A variable that the benchmark sets. */
export function variable(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set`)
  return value
}
