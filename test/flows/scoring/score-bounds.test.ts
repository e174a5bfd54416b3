/** An expensive model: refused at the upload, or bounded by the work of one request. */
import { beforeEach, expect, test } from "vitest"
import { modelFeatures } from "../../../shared/domain/scoring/features.ts"
import type { ModelFeature } from "../../../shared/scoring/model/artefact.ts"
import { explanationCost, prepareModel } from "../../../shared/scoring/model/model.ts"
import { artefactOf, chains } from "../../support/models/models.ts"
import { modelText, send, subscriber, upload } from "../../support/models/scoring.ts"
import { api, reset, sql } from "../../support/world/world.ts"

beforeEach(reset)

/** Features that exist; more would make the artefact larger, not more expensive. */
const FEATURES: ModelFeature[] = modelFeatures.filter(({ type }) => type === "number").slice(0, 64)
const DEPTH = 64

/** The deepest trees allowed, as an upload that passes the gates. */
async function deep(trees: number): Promise<string> {
  const good = JSON.parse((await modelText({})).text)
  const artefact = await artefactOf(FEATURES, [{ weight: 1e-3, model: chains(trees, DEPTH, FEATURES.length) }])
  const training = { ...good.training, reference: FEATURES.map(() => ({ missing: 0, cuts: [1, 2, 3], shares: [] })) }
  return JSON.stringify({ ...artefact, training, confidence: good.confidence })
}

const record = Object.fromEntries(FEATURES.map(({ name }, place) => [name, place]))
const records = (count: number) => Array.from({ length: count }, () => ({ features: record }))

test("an upload of 300 trees of depth 64 is refused at once, with the numbers", async () => {
  const text = await deep(300)
  expect(text.length).toBeGreaterThan(800_000)
  const startedMs = performance.now()
  const { status, body } = await upload(text)
  const tookMs = performance.now() - startedMs
  expect([status, body.code]).toEqual([400, "MALFORMED"])
  expect(body.detail).toMatch(/the trees have \d+ steps to explain one row .*, and may have 2000000/)
  expect(tookMs).toBeLessThan(2_000)
  expect(await sql("select 1 from models")).toEqual([])
})

test("a request beyond the maximum of work is refused with the numbers, and scores nothing", async () => {
  const text = await deep(19)
  const work = explanationCost(await prepareModel(JSON.parse(text)))
  const { status, body } = await upload(text, "?version=deep")
  expect([status, body.detail]).toEqual([201, undefined])
  const most = Math.floor(100_000_000 / work)
  const refused = await send("/api/score", { model: "deep", items: records(most + 1) })
  expect(refused).toMatchObject({
    status: 400,
    body: {
      ...{ code: "MALFORMED", work: work * (most + 1), workMax: 100_000_000, itemsMax: most },
      detail: `Scoring ${most + 1} items by this model takes ${work * (most + 1)} steps, and a request may take 100000000: send at most ${most}.`,
    },
  })
  const startedMs = performance.now()
  expect((await send("/api/score", { model: "deep", items: records(most) })).status).toBe(200)
  const tookMs = performance.now() - startedMs
  expect(tookMs).toBeLessThan(5_000)
})

test("customers count like given features, and those with a stored score do not", async () => {
  const text = await deep(19)
  const work = explanationCost(await prepareModel(JSON.parse(text)))
  const { body } = await upload(text)
  const promoted = await send(`/api/models/${body.id}/promote`, { reason: "for this test", force: true })
  expect(promoted.status).toBe(200)
  const most = Math.floor(100_000_000 / work)
  const customers = [await subscriber(), await subscriber()]
  const items = [...records(most - 1), ...customers.map((customerId) => ({ customerId }))]
  expect(await send("/api/score", { items })).toMatchObject({ status: 400, body: { itemsMax: most } })
  expect(await sql("select 1 from predictions")).toEqual([])
  for (const customerId of customers) expect((await api(`/api/customers/${customerId}/score`)).status).toBe(200)
  expect((await send("/api/score", { items })).status).toBe(200)
})
