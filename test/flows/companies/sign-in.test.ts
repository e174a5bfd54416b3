/**
 * Signing in to the dashboard by key and by one-time link, and what sessions may do. Over 300 lines because all tests share how
 * people are invited and sign in.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { createSession, readSession, revokeSession } from "../../../workers/companies/sessions.ts"
import {
  requestSignInLink,
  signInWithAccess,
  signInWithKey,
  signInWithLink,
} from "../../../workers/companies/sign-in.ts"
import { AppError } from "../../../workers/platform/errors.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { browser, requestServices, sentLink } from "../../support/actions/sign-in.ts"
import { fresh } from "../../support/events/providers.ts"
import { type AccessTeam, startAccessTeam } from "../../support/world/access-team.ts"
import { advanceClock, api, mailbox, reset, sql, world, worldNow } from "../../support/world/world.ts"

beforeEach(reset)

const send = (method: string, path: string, body?: object, companyId = world().companyId) =>
  api<{ id: string; isInvitationSent?: boolean }>(path, {
    method,
    headers: { "content-type": "application/json", "x-company-id": companyId },
    ...(body && { body: JSON.stringify(body) }),
  })

const invite = async (email: string, role = "success-manager", companyId = world().companyId) => {
  const { status, body } = await send("POST", "/api/people", { email, role }, companyId)
  expect([status, body.isInvitationSent]).toEqual([201, true])
  return body.id
}

async function askForLink(email: string, headers = browser()) {
  const { services, afterwards } = await requestServices()
  await requestSignInLink(services, headers, email)
  await afterwards()
}

const useLink = async (token: string, headers = browser()) =>
  signInWithLink((await requestServices()).services, headers, token)
const useKey = async (key: string, headers = browser()) =>
  signInWithKey((await requestServices()).services, headers, key)
const read = async (token: string, companyId: string | null = null) =>
  readSession((await requestServices()).services, token, { companyId })

const codeOf = (error: unknown) => (error instanceof AppError ? error.code : String(error))
const refusal = (attempt: Promise<unknown>) => attempt.then(() => "signed in", codeOf)

async function signedIn(email = "ann@example.com", role = "success-manager") {
  const personId = await invite(email, role)
  await askForLink(email)
  return { personId, ...(await useLink(await sentLink(email))) }
}

const eventsOf = async () =>
  (await api<{ data: { kind: string; via: string; who: string | null; reason: string | null }[] }>("/api/sign-ins"))
    .body.data

describe("a link", () => {
  test("is sent to a person who was invited, signs in once, with the person's role", async () => {
    const { session, personId, token } = await signedIn()
    const principal = { keyId: `person:${personId}`, role: "success-manager", companyId: world().companyId }
    expect(session.principal).toEqual(principal)
    expect(await read(token)).toMatchObject({ principal, via: "link", id: session.id })
    const link = await sentLink("ann@example.com")
    expect(await refusal(useLink(link))).toBe("UNAUTHENTICATED")
    expect((await eventsOf()).map(({ kind, reason }) => [kind, reason])).toEqual([
      ["sign_in_failed", "used"],
      ["signed_in", null],
      ["link_requested", null],
    ])
  })

  test("works for a quarter of an hour", async () => {
    await invite("ann@example.com")
    await askForLink("ann@example.com")
    const token = await sentLink("ann@example.com")
    await advanceClock("PT15M1S")
    expect(await refusal(useLink(token))).toBe("UNAUTHENTICATED")
    expect((await eventsOf())[0]).toMatchObject({ kind: "sign_in_failed", reason: "expired" })
  })

  test("signs in one of two who use it at the same moment", async () => {
    await invite("ann@example.com")
    await askForLink("ann@example.com")
    const token = await sentLink("ann@example.com")
    const ends = await Promise.all([refusal(useLink(token)), refusal(useLink(token)), refusal(useLink(token))])
    expect(ends.sort()).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED", "signed in"])
  })

  test("is sent for any spelling of the address, to the address that was invited", async () => {
    await invite("ann@example.com")
    await askForLink(" ANN@Example.COM ")
    expect(await sentLink("ann@example.com")).toBeTruthy()
    expect((await mailbox()).every(({ to }) => to === "ann@example.com")).toBe(true)
  })

  test("is not sent to a stranger, and asking looks the same", async () => {
    await askForLink("stranger@example.com")
    await askForLink("no address at all")
    expect(await mailbox()).toEqual([])
    expect(await eventsOf()).toEqual([])
  })

  test("is sent at most five times an hour to a person, and ten times in five minutes from one client", async () => {
    await invite("ann@example.com")
    for (let times = 0; times < 7; times++) await askForLink("ann@example.com")
    expect((await mailbox()).filter(({ body }) => body.includes("/sign-in/"))).toHaveLength(5)
    const headers = browser()
    for (let times = 0; times < 10; times++) await askForLink("stranger@example.com", headers)
    expect(await refusal(askForLink("stranger@example.com", headers))).toBe("TOO_MANY_REQUESTS")
  })

  test("for an address of two companies comes once for each", async () => {
    const B = fresh("company")
    await addCompany(B)
    await invite("ann@example.com")
    await invite("ann@example.com", "admin", B)
    await askForLink("ann@example.com")
    const links = (await mailbox()).flatMap(({ body }) => /\/sign-in\/(\S+)/.exec(body)?.[1] ?? [])
    const sessions = await Promise.all(links.map((link) => useLink(link)))
    const principals = sessions.map(({ session }) => [session.principal.companyId, session.principal.role])
    expect(principals.sort()).toEqual(
      [
        [world().companyId, "success-manager"],
        [B, "admin"],
      ].sort(),
    )
  })

  test.each(["", "x", "~.x", `acme.${"a".repeat(42)}`, `a cme.${"a".repeat(43)}`, `~.${"a".repeat(43)}`])(
    "%j is refused",
    async (token) => {
      expect(await refusal(useLink(token))).toBe("UNAUTHENTICATED")
    },
  )

  test("guesses are limited by client, and recorded nowhere", async () => {
    const headers = browser()
    const guess = () => refusal(useLink(`${world().companyId}.${"a".repeat(43)}`, headers))
    const ends: string[] = []
    for (let times = 0; times < 12; times++) ends.push(await guess())
    expect(ends.at(-1)).toBe("TOO_MANY_REQUESTS")
    expect(await sql("select 1 from access_events")).toEqual([])
  })
})

describe("a person", () => {
  test("is stored sealed, listed with the address, and invited once", async () => {
    const id = await invite("ann@example.com", "admin")
    expect((await send("POST", "/api/people", { email: "Ann@example.com", role: "admin" })).status).toBe(409)
    const { body } = await api<{ data: object[] }>("/api/people")
    expect(body.data).toMatchObject([{ id, email: "ann@example.com", role: "admin", invitedBy: "admin" }])
    const [stored] = await sql<{ text: string }>(
      "select string_agg(encode(address, 'escape'), '') || string_agg(a.address_index, '') as text from people join person_addresses a on true",
    )
    expect(stored?.text).not.toContain("ann")
  })

  test("who is removed loses sessions, links and address, and may be invited again", async () => {
    const { personId, token } = await signedIn()
    await askForLink("ann@example.com")
    const link = await sentLink("ann@example.com")
    expect((await api(`/api/people/${personId}`, { method: "DELETE" })).status).toBe(204)
    expect(await read(token)).toBeNull()
    expect(await refusal(useLink(link))).toBe("UNAUTHENTICATED")
    expect(await sql("select address from people")).toEqual([{ address: null }])
    expect(await sql("select 1 from person_addresses")).toEqual([])
    expect((await api(`/api/people/${personId}`, { method: "DELETE" })).status).toBe(404)
    await invite("ann@example.com")
  })

  test("whose role is changed has the new one at once, also in open sessions", async () => {
    const { personId, token } = await signedIn()
    expect((await send("PUT", `/api/people/${personId}`, { role: "success-analyst" })).status).toBe(200)
    expect((await read(token))?.principal.role).toBe("success-analyst")
  })

  test("of another company is not listed, changed or removed", async () => {
    const B = fresh("company")
    await addCompany(B)
    const id = await invite("ann@example.com")
    const key = await newApiKey("admin", B)
    expect((await api<{ data: unknown[] }>("/api/people", { key })).body.data).toEqual([])
    expect((await api<{ data: unknown[] }>("/api/sign-ins", { key })).body.data).toEqual([])
    expect((await api(`/api/people/${id}`, { key, method: "DELETE" })).status).toBe(404)
    const put = { key, method: "PUT", body: '{"role":"admin"}', headers: { "content-type": "application/json" } }
    expect((await api(`/api/people/${id}`, put)).status).toBe(404)
  })
})

describe("a session", () => {
  test("of a key ends with the key", async () => {
    const key = await newApiKey("success-analyst")
    const { token } = await useKey(key)
    expect((await read(token))?.principal).toMatchObject({ role: "success-analyst", companyId: world().companyId })
    await sql("update api_keys set revoked_at = now()")
    expect(await read(token)).toBeNull()
  })

  test("of an operator is for any company that exists, and ends when ADMIN_API_KEY changes", async () => {
    const B = fresh("company")
    await addCompany(B)
    const { token } = await useKey(world().adminApiKey)
    expect((await read(token))?.principal).toEqual({ keyId: "admin", role: "operator", companyId: world().companyId })
    expect((await read(token, B))?.principal.companyId).toBe(B)
    expect(await refusal(read(token, "nobody"))).toBe("NOT_FOUND")
    const rotated = await requestServices({ ADMIN_API_KEY: "another_admin_key_0123456789" })
    expect(await readSession(rotated.services, token)).toBeNull()
  })

  test("of one company is not for another", async () => {
    const B = fresh("company")
    await addCompany(B)
    const { token } = await useKey(await newApiKey("admin"))
    expect(await refusal(read(token, B))).toBe("FORBIDDEN")
    const moved = token.replace(/^[^.]+/, B)
    expect([await read(moved), await read(token.replace(/^[^.]+/, "~"))]).toEqual([null, null])
  })

  test("ends after twelve hours, and when it is revoked", async () => {
    const key = await newApiKey("admin")
    const [first, second] = [await useKey(key), await useKey(key)]
    const { services } = await requestServices()
    expect(await revokeSession(services, first.token)).toBe(true)
    expect(await revokeSession(services, first.token)).toBe(false)
    expect(await read(first.token)).toBeNull()
    await advanceClock("PT11H59M")
    expect(await read(second.token)).not.toBeNull()
    await advanceClock("PT1M1S")
    expect(await read(second.token)).toBeNull()
    expect((await eventsOf()).map(({ kind }) => kind)).toEqual(["signed_out", "signed_in", "signed_in"])
  })

  test("is recorded with the same person when it begins and when it ends", async () => {
    const { token, personId } = await signedIn()
    await revokeSession((await requestServices()).services, token)
    const ends = (await eventsOf()).filter(({ kind }) => kind.startsWith("signed_"))
    expect(ends.map(({ kind, who }) => [kind, who])).toEqual([
      ["signed_out", `person:${personId}`],
      ["signed_in", `person:${personId}`],
    ])
  })

  test("ends with its company", async () => {
    const B = fresh("company")
    await addCompany(B)
    const { token } = await useKey(await newApiKey("admin", B))
    await send("POST", `/api/companies/${B}/close`, undefined, world().companyId)
    expect(await read(token)).toBeNull()
  })

  test("is stored as a hash, and its last visit is recorded to five minutes", async () => {
    const { token } = await useKey(await newApiKey("admin"))
    const [row] = await sql<{ row: string }>("select to_jsonb(s)::text as row from sessions s")
    expect(row?.row).not.toContain(token.split(".")[1])
    const seen = async () => (await sql<{ at: Date }>("select last_seen_at as at from sessions"))[0]?.at.getTime()
    const first = await seen()
    await read(token)
    expect(await seen()).toBe(first)
    await advanceClock("PT6M")
    await read(token)
    expect(await seen()).toBeGreaterThan(first ?? 0)
  })

  test("is made for a caller whom the dashboard identified", async () => {
    const { services } = await requestServices()
    const principal = { keyId: "admin", role: "operator", companyId: world().companyId } as const
    const { token } = await createSession(services, principal, "key")
    expect((await read(token))?.principal).toEqual(principal)
  })
})

describe("signing in with a key", () => {
  test.each(["", "x", "Bearer x", "\u0000"])("%j is refused", async (key) => {
    expect(await refusal(useKey(key))).toBe("UNAUTHENTICATED")
  })
})

describe("Cloudflare Access", () => {
  let team: AccessTeam
  beforeAll(async () => {
    team = await startAccessTeam()
  })
  afterAll(() => team.stop())

  const signIn = async (email: string, companyId: string | null = null) => {
    const { services } = await requestServices(team.vars)
    return signInWithAccess(services, await team.headersOf(email, await worldNow()), companyId)
  }

  test("signs in a person who was invited, to the company that is named", async () => {
    const B = fresh("company")
    await addCompany(B)
    await invite("ann@example.com", "success-analyst")
    await invite("ann@example.com", "admin", B)
    const named = await signIn("Ann@example.com", B)
    expect(named.session).toMatchObject({ via: "access", principal: { role: "admin", companyId: B } })
    expect((await read((await signIn("ann@example.com", world().companyId)).token))?.principal.role).toBe(
      "success-analyst",
    )
  })

  test("does not sign in an address that nobody invited, or a person of another company", async () => {
    await invite("ann@example.com")
    expect(await refusal(signIn("eve@example.com"))).toBe("FORBIDDEN")
    expect(await refusal(signIn("ann@example.com", "another_company"))).toBe("FORBIDDEN")
    const { services } = await requestServices(team.vars)
    expect(await refusal(signInWithAccess(services, browser()))).toBe("UNAUTHENTICATED")
  })
})
