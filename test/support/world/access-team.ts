/** A stand-in of a team of Cloudflare Access: it publishes the team's keys and signs tokens like those in front of an app. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { exportJWK, generateKeyPair, SignJWT } from "jose"

const AUDIENCE = "c".repeat(64)

export interface AccessTeam {
  /** The Worker's variables for this team. */
  readonly vars: Readonly<Record<string, string>>
  /** The header that Access adds to a request of this person. */
  headersOf(email: string, at: Date): Promise<Headers>
  stop(): void
}

/** Starts the team's key server. */
export async function startAccessTeam(): Promise<AccessTeam> {
  const { publicKey, privateKey } = await generateKeyPair("RS256")
  const keys = [{ ...(await exportJWK(publicKey)), kid: "team", alg: "RS256", use: "sig" }]
  const server = createServer((request, response) => {
    const isKeys = request.url === "/cdn-cgi/access/certs"
    response.writeHead(isKeys ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify({ keys }))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    vars: { ACCESS_TEAM_URL: url, ACCESS_AUDIENCE: AUDIENCE },
    async headersOf(email, at) {
      const seconds = Math.floor(at.getTime() / 1_000)
      const token = await new SignJWT({ email })
        .setProtectedHeader({ alg: "RS256", kid: "team" })
        .setIssuer(url)
        .setAudience(AUDIENCE)
        .setIssuedAt(seconds)
        .setExpirationTime(seconds + 600)
        .sign(privateKey)
      return new Headers({ "cf-access-jwt-assertion": token })
    },
    stop: () => void server.close(),
  }
}
