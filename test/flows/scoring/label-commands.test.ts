/** `npm run model -- export|validate --from-ledger` against a running deployment. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeEach, expect, test } from "vitest"
import { CommandError } from "../../../ops/deployment.ts"
import { model } from "../../../ops/model/command.ts"
import { insertLabels } from "../../support/actions/labels.ts"
import { champion, modelText } from "../../support/models/scoring.ts"
import { reset, world } from "../../support/world/world.ts"

const folder = mkdtempSync(join(tmpdir(), "churn-saver-labels-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

beforeEach(reset)

/** The command against this world. */
async function run(...args: readonly string[]): Promise<{ out: string; message: string; code: number }> {
  const written: string[] = []
  const output = { out: (text: string) => void written.push(text), err: () => {}, progress: () => {} }
  const { workerUrl, adminApiKey } = world()
  try {
    await model([...args, "--url", workerUrl, "--key", adminApiKey], output)
    return { out: written.join(""), message: "", code: 0 }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return { out: written.join(""), message: error.message, code: error.exitCode }
  }
}

/** Half of the customers have a failed payment, and 20 % of them churn; of the others 2 %. */
const TRUTH = {
  vectorSql: "jsonb_build_object('tenure_days', n % 400, 'failed_invoices_30d', n % 2, 'price_class', null)",
  churnedSql: "case when n % 2 = 1 then (n / 2) % 10 < 2 else (n / 2) % 50 = 0 end",
}
const logit = (probability: number): number => Math.log(probability / (1 - probability))
/** A model with these rates; a value of 10 adds ten times as much as one failure. */
const TRUE_MODEL = { intercept: logit(0.02), weights: { failed_invoices_30d: 10 * (logit(0.2) - logit(0.02)) } }

test("labels are exported as a table that identifies nobody, and evaluate a model beside the champion", async () => {
  const { companyId } = world()
  const out = join(folder, "labels.csv")
  expect((await run("validate", "--from-ledger", "--model", out)).code).toBe(2)
  const served = await champion({ intercept: logit(0.05), weights: { failed_invoices_30d: 0 } })
  const none = join(folder, "knowing.json")
  writeFileSync(none, (await modelText(TRUE_MODEL)).text)
  expect(await run("validate", "--from-ledger", "--model", none)).toMatchObject({ code: 2 })

  await insertLabels({ companyId, sha256: served, weeks: 16, perWeek: 100, probability: 0.05, everyNth: 0, ...TRUTH })
  expect(JSON.parse((await run("export", "--from-ledger", "--out", out, "--json")).out)).toMatchObject({ rows: 1_600 })
  const csv = readFileSync(out, "utf8")
  expect(csv.split("\r\n")[0]).toMatch(/^group,month,tenure_days,.*,churned$/)
  expect(csv).not.toContain("planted_")
  expect(statSync(out).mode & 0o077).toBe(0)

  const better = await run("validate", "--from-ledger", "--model", none, "--json")
  expect(JSON.parse(better.out)).toMatchObject({ isValid: true, verdict: "better", rows: 1_600 })
  expect(better.code).toBe(0)
  const wrong = join(folder, "wrong.json")
  writeFileSync(wrong, (await modelText({ ...TRUE_MODEL, intercept: logit(0.4) })).text)
  expect(await run("validate", "--from-ledger", "--model", wrong)).toMatchObject({ code: 3 })
})
