/** Company offsets of a shared model: each company scores with its own, and sees no other company. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeEach, describe, expect, test } from "vitest"
import { model } from "../../../ops/model/command.ts"
import { offsetsPathOf, writeOffsets } from "../../../ops/model/offsets-file.ts"
import { encode, prepareModel, score } from "../../../shared/scoring/model/model.ts"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { fresh } from "../../support/events/providers.ts"
import {
  champion,
  logOf,
  modelText,
  putOffset,
  type ScoreBody,
  scoreOf,
  send,
  subscriber,
  upload,
} from "../../support/models/scoring.ts"
import { advanceClock, api, reset, sql, world } from "../../support/world/world.ts"

const folder = mkdtempSync(join(tmpdir(), "churn-saver-offsets-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

beforeEach(reset)

const A = world().companyId
/** Not a short fraction: it must be stored exactly. */
const OFFSET = 0.1 + 0.2
const FEATURES = { tenure_days: 400, failed_invoices_30d: 1, price_class: "free" }

/** The API's score of features, for the company of the key. */
async function apiScore(key?: string, more: object = {}): Promise<ScoreBody> {
  const { status, body } = await send<ScoreBody>("/api/score", { features: FEATURES, ...more }, key)
  expect(status).toBe(200)
  return body
}

/** The log-odds of a model in this process, with an offset. */
async function trained(text: string, offset: number): Promise<number> {
  const prepared = await prepareModel(JSON.parse(text))
  return score(prepared, encode(prepared, FEATURES).vector, offset).probability
}

/** Another company, with a key of its admin. */
async function another() {
  const id = fresh("company")
  await addCompany(id)
  return { id, key: await newApiKey("admin", id) }
}

/** A stored model of the older format, which cannot be uploaded any more. */
async function storeOlder(offsets: Record<string, number>) {
  const { text, sha256 } = await modelText({ offsets })
  const { text: newer } = await modelText({})
  const { featureHash, training } = JSON.parse(text)
  await sql(
    `insert into models (company_id, sha256, version, kind, feature_hash, data_hash, artefact, bytes, training, state,
       state_changed_at, created_at, created_by)
     values ('*', $1, 'older', 'gam', $2, '', $3, $4, $5, 'candidate', now(), now(), 'admin')`,
    [sha256, featureHash, text, text.length, JSON.stringify(training)],
  )
  return { text, sha256, newer }
}

async function run(...args: readonly string[]) {
  const written = { out: "", failure: null as string | null }
  const out = (text: string) => {
    written.out += text
  }
  const { workerUrl, adminApiKey } = world()
  await model([...args, "--url", workerUrl, "--key", adminApiKey], { out, err: () => {}, progress: () => {} }).catch(
    (error: unknown) => {
      written.failure = error instanceof Error ? error.message : String(error)
    },
  )
  return written
}

describe("an offset", () => {
  test("is added for its company only, exactly as by the trainer", async () => {
    const B = await another()
    const id = await champion({}, "shared")
    const { text } = await modelText({})
    const without = await apiScore()
    expect(without.probability).toBe(await trained(text, 0))
    expect((await putOffset(id, OFFSET)).status).toBe(200)
    const own = await apiScore()
    expect(own.probability).toBe(await trained(text, OFFSET))
    expect(own.reasons.map(({ code }) => code)).toContain("company")
    expect((await apiScore(undefined, { model: id })).probability).toBe(own.probability)
    expect((await apiScore(B.key)).probability).toBe(without.probability)
    expect((await putOffset(id, -1, { company: B.id })).status).toBe(200)
    expect((await apiScore(B.key)).probability).toBe(await trained(text, -1))
    expect((await apiScore()).probability).toBe(own.probability)

    const shown = async (key?: string) =>
      (await api<{ offset: { logOdds: number } | null }>(`/api/models/${id}`, key === undefined ? {} : { key })).body
    expect((await shown()).offset).toMatchObject({ logOdds: OFFSET, rows: 2_000, storedBy: "admin" })
    expect(JSON.stringify(await shown(B.key))).not.toContain(A)
    expect((await shown(B.key)).offset?.logOdds).toBe(-1)
  })

  test("is set for a shared model by operators, for a company's own by its admin, within bounds", async () => {
    const B = await another()
    const shared = await champion({}, "shared")
    const own = await champion({ intercept: -1 })
    expect((await putOffset(shared, 1, { key: B.key })).status).toBe(403)
    expect((await putOffset(own, 1, { key: B.key })).status).toBe(404)
    expect((await putOffset(own, 1, { key: await newApiKey("success-manager") })).status).toBe(403)
    expect((await putOffset(own, 1, { key: await newApiKey("admin") })).status).toBe(200)
    expect((await putOffset(own, 1e7)).status).toBe(400)
    expect((await putOffset(shared, 1, { company: "nobody" })).status).toBe(404)
    expect(await sql("select company_id, sha256 from model_offsets")).toEqual([{ company_id: A, sha256: own }])
  })

  test("belongs to its model: through promotion, rollback and as shadow", async () => {
    const first = await champion({ offset: 0.5 }, "shared")
    const { text } = await modelText({})
    const second = await champion({ intercept: -1, offset: -0.5 }, "shared")
    const { text: secondText } = await modelText({ intercept: -1 })
    expect((await apiScore()).probability).toBe(await trained(secondText, -0.5))
    const back = await send("/api/models/rollback", { reason: "it was not", scope: "shared" })
    expect(back).toMatchObject({ status: 200, body: { champion: first } })
    expect((await apiScore()).probability).toBe(await trained(text, 0.5))
    expect((await send(`/api/models/${second}/shadow`, { reason: "compare" })).status).toBe(200)

    const customer = await subscriber()
    const before = await scoreOf(customer)
    const logged = () =>
      sql<{ is_shadow: boolean; log_odds: number }>(
        "select is_shadow, log_odds from predictions order by as_of, is_shadow",
      )
    const [, shadow] = await logged()
    await putOffset(second, 1.5)
    await putOffset(first, 2.5)
    await advanceClock("PT61S")
    const after = await scoreOf(customer)
    expect(after.isStored).toBe(false) // another offset gives another score, also within the hour
    expect(after.logOdds - before.logOdds).toBeCloseTo(2, 2)
    const [, , champions, shadows] = await logged()
    expect(champions?.log_odds).toBeCloseTo(after.logOdds, 9)
    expect((shadows?.log_odds ?? 0) - (shadow?.log_odds ?? 0)).toBeCloseTo(2, 2)
    expect(await logOf(customer)).toHaveLength(4)
  })
})

describe("an artefact with offsets inside", () => {
  test("is refused, with the alternative", async () => {
    const { text } = await modelText({ offsets: { [A]: 0.25 } })
    const { status, body } = await upload(text, "?scope=shared")
    expect([status, body.code]).toEqual([400, "MALFORMED"])
    expect(body.detail).toContain("npm run model -- push takes them out")
    expect(await sql("select 1 from models")).toEqual([])
  })

  test("that is stored already keeps its offsets, and shows no company names", async () => {
    const B = await another()
    const { text, sha256, newer } = await storeOlder({ [A]: OFFSET, [B.id]: -1 })
    expect((await send(`/api/models/${sha256}/promote`, { reason: "as before" })).status).toBe(200)
    expect((await apiScore()).probability).toBe(await trained(newer, OFFSET))
    expect((await apiScore(B.key)).probability).toBe(await trained(newer, -1))
    for (const path of ["", "/artefact", "/monitoring"]) {
      const answer = await api(`/api/models/${sha256}${path}`, { key: B.key })
      expect([path, answer.status]).toEqual([path, 200])
      expect(JSON.stringify(answer.body)).not.toContain(A)
    }
    const artefact = await api(`/api/models/${sha256}/artefact`)
    expect(artefact.body).toEqual(JSON.parse(newer))
    expect(text).toContain(B.id)
    // A stored offset takes precedence over one inside.
    await putOffset(sha256, 2)
    expect((await apiScore()).probability).toBe(await trained(newer, 2))
  })

  test("is split by push: the shared artefact, and each offset for its company", async () => {
    const B = await another()
    const path = join(folder, "older.json")
    writeFileSync(path, (await modelText({ offsets: { [A]: OFFSET, [B.id]: -1, nobody: 3, "no id": 4 } })).text)
    const card = join(folder, "card")
    await model(["card", "--model", path, "--out", card], { out: () => {}, err: () => {}, progress: () => {} })
    for (const name of readdirSync(card)) expect(readFileSync(join(card, name), "utf8")).not.toMatch(A)
    const { out, failure } = await run("push", "--model", path, "--shared", "--version", "split")
    expect(failure).toBeNull()
    expect(out).toContain("2 offsets of companies are stored.")
    expect(out).toContain("no companies of this deployment: nobody, no id.")
    const [stored] = await sql<{ artefact: string }>("select artefact from models where version = 'split'")
    expect(stored?.artefact).not.toMatch(new RegExp(`${A}|${B.id}|nobody|offsets`))
    expect((await run("promote", "--model", "split", "--reason", "the first")).failure).toBeNull()
    const { text } = await modelText({})
    expect((await apiScore()).probability).toBe(await trained(text, OFFSET))
    expect((await apiScore(B.key)).probability).toBe(await trained(text, -1))
  })
})

test("push sends the file of offsets beside a model, and refuses one of another model", async () => {
  const B = await another()
  const { text, sha256 } = await modelText({})
  const path = join(folder, "beside.json")
  writeFileSync(path, text)
  const offsets = new Map([
    [A, { offset: OFFSET, rows: 300 }],
    [B.id, { offset: -1, rows: 40 }],
  ])
  await writeOffsets(path, text, "2026-02-01T00:00:00.000Z", offsets)
  // For a company's own model only that company's offset is used.
  expect((await run("push", "--model", path)).out).toContain("1 offsets of companies are stored.")
  const rows = () => sql("select company_id, sha256, log_odds, rows from model_offsets order by rows desc")
  expect(await rows()).toEqual([{ company_id: A, sha256, log_odds: OFFSET, rows: 300 }])
  expect((await run("push", "--model", path, "--shared")).failure).toBeNull()
  expect(await rows()).toEqual([
    { company_id: A, sha256, log_odds: OFFSET, rows: 300 },
    { company_id: B.id, sha256, log_odds: -1, rows: 40 },
  ])
  writeFileSync(path, (await modelText({ intercept: 0 })).text)
  expect((await run("push", "--model", path)).failure).toContain(`${offsetsPathOf(path)} was made for another model`)
})
