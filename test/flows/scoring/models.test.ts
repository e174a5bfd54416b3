/**
 * The registry of models: what may serve, what serves instead, and that changes are recorded. Over 300 lines because the tests
 * share one registry.
 */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { fresh } from "../../support/events/providers.ts"
import { champion, logOf, modelText, scoreOf, send, subscriber, upload } from "../../support/models/scoring.ts"
import { putFlag } from "../../support/world/external-services.ts"
import { runInProcess } from "../../support/world/run-in-process.ts"
import { advanceClock, api, reset, sql, waitFor, world } from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  await api("/api/flags") // the isolate caches the last test's flags for five seconds
})

const A = world().companyId

interface ModelBody {
  readonly id: string
  readonly state: string
  readonly refused: { readonly reason: string } | null
  readonly changes: readonly { readonly action: string; readonly who: string; readonly why: string | null }[]
}

const modelOf = async (id: string) => (await api<ModelBody>(`/api/models/${id}`)).body
const champions = () => sql("select company_id, champion, previous from model_champions order by company_id")
const promote = (id: string, more: object = {}, key?: string) =>
  send<{ code?: string; champion?: string; gates: { isPassed: boolean; isForced: boolean; gates: GateBody[] } }>(
    `/api/models/${id}/promote`,
    { reason: "it is better", ...more },
    key,
  )

interface GateBody {
  readonly name: string
  readonly status: string
  readonly because: string
}

const closed = (gates: readonly GateBody[]) => gates.filter(({ status }) => status === "fail").map(({ name }) => name)

describe("a model", () => {
  test("is stored byte by byte under its sha-256, serves after its gates, and is rolled back", async () => {
    const first = await modelText({ intercept: -2 })
    const second = await modelText({ intercept: -1 })
    expect(await upload(first.text, "?version=v1")).toMatchObject({
      status: 201,
      body: { id: first.sha256, version: "v1", state: "candidate", scope: "company", kind: "gam", companyId: A },
    })
    expect((await upload(first.text)).status).toBe(200)
    expect((await upload(second.text)).body).toMatchObject({ version: `gam-${second.sha256.slice(0, 12)}` })
    const [stored] = await sql(
      "select encode(sha256(convert_to(artefact, 'UTF8')), 'hex') as found from models where version = 'v1'",
    )
    expect(stored).toEqual({ found: first.sha256 })

    const customer = await subscriber()
    expect(await scoreOf(customer)).toMatchObject({ status: "scored", source: "rules", model: null })
    expect(await promote("v1")).toMatchObject({
      status: 200,
      body: { champion: first.sha256, gates: { isPassed: true } },
    })
    const before = await scoreOf(customer)
    expect(before).toMatchObject({ source: "model", model: { id: first.sha256, version: "v1" } })
    expect(await promote(second.sha256)).toMatchObject({ status: 200, body: { before: first.sha256 } })
    const after = await scoreOf(customer)
    expect(after.model?.id).toBe(second.sha256)
    expect(after.probability).toBeGreaterThan(before.probability)
    expect(await send("/api/models/rollback", { reason: "it was not" })).toMatchObject({
      status: 200,
      body: { champion: first.sha256, before: second.sha256 },
    })
    expect((await scoreOf(customer)).model?.id).toBe(first.sha256)
    expect(await champions()).toEqual([{ company_id: A, champion: first.sha256, previous: null }])
    expect((await send("/api/models/rollback", { reason: "again" })).status).toBe(409)

    expect(await modelOf(first.sha256)).toMatchObject({ state: "champion" })
    const { state, changes } = await modelOf(second.sha256)
    expect(state).toBe("retired")
    expect(changes.map(({ action, who, why }) => [action, who, why])).toEqual([
      ["rolled_back", "admin", "it was not"],
      ["promoted", "admin", "it is better"],
      ["uploaded", "admin", null],
    ])
  })

  test("rolls back to the previous champion, repeatedly", async () => {
    const ids = [
      await champion({ intercept: -3 }),
      await champion({ intercept: -2 }),
      await champion({ intercept: -1 }),
    ]
    for (const expected of [ids[1], ids[0]]) {
      expect((await send("/api/models/rollback", { reason: "back" })).body).toMatchObject({ champion: expected })
    }
    expect((await send("/api/models/rollback", { reason: "back" })).status).toBe(409)
    const retired = await send(`/api/models/${ids[0]}/retire`, { reason: "enough" })
    expect(retired).toMatchObject({ status: 200, body: { champion: null, before: ids[0] } })
    expect(await scoreOf(await subscriber())).toMatchObject({ source: "rules" })
  })

  test("that is invalid is refused", async () => {
    const wrong = ["", "{", "null", "[]", '{"format":"churn-saver-model/1"}', Buffer.from([0x7b, 0xff, 0x7d])]
    for (const body of wrong) {
      const answer = await api("/api/models", { method: "POST", headers: { "content-type": "application/json" }, body })
      expect([String(body), answer.status, answer.body.code]).toEqual([String(body), 400, "MALFORMED"])
    }
    expect(await sql("select 1 from models")).toEqual([])
  })

  test("whose features do not match its hash is refused, and one over a megabyte as well", async () => {
    const { text } = await modelText()
    const renamed = text.replace('"name":"tenure_days"', '"name":"tenure_years"')
    expect(await upload(renamed)).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining("feature hash") },
    })
    expect(await upload(`${text.slice(0, -1)}${" ".repeat(1024 * 1024)}}`)).toMatchObject({ status: 413 })
    expect(await upload(text, "?version=no%20spaces")).toMatchObject({ status: 400 })
    await upload(text, "?version=v1")
    const other = await modelText({ intercept: 0 })
    expect(await upload(other.text, "?version=v1")).toMatchObject({ status: 409 })
  })
})

describe("the gates", () => {
  test.each([
    ["auc", { auc: 0.6 }],
    ["calibration", { ece: 0.031 }],
    ["accuracy", { accuracy: 0.8, baseRate: 0.1 }],
  ])("keep a model back for its %s, and say so", async (gate, metrics) => {
    const { text, sha256 } = await modelText({ metrics })
    await upload(text)
    const { status, body } = await promote(sha256)
    expect([status, body.code, body.gates.isPassed]).toEqual([409, "CONFLICT", false])
    expect(closed(body.gates.gates)).toEqual([gate])
    expect(await sql("select champion from model_champions where champion is not null")).toEqual([])
    expect(await sql("select 1 from model_changes where action <> 'uploaded'")).toEqual([])
  })

  test("show whether accuracy is high, or only better than a constant prediction", async () => {
    const because = async (metrics: object) => {
      const { text, sha256 } = await modelText({ metrics })
      await upload(text)
      const { body } = await promote(sha256, { dryRun: true })
      return body.gates.gates.find(({ name }) => name === "accuracy")
    }
    expect(await because({ accuracy: 0.8, baseRate: 0.27 })).toMatchObject({
      status: "pass",
      because: expect.stringMatching(/^better than a constant answer, though below 0.85/),
    })
    expect(await because({ accuracy: 0.965, baseRate: 0.03 })).toMatchObject({
      status: "pass",
      because: expect.stringMatching(/^at least 0.85, but no better than a constant answer/),
    })
    expect(await champions()).toEqual([])
  })

  test("can be forced by an operator with a reason, but not while they are strict, and never for other features", async () => {
    const { text, sha256 } = await modelText({ metrics: { auc: 0.5 } })
    await upload(text)
    const admin = await newApiKey("admin")
    expect((await promote(sha256, { force: true }, admin)).status).toBe(403)
    await putFlag("STRICT_QUALITY_GATES", { enabled: true })
    expect((await promote(sha256, { force: true })).status).toBe(409)
    await putFlag("STRICT_QUALITY_GATES", { enabled: false })
    expect((await promote(sha256, { force: true, reason: " " })).status).toBe(400)
    expect(await promote(sha256, { force: true })).toMatchObject({ status: 200, body: { gates: { isForced: true } } })
    const [change] = await sql("select why, gates from model_changes where action = 'promoted'")
    expect(change).toMatchObject({ why: "it is better", gates: { isForced: true, isPassed: false } })

    const strange = await modelText({ features: [{ name: "MonthlyCharges", type: "number" }] })
    await upload(strange.text)
    const refused = await promote(strange.sha256, { force: true })
    expect([refused.status, closed(refused.body.gates.gates)]).toEqual([409, ["schema"]])
    expect((await send(`/api/models/${strange.sha256}/shadow`, { reason: "try" })).status).toBe(409)
    // It can still score features given by the caller.
    const said = await send("/api/score", { model: strange.sha256, features: { MonthlyCharges: 5 } })
    expect(said).toMatchObject({ status: 200, body: { status: "scored", model: { id: strange.sha256 } } })
  })

  test("without data fail only while gates are strict", async () => {
    const { text, sha256 } = await modelText()
    await upload(text)
    await putFlag("STRICT_QUALITY_GATES", { enabled: true })
    const { status, body } = await promote(sha256)
    expect([status, body.gates.gates.filter((gate) => gate.status === "no_data").map(({ name }) => name)]).toEqual([
      409,
      ["data_quality"],
    ])
    await scoreOf(await subscriber())
    expect((await promote(sha256)).status).toBe(200)
  })
})

describe("an altered artefact", () => {
  test("does not serve: the previous one does, then the shared one; and health shows it", async () => {
    // Models that no isolate has checked yet: checks are cached by content.
    const shared = await champion({ intercept: -4.1 }, "shared")
    const first = await champion({ intercept: -3.1 })
    const second = await champion({ intercept: -2.1 })
    const customer = await subscriber()
    const spoil = (sha: string) =>
      sql("update models set artefact = replace(artefact, '\"intercept\":', '\"intercept\": ') where sha256 = $1", [
        sha,
      ])
    const health = async () => (await api<{ status: string }>("/api/health/scoring")).body.status
    await waitFor(async () => (await health()) === "pass")
    await spoil(second)
    expect((await scoreOf(customer)).model?.id).toBe(first)
    const told = await waitFor(async () => {
      const { refused } = await modelOf(second)
      return refused
    })
    expect(told.reason).toContain("sha-256")
    await advanceClock("PT6S") // the result is cached for five seconds
    await waitFor(async () => (await health()) === "warn")
    expect((await promote(second)).status).toBe(409)
    await spoil(first)
    const other = await subscriber()
    // This isolate has cached the check of the first one; another isolate finds the change.
    expect((await scoreOf(other)).model?.id).toBe(first)
    const answer = await elsewhere(`/api/customers/${other}/score?fresh=true`)
    expect(answer).toBe(200)
    expect((await logOf(other)).at(-1)).toMatchObject({ model_sha256: shared })
  })
})

/** A request to another isolate, in this process; its status. */
async function elsewhere(path: string, vars: Readonly<Record<string, string>> = {}): Promise<number | "killed"> {
  const request = new Request(`${world().workerUrl}${path}`, {
    headers: { authorization: `Bearer ${world().adminApiKey}` },
  })
  return (await runInProcess(request, null, vars)).status
}

describe("which model serves", () => {
  test("is the company's own, else the shared one, and a pinned one wherever it is known", async () => {
    const B = fresh("company")
    await addCompany(B)
    const shared = await champion({ intercept: -4 }, "shared")
    const own = await champion({ intercept: -3 })
    const [customerA, customerB] = [await subscriber(), await subscriber(fresh("cus"), `/api/webhooks/stripe/${B}`)]
    const keyB = await newApiKey("success-analyst", B)
    const scoreOfB = await api<{ model: { id: string } }>(`/api/customers/${customerB}/score`, { key: keyB })
    expect([(await scoreOf(customerA)).model?.id, scoreOfB.body.model.id]).toEqual([own, shared])

    await elsewhere(`/api/customers/${customerA}/score`, { CHURN_MODEL_VERSION: shared })
    expect((await logOf(customerA)).map((row) => row.model_sha256)).toEqual([own, shared])
    await elsewhere(`/api/customers/${customerA}/score`, { CHURN_MODEL_VERSION: "never-uploaded" })
    expect((await logOf(customerA)).map((row) => row.model_sha256)).toEqual([own, shared, own])
  })

  test("is visible to and changed by its own company only; a shared one by operators", async () => {
    const B = fresh("company")
    await addCompany(B)
    const own = await champion()
    const shared = await champion({ intercept: -4 }, "shared")
    const admin = await newApiKey("admin", B)
    const list = await api<{ data: { id: string }[] }>("/api/models", { key: admin })
    expect(list.body.data.map(({ id }) => id)).toEqual([shared])
    expect((await api(`/api/models/${own}`, { key: admin })).status).toBe(404)
    for (const action of ["promote", "shadow", "retire"]) {
      expect([action, (await send(`/api/models/${own}/${action}`, { reason: "mine" }, admin)).status]).toEqual([
        action,
        404,
      ])
      expect([action, (await send(`/api/models/${shared}/${action}`, { reason: "mine" }, admin)).status]).toEqual([
        action,
        403,
      ])
    }
    expect((await send("/api/models/rollback", { reason: "mine", scope: "shared" }, admin)).status).toBe(403)
    const { text } = await modelText({ intercept: 1 })
    expect((await upload(text, "?scope=shared", admin)).status).toBe(403)
    const analyst = await newApiKey("success-analyst")
    expect((await api("/api/models", { key: analyst })).status).toBe(403)
    expect((await upload(text, "", await newApiKey("success-manager"))).status).toBe(403)
  })

  test("has at most two shadows, whose scores are only logged", async () => {
    const id = await champion()
    const shadows = []
    for (const intercept of [0, 1, 2]) {
      const { text, sha256 } = await modelText({ intercept })
      await upload(text)
      shadows.push((await send(`/api/models/${sha256}/shadow`, { reason: "compare" })).status)
    }
    expect(shadows).toEqual([200, 200, 409])
    expect((await send(`/api/models/${id}/shadow`, { reason: "compare" })).status).toBe(409)
    const customer = await subscriber()
    expect((await scoreOf(customer)).model?.id).toBe(id)
    expect((await logOf(customer)).map(({ is_shadow }) => is_shadow)).toEqual([false, true, true])
  })
})
