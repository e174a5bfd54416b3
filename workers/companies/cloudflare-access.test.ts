/** Tokens of Cloudflare Access, against keys in memory. */
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose"
import { beforeEach, describe, expect, test } from "vitest"
import { utf8 } from "../../shared/crypto/bytes.ts"
import { AppError } from "../platform/errors.ts"
import type { Services } from "../platform/services.ts"
import { verifyAccessToken } from "./cloudflare-access.ts"

const AUDIENCE = "a".repeat(64)
/** jose caches by the real clock; tokens are judged by the Worker's. */
const NOW = new Date()
const seconds = (offset = 0) => Math.floor(NOW.getTime() / 1_000) + offset

const [first, second] = [await generateKeyPair("RS256"), await generateKeyPair("RS256")]
const elliptic = await generateKeyPair("ES256")
type Key = CryptoKey | Uint8Array

let teams = 0
let team = { url: "", fetches: 0, isDown: false, keys: [] as { kid: string; key: CryptoKey }[] }

/** A team of its own for each test: the isolate keeps a team's keys. */
beforeEach(() => {
  teams += 1
  const keys = [{ kid: "one", key: first.publicKey }]
  team = { url: `https://team${teams}.cloudflareaccess.com`, fetches: 0, isDown: false, keys }
})

const services = (isConfigured = true): Services =>
  // Only what reading a token uses.
  ({
    config: { access: { cloudflareAccess: isConfigured ? { teamUrl: team.url, audience: AUDIENCE } : null } },
    now: () => NOW,
    outbound: {
      fetchFor: (target: string) => async (input: string | URL) => {
        expect([target, String(input)]).toEqual(["access", `${team.url}/cdn-cgi/access/certs`])
        team.fetches += 1
        if (team.isDown) throw new TypeError("no answer")
        const keys = team.keys.map(async ({ kid, key }) => ({
          ...(await exportJWK(key)),
          kid,
          alg: "RS256",
          use: "sig",
        }))
        return Response.json({ keys: await Promise.all(keys) })
      },
    },
  }) as unknown as Services

interface TokenOptions {
  readonly claims?: Record<string, unknown>
  readonly issuer?: string
  readonly audience?: string
  readonly key?: Key
  readonly alg?: string
  readonly kid?: string
  readonly iat?: number
  readonly exp?: number
  readonly nbf?: number
}

const sign = (given: TokenOptions = {}): Promise<string> => {
  const { claims = { email: "ann@example.com" }, key = first.privateKey, alg = "RS256", kid = "one" } = given
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg, kid })
    .setIssuer(given.issuer ?? team.url)
    .setAudience(given.audience ?? AUDIENCE)
    .setIssuedAt(given.iat ?? seconds(-10))
    .setExpirationTime(given.exp ?? seconds(600))
  if (given.nbf !== undefined) token.setNotBefore(given.nbf)
  return token.sign(key)
}

const outcome = async (token: string | null, isConfigured = true) =>
  verifyAccessToken(services(isConfigured), token).catch((error) => (error instanceof AppError ? error.code : error))

test("a token for this application is its person's address", async () => {
  expect(await outcome(await sign())).toBe("ann@example.com")
  expect(await outcome(await sign({ claims: { email: "ann@example.com", sub: "x", type: "app" } }))).toBe(
    "ann@example.com",
  )
  expect(team.fetches).toBe(1)
})

describe("is refused", () => {
  test.each<[string, TokenOptions]>([
    ["another application's", { audience: "b".repeat(64) }],
    ["another team's", { issuer: "https://other.cloudflareaccess.com" }],
    ["the team's with a slash", { issuer: "https://team.cloudflareaccess.com/" }],
    ["an expired one", { exp: seconds(-31) }],
    ["one that is not valid yet", { nbf: seconds(31) }],
    ["one that another key has signed", { key: second.privateKey }],
    ["one of an unknown key", { kid: "two", key: second.privateKey }],
    ["one that is signed with ES256", { alg: "ES256", key: elliptic.privateKey }],
    ["one without an address", { claims: {} }],
    ["one with something else as an address", { claims: { email: "ann" } }],
    ["one with a list of addresses", { claims: { email: ["ann@example.com"] } }],
  ])("%s", async (_, options) => {
    expect(await outcome(await sign(options))).toBe("UNAUTHENTICATED")
  })

  test("one that is signed with the public key as a secret, or not at all", async () => {
    const secret = utf8(await exportSPKI(first.publicKey))
    expect(await outcome(await sign({ alg: "HS256", key: secret }))).toBe("UNAUTHENTICATED")
    const [, payload] = (await sign()).split(".")
    const header = btoa('{"alg":"none","kid":"one"}').replaceAll("=", "")
    expect(await outcome(`${header}.${payload}.`)).toBe("UNAUTHENTICATED")
  })

  test("one whose content was changed", async () => {
    const [header, , signature] = (await sign()).split(".")
    const [, payload] = (await sign({ claims: { email: "eve@example.com" } })).split(".")
    expect(await outcome(`${header}.${payload}.${signature}`)).toBe("UNAUTHENTICATED")
  })

  test.each([null, "", "x", "a.b.c", "x".repeat(8_193)])("%j", async (token) => {
    expect(await outcome(token)).toBe("UNAUTHENTICATED")
  })

  test("every one where Access is not configured", async () => {
    expect(await outcome(await sign(), false)).toBe("NOT_FOUND")
    expect(team.fetches).toBe(0)
  })
})

describe("the team's keys", () => {
  test("are read once for many tokens, and not again at once for unknown keys", async () => {
    expect(await outcome(await sign())).toBe("ann@example.com")
    for (let times = 0; times < 20; times++) {
      expect(await outcome(await sign({ kid: `unknown-${times}`, key: second.privateKey }))).toBe("UNAUTHENTICATED")
    }
    expect(team.fetches).toBe(1)
  })

  test("count while they cannot be read again, and without them nobody signs in", async () => {
    team.isDown = true
    expect(await outcome(await sign())).toBe("UNAVAILABLE")
    team.isDown = false
    expect(await outcome(await sign())).toBe("ann@example.com")
    team.isDown = true
    expect(await outcome(await sign())).toBe("ann@example.com")
  })
})
