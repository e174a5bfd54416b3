/** Monitoring of models: matured labels, alarms, rollback to the previous champion, and challengers. */
import { beforeEach, describe, expect, test } from "vitest"
import { addCompany, newApiKey } from "../../support/actions/companies.ts"
import { postJobAction } from "../../support/actions/jobs.ts"
import { insertLabels, makeCompanyDue } from "../../support/actions/labels.ts"
import { cancelSubscription, champion, modelText, send, subscriber, upload } from "../../support/models/scoring.ts"
import { putFlag } from "../../support/world/external-services.ts"
import { api, mailbox, reset, sql, world, worldNow } from "../../support/world/world.ts"

beforeEach(async () => {
  await reset()
  await putFlag("MODEL_DRIFT_DETECTION", { enabled: true })
})

const A = world().companyId

/** Models with a constant prediction: 10 % and 3 %. */
const TENTH = { intercept: Math.log(0.1 / 0.9), weights: { tenure_days: 0 } }
const FEW = { intercept: Math.log(0.03 / 0.97), weights: { tenure_days: 0 } }

interface MonitoringBody {
  readonly latest: {
    readonly status: string
    readonly measures: readonly { readonly name: string; readonly status: string; readonly details: object }[]
  } | null
  readonly history: readonly { readonly day: string; readonly status: string }[]
  readonly alarms: { readonly data: readonly Record<string, unknown>[] }
}

const monitoringOf = (id: string, key?: string) =>
  api<MonitoringBody>(`/api/models/${id}/monitoring`, key === undefined ? {} : { key })
const runDrift = async () => (await postJobAction("drift", "run")).body
const championNow = async () =>
  (await sql("select champion, previous from model_champions where company_id = $1", [A]))[0]
const teamMessages = async () => (await mailbox()).filter(({ channel }) => channel === "slack").map(({ body }) => body)

describe("more churn than predicted", () => {
  test("raises one alarm, rolls back to a previous champion that predicts it, and notifies the team once", async () => {
    const before = await champion(TENTH)
    const drifted = await champion(FEW)
    await insertLabels({ companyId: A, sha256: drifted, weeks: 10, perWeek: 60, probability: 0.03, everyNth: 10 })

    expect(await runDrift()).toMatchObject({ outcome: "checked", counts: { checked: 1, returned: 1, failed: 0 } })
    expect(await championNow()).toEqual({ champion: before, previous: null })
    expect(await sql("select action, who from model_changes where action = 'returned'")).toEqual([
      { action: "returned", who: "drift" },
    ])
    const { body } = await monitoringOf(drifted)
    expect(body.latest).toMatchObject({ status: "alarm" })
    expect(body.latest?.measures.find(({ name }) => name === "churn_above")).toMatchObject({
      status: "alarm",
      details: { observed: 60, rows: 600 },
    })
    expect(body.alarms.data).toContainEqual(
      expect.objectContaining({ measure: "churn_above", status: "open", action: "returned" }),
    )
    expect(await teamMessages()).toEqual([expect.stringContaining("more customers leave than predicted")])

    // The same day again, and the next one: the restored champion has no labels yet, and nothing changes again.
    expect(await runDrift()).toMatchObject({ counts: { companies: 0 } })
    await makeCompanyDue(A)
    expect(await runDrift()).toMatchObject({ counts: { checked: 1, alarms: 0, returned: 0 } })
    expect(await championNow()).toEqual({ champion: before, previous: null })
    expect((await monitoringOf(drifted)).body.alarms.data).toContainEqual(
      expect.objectContaining({ measure: "churn_above", status: "closed" }),
    )
    expect(await teamMessages()).toHaveLength(1)
  })

  test("raises an alarm without rollback when the previous champion predicts no better", async () => {
    await champion({ ...FEW, intercept: FEW.intercept + 0.05 })
    const drifted = await champion(FEW)
    await insertLabels({ companyId: A, sha256: drifted, weeks: 10, perWeek: 60, probability: 0.03, everyNth: 10 })
    expect(await runDrift()).toMatchObject({ counts: { returned: 0 } })
    expect(await championNow()).toMatchObject({ champion: drifted })
    expect((await monitoringOf(drifted)).body.alarms.data).toContainEqual(
      expect.objectContaining({ measure: "churn_above", action: "earlier_no_better" }),
    )
    const health = (await api("/api/health/scoring")).body
    expect(health).toMatchObject({ status: "warn", mainAlarms: 1 })
  })

  test("does not change a shared champion", async () => {
    await champion(TENTH, "shared")
    const drifted = await champion(FEW, "shared")
    await insertLabels({ companyId: A, sha256: drifted, weeks: 10, perWeek: 60, probability: 0.03, everyNth: 10 })
    expect(await runDrift()).toMatchObject({ counts: { returned: 0 } })
    expect((await monitoringOf(drifted)).body.alarms.data).toContainEqual(
      expect.objectContaining({ measure: "churn_above", action: "shared_model" }),
    )
  })
})

test("with churn as predicted there is no alarm, and the champion stays", async () => {
  await champion(FEW)
  const right = await champion(TENTH)
  await insertLabels({ companyId: A, sha256: right, weeks: 20, perWeek: 60, probability: 0.1, everyNth: 10 })
  expect(await runDrift()).toMatchObject({ counts: { checked: 1, returned: 0 } })
  expect(await championNow()).toMatchObject({ champion: right })
  const { body } = await monitoringOf(right)
  expect(body.latest?.measures).toContainEqual(expect.objectContaining({ name: "churn_above", status: "pass" }))
  expect(body.alarms.data.filter(({ measure }) => String(measure).startsWith("churn"))).toEqual([])
})

test("while the flag is off nothing is checked or trained", async () => {
  await putFlag("MODEL_DRIFT_DETECTION", { enabled: false })
  await champion(TENTH)
  expect(await runDrift()).toMatchObject({ outcome: "switched_off" })
  expect((await postJobAction("retrain", "run")).body).toMatchObject({ outcome: "switched_off" })
})

test("predictions get their label from the ledger, once, and at most one per customer and month", async () => {
  const model = await champion(TENTH)
  const [stays, leaves] = [await subscriber(), await subscriber()]
  await cancelSubscription(leaves)
  // They started a hundred days ago, and one of them left after 25 days.
  const moved = (column: string) => `${column} = ${column} - interval '100 days'`
  await sql(`update facts set ${["occurred_at", "recorded_at", "known_at"].map(moved).join(", ")}`)
  await sql(`update object_links set ${["created_at", "linked_at"].map(moved).join(", ")}`)
  await sql(
    `update facts set occurred_at = occurred_at + interval '25 days', recorded_at = recorded_at + interval '25 days',
      known_at = known_at + interval '25 days' where kind = 'subscription_ended'`,
  )
  const now = await worldNow()
  const said = (customer: string, days: number) =>
    sql(
      `insert into predictions (company_id, id, customer_id, as_of, source, model_sha256, model_version, is_shadow, trigger,
        probability, low, high, log_odds, coverage, confidence, vector, vector_hash, took_ms)
       values ($1, gen_random_uuid(), $2, $3, 'model', $4, 'v', false, 'nightly', 0.1, 0, 1, -2, 1, 1, '{}', '', 1)`,
      [A, customer, new Date(now.getTime() - days * 86_400_000), model],
    )
  for (const customer of [stays, leaves]) for (const days of [95, 94, 80, 50]) await said(customer, days)
  expect(await runDrift()).toMatchObject({ counts: { labels: 2, failed: 0 } })
  const labels = () => sql("select customer_id, is_churned from model_outcomes order by is_churned")
  expect(await labels()).toEqual([
    { customer_id: stays, is_churned: false },
    { customer_id: leaves, is_churned: true },
  ])
  await makeCompanyDue(A)
  expect(await runDrift()).toMatchObject({ counts: { labels: 0 } })
  expect(await labels()).toHaveLength(2)
})

describe("a challenger", () => {
  test("is trained on the company's labels, shadows, is proposed when it predicts better, and is never promoted automatically", async () => {
    const served = await champion(FEW)
    const labels = { companyId: A, weeks: 10, perWeek: 60, everyNth: 10 }
    const until = await insertLabels({ ...labels, sha256: served, probability: 0.03 })
    expect((await postJobAction("retrain", "run")).body).toMatchObject({ outcome: "challenger_shadows" })
    const [shadow] = await sql<{ sha256: string; version: string }>(
      "select sha256, version from models where state = 'shadow' and company_id = $1",
      [A],
    )
    if (!shadow) throw new Error("there is no shadow")
    expect(shadow.version).toMatch(/^recalibrated-\d{4}-\d\d-\d\d-/)
    // The company's offset is stored apart from the artefact.
    const [offset] = await sql<{ log_odds: number; rows: number; company_id: string }>(
      "select company_id, log_odds, rows from model_offsets where sha256 = $1",
      [shadow.sha256],
    )
    expect(offset).toMatchObject({ company_id: A, rows: 600 })
    expect(offset?.log_odds).toBeGreaterThan(0.5)
    expect(JSON.stringify((await api(`/api/models/${shadow.sha256}/artefact`)).body)).not.toContain(A)
    type List = { data: { verdict: string | null; challenger: { id: string; state: string }; outcome: string }[] }
    const trainings = async (query = "") => (await api<List>(`/api/retrainings${query}`)).body.data
    expect(await trainings()).toMatchObject([
      {
        method: "recalibrated",
        rows: 600,
        churned: 60,
        challenger: { id: shadow.sha256, state: "shadow" },
        verdict: null,
      },
    ])

    // A week later it has no matured labels: it waits, and no other is trained.
    await makeCompanyDue(A)
    expect((await postJobAction("retrain", "run")).body).toMatchObject({ outcome: "challenger_waits" })
    expect(await trainings("?verdict=wait")).toHaveLength(1)

    await insertLabels({ ...labels, sha256: shadow.sha256, probability: 0.09, isShadow: true, until })
    await makeCompanyDue(A)
    expect((await postJobAction("retrain", "run")).body).toMatchObject({
      outcome: "challenger_waits",
      counts: { proposed: 1 },
    })
    expect(await trainings("?verdict=propose")).toMatchObject([
      { challenger: { id: shadow.sha256 }, verdictDetails: { reason: "better" }, proposedAt: expect.any(String) },
    ])
    expect(await championNow()).toMatchObject({ champion: served })
    expect((await teamMessages()).filter((body) => body.includes("better model"))).toHaveLength(1)
  })

  test("is trained in the Worker as a separate model where enough customers churned", async () => {
    const served = await champion(FEW)
    await insertLabels({
      ...{ companyId: A, sha256: served, weeks: 20, perWeek: 100, probability: 0.1, everyNth: 0 },
      // Customers with a failed payment churn three times as often.
      vectorSql: `jsonb_build_object('tenure_days', n % 400, 'failed_invoices_30d', n % 2, 'interval', 'month')`,
      churnedSql: "case when n % 2 = 1 then n % 5 = 0 else n % 16 = 0 end",
    })
    expect((await postJobAction("retrain", "run")).body).toMatchObject({ outcome: "challenger_shadows" })
    const [shadow] = await sql<{ version: string; artefact: string }>(
      "select version, artefact from models where state = 'shadow' and company_id = $1",
      [A],
    )
    expect(shadow?.version).toMatch(/^trained-/)
    expect(JSON.parse(shadow?.artefact ?? "")).toMatchObject({
      kind: "gam",
      training: { rows: 2_000, label: "churned" },
    })
  })
})

test("an export for training identifies nobody, and is for admins only", async () => {
  const model = await champion(FEW)
  await subscriber()
  await insertLabels({ companyId: A, sha256: model, weeks: 10, perWeek: 60, probability: 0.03, everyNth: 10 })
  const key = world().adminApiKey
  const answer = await fetch(`${world().workerUrl}/api/training/export`, {
    headers: { authorization: `Bearer ${key}` },
  })
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/csv; charset=utf-8"])
  const lines = (await answer.text()).trim().split("\r\n")
  expect(lines[0]).toMatch(/^group,month,tenure_days,.*,churned$/)
  expect(lines.length + Number(answer.headers.get("x-rows-left-out"))).toBe(601)
  expect(lines.join("\n")).not.toMatch(/planted_|stripe_|@|cus_|T\d\d:\d\d/)
  expect(lines.filter((line) => line.endsWith(",1")).length).toBeGreaterThan(40)
  const manager = await newApiKey("success-manager")
  expect((await api("/api/training/export", { key: manager })).status).toBe(403)
  expect((await api("/api/training/export?all=1")).status).toBe(400)
})

test("another company cannot see the checks or trainings of a model", async () => {
  const drifted = await champion(FEW)
  await insertLabels({ companyId: A, sha256: drifted, weeks: 10, perWeek: 60, probability: 0.03, everyNth: 10 })
  await runDrift()
  await postJobAction("retrain", "run")
  await addCompany("other")
  const key = await newApiKey("admin", "other")
  expect((await monitoringOf(drifted, key)).status).toBe(404)
  expect((await api<{ data: unknown[] }>("/api/retrainings", { key })).body.data).toEqual([])
  const shared = await modelText({ intercept: -1 })
  await upload(shared.text, "?scope=shared")
  expect((await monitoringOf(shared.sha256, key)).body).toMatchObject({
    latest: null,
    history: [],
    alarms: { data: [] },
  })
  const analyst = await newApiKey("success-analyst")
  expect((await monitoringOf(drifted, analyst)).status).toBe(403)
  expect((await send(`/api/models/${drifted}/monitoring`, {})).status).toBe(405)
})
