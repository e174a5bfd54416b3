/** Companies, keys, people and credentials, as the functions and policies of the database keep them. */
import { describe, expect, test } from "vitest"
import { TEST_COMPANY, useDatabase } from "../../../test/support/database.ts"
import { databaseFailure } from "../../client.ts"
import { findApiKey, markApiKeyUsed } from "../platform/companies.ts"
import { deleteCredential, readCredentials, saveCredential } from "../platform/credentials.ts"
import { reconciliationTargets } from "../reconcile/reconciliation.ts"
import { addCompany, changeCompany, listCompanies, readCompany, setCompanyClosed } from "./companies.ts"
import { addKey, listKeys, readKey, revokeKey } from "./keys.ts"
import { addPerson, addSignInLink, findPeople, removePerson, useSignInLink } from "./people.ts"

const { db, rows, addCompany: plainCompany } = useDatabase()

const NOW = new Date("2026-10-05T12:00:00.000Z")
const later = (minutes: number) => new Date(NOW.getTime() + minutes * 60_000)
const hash = (byte: number) => new Uint8Array(32).fill(byte)
const acct = (accountId: string) => ({ provider: "stripe", accountId }) as const
const newCompany = (id: string, accounts = [acct(`acct_${id}`)]) =>
  addCompany(db, { id, name: id, accounts, sharedKinds: null }, NOW)
const failure = (work: Promise<unknown>) => work.then(() => null, databaseFailure)

describe("companies", () => {
  test("are added with their accounts, or not at all", async () => {
    await newCompany("acme")
    expect(await readCompany(db, "acme")).toEqual({
      ...{ id: "acme", name: "acme", createdAt: NOW, closedAt: null, closedBy: null, accounts: [acct("acct_acme")] },
      sharedKinds: ["stripe", "whop", "sendgrid", "twilio", "slack"],
    })
    expect(await readCompany(db, "unknown")).toBeNull()
  })

  test.each([
    ["an id that is taken", () => newCompany(TEST_COMPANY, [])],
    ["an account that another company has", () => newCompany("acme", [acct("acct_taken")])],
  ])("are not added with %s", async (_, add) => {
    await changeCompany(db, TEST_COMPANY, { name: null, added: [acct("acct_taken")], removed: [], sharedKinds: null })
    expect(await failure(add())).toBe("conflict")
  })

  test("are changed in what is named only", async () => {
    await newCompany("acme")
    const unchanged = { name: null, added: [], removed: [], sharedKinds: null }
    expect(await changeCompany(db, "acme", unchanged)).toBe(true)
    expect(await readCompany(db, "acme")).toMatchObject({ name: "acme", accounts: [acct("acct_acme")] })
    await changeCompany(db, "acme", {
      ...unchanged,
      sharedKinds: [],
      added: [acct("acct_2")],
      removed: [acct("acct_acme")],
    })
    expect(await readCompany(db, "acme")).toMatchObject({ name: "acme", accounts: [acct("acct_2")], sharedKinds: [] })
    expect(await changeCompany(db, "unknown", unchanged)).toBe(false)
  })

  test("are listed page by page, the newest first, by id within one time", async () => {
    for (const id of ["a1", "a2", "a3"]) await newCompany(id)
    const first = await listCompanies(db, { limit: 2, after: null })
    const second = await listCompanies(db, { limit: 2, after: first.end })
    const ids = [...first.rows, ...second.rows].map(({ id }) => id)
    expect(ids.filter((id) => id.startsWith("a"))).toEqual(["a3", "a2", "a1"])
  })

  test("that are closed keep their first time, and are all listed", async () => {
    await newCompany("acme")
    await newCompany("beta")
    expect(await setCompanyClosed(db, "acme", NOW, "op")).toEqual(["acme"])
    expect(await setCompanyClosed(db, "beta", NOW, "op")).toEqual(["acme", "beta"])
    await setCompanyClosed(db, "acme", later(5), "other")
    expect(await readCompany(db, "acme")).toMatchObject({ closedAt: NOW, closedBy: "op" })
    expect(await setCompanyClosed(db, "acme", null, "op")).toEqual(["beta"])
    expect(await setCompanyClosed(db, "unknown", NOW, "op")).toBeNull()
  })
})

describe("keys", () => {
  const key = (id: string, byte: number, companyId: string | null = TEST_COMPANY) => ({
    ...{ companyId, id, name: id, role: companyId === null ? "operator" : "admin", hash: hash(byte) },
    ...{ prefix: "cs_12345678", createdBy: "admin", expiresAt: null, replaces: null },
  })

  test("are found by their hash until they are revoked, with their company's closing", async () => {
    expect(await addKey(db, key("k1", 1), NOW)).toBe(true)
    const owner = { companyId: TEST_COMPANY, id: "k1", role: "admin", expiresAt: null, companyClosedAt: null }
    expect(await findApiKey(db, hash(1))).toEqual(owner)
    await setCompanyClosed(db, TEST_COMPANY, NOW, "op")
    expect(await findApiKey(db, hash(1))).toEqual({ ...owner, companyClosedAt: NOW })
    expect(await revokeKey(db, TEST_COMPANY, "k1", NOW)).toBe(true)
    expect(await findApiKey(db, hash(1))).toBeNull()
  })

  test("of operators are found without a company, and are in no company's list", async () => {
    await addKey(db, key("op", 2, null), NOW)
    expect(await findApiKey(db, hash(2))).toMatchObject({ companyId: null, role: "operator" })
    expect(await listKeys(db, TEST_COMPANY)).toEqual([])
    expect((await listKeys(db, null)).map(({ id }) => id)).toEqual(["op"])
    expect(await revokeKey(db, TEST_COMPANY, "op", NOW)).toBe(false)
  })

  test("are replaced only while they are valid, and never expire later than they would", async () => {
    await addKey(db, { ...key("k1", 1), expiresAt: later(30) }, NOW)
    const successor = { ...key("k2", 2), replaces: { id: "k1", until: later(60) } }
    expect(await addKey(db, successor, NOW)).toBe(true)
    expect((await readKey(db, TEST_COMPANY, "k1"))?.expiresAt).toEqual(later(30))
    expect(await addKey(db, { ...key("k3", 3), replaces: { id: "k1", until: later(90) } }, later(31))).toBe(false)
    expect(await readKey(db, TEST_COMPANY, "k3")).toBeNull()
    expect(await addKey(db, { ...key("k4", 4), replaces: { id: "unknown", until: later(90) } }, NOW)).toBe(false)
  })

  test("are marked as used at most once in a while", async () => {
    await addKey(db, key("k1", 1), NOW)
    const lastUse = async () => (await readKey(db, TEST_COMPANY, "k1"))?.lastUsedAt
    await markApiKeyUsed(db, hash(1), NOW, later(-60))
    await markApiKeyUsed(db, hash(1), later(30), later(-30))
    expect(await lastUse()).toEqual(NOW)
    await markApiKeyUsed(db, hash(1), later(61), later(1))
    expect(await lastUse()).toEqual(later(61))
  })
})

describe("people", () => {
  const person = (id: string, companyId = TEST_COMPANY) => ({
    ...{ companyId, id, role: "admin", address: hash(9), invitedBy: "admin" },
    ...{ createdAt: NOW, lastSignInAt: null, removedAt: null },
  })
  const link = (byte: number, minutes = 0) => ({
    ...{ companyId: TEST_COMPANY, personId: "ann", hash: hash(byte) },
    ...{ createdAt: later(minutes), expiresAt: later(minutes + 15) },
  })
  const limits = { linksMax: 2, forgetBefore: later(-60) }

  test("are found by any index of their address, in every open company", async () => {
    await plainCompany("beta")
    await addPerson(db, person("ann"), ["i1", "i2"])
    await addPerson(db, person("ben", "beta"), ["i2"])
    const both = [
      { companyId: "beta", personId: "ben" },
      { companyId: TEST_COMPANY, personId: "ann" },
    ]
    expect(await findPeople(db, ["i1", "i2"])).toEqual(both)
    await setCompanyClosed(db, "beta", NOW, "op")
    expect(await findPeople(db, ["i2", "i3"])).toEqual(both.slice(1))
    expect(await failure(addPerson(db, person("eve"), ["i1"]))).toBe("conflict")
  })

  test("use a link once, until it expires, and while they are there", async () => {
    await addPerson(db, person("ann"), ["i1"])
    expect(await addSignInLink(db, link(1), limits)).toBe(true)
    expect(await useSignInLink(db, "unknown", hash(1), NOW)).toMatchObject({ kind: "refused", reason: "unknown" })
    expect(await useSignInLink(db, TEST_COMPANY, hash(1), later(14))).toEqual({
      ...{ kind: "signed_in", personId: "ann", role: "admin" },
    })
    expect(await useSignInLink(db, TEST_COMPANY, hash(1), later(14))).toMatchObject({ reason: "used", personId: "ann" })
    await addSignInLink(db, link(2), limits)
    expect(await useSignInLink(db, TEST_COMPANY, hash(2), later(15))).toMatchObject({ reason: "expired" })
    expect(await removePerson(db, TEST_COMPANY, "ann", NOW)).toBe(true)
    expect(await useSignInLink(db, TEST_COMPANY, hash(2), NOW)).toMatchObject({ reason: "unknown" })
    expect(await rows("select address, removed_at from people")).toEqual([{ address: null, removed_at: NOW }])
  })

  test("get no more links than the limit, counted since the earliest that is kept", async () => {
    await addPerson(db, person("ann"), ["i1"])
    const add = (byte: number, minutes: number) =>
      addSignInLink(db, link(byte, minutes), { linksMax: 2, forgetBefore: later(minutes - 60) })
    expect([await add(1, 0), await add(2, 10), await add(3, 20), await add(4, 61)]).toEqual([true, true, false, true])
  })
})

describe("credentials", () => {
  const row = (kind: "stripe" | "slack", companyId = TEST_COMPANY) => ({
    ...{ companyId, kind, sealed: hash(7), shown: { apiKey: "…1234" }, checkResult: "ok", checkedAt: NOW },
    ...{ createdAt: NOW, createdBy: "admin" },
  })

  test("are one of each kind, and the latest counts", async () => {
    await saveCredential(db, row("stripe"))
    await saveCredential(db, { ...row("stripe"), checkResult: "unavailable" })
    await saveCredential(db, row("slack"))
    const read = await readCredentials(db, TEST_COMPANY)
    expect(read.rows.map(({ kind, checkResult }) => [kind, checkResult])).toEqual([
      ["slack", "ok"],
      ["stripe", "unavailable"],
    ])
    expect(read.sharedKinds).toHaveLength(5)
    expect([
      await deleteCredential(db, TEST_COMPANY, "slack"),
      await deleteCredential(db, TEST_COMPANY, "slack"),
    ]).toEqual([true, false])
  })

  test("make the account of an own key one to reconcile, with nothing of a closed company", async () => {
    await newCompany("acme")
    await newCompany("beta", [])
    await saveCredential(db, row("stripe", "beta"))
    const targets = async () =>
      (await reconciliationTargets(db, null)).map((target) => ({ ...target, statuses: undefined }))
    const ofAcme = { companyId: "acme", provider: "stripe", account: "acct_acme", hasOwnKey: false, isShared: true }
    const ofBeta = { companyId: "beta", provider: "stripe", account: "", hasOwnKey: true, isShared: true }
    expect(await targets()).toEqual([ofAcme, ofBeta])
    await setCompanyClosed(db, "beta", NOW, "op")
    expect(await targets()).toEqual([ofAcme])
  })
})
