/** `npm run model -- validate`: exit codes for a model and its comparison with the champion. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Random } from "../../shared/learning/random.ts"
import { CommandError } from "../deployment.ts"
import { model } from "./command.ts"
import type { Validation } from "./validate.ts"

const folder = mkdtempSync(join(tmpdir(), "validate-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string): string => join(folder, name)

/** The command in this process. */
async function run(...args: readonly string[]): Promise<{ out: string; message: string; code: number }> {
  const written: string[] = []
  const output = { out: (text: string) => void written.push(text), err: () => {}, progress: () => {} }
  try {
    await model(args, output)
    return { out: written.join(""), message: "", code: 0 }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return { out: written.join(""), message: error.message, code: error.exitCode }
  }
}

/** Customers who churn more with less usage; `noise` is added to the recorded usage, the share `missing` is not recorded. */
function table(name: string, seed: number, { noise = 0, missing = 0, shift = 0 } = {}): string {
  const random = new Random(seed)
  const lines = Array.from({ length: 700 }, (_, row) => {
    const usage = random.next() * 10
    const left = random.next() < 1 / (1 + Math.exp(1.6 * (usage - 2.2) - shift))
    const seen = random.next() < missing ? "" : (usage + noise * random.gaussian()).toFixed(2)
    return [`c${row}`, seen, String(random.int(50)), left ? "yes" : "no"].join(",")
  })
  writeFileSync(at(name), ["customer_id,usage,seats,churn", ...lines].join("\n"))
  return at(name)
}

const trained = (data: string, out: string) =>
  run("train", "--data", data, "--label", "churn", "--id", "customer_id", "--kind", "gam", "--out", at(out))

const validated = async (...args: readonly string[]) => {
  const { out, code } = await run("validate", "--json", "--id", "customer_id", ...args)
  return { code, found: JSON.parse(out) as Validation }
}

beforeAll(async () => {
  expect((await trained(table("train.csv", 1), "good.json")).code).toBe(0)
  expect((await trained(table("noise.csv", 2, { noise: 6 }), "poor.json")).code).toBe(0)
})

describe("a model", () => {
  test("that passes on unseen rows is valid", async () => {
    const { code, found } = await validated("--model", at("good.json"), "--data", table("new.csv", 3))
    expect([code, found.isValid, found.verdict, found.rows]).toEqual([0, true, "no_champion", 700])
    expect(found.gates.map(({ status }) => status)).toEqual(found.gates.map(() => "pass"))
  })

  test("that is better than the champion is valid, a worse one is not", async () => {
    const data = table("new.csv", 3)
    const better = await validated("--model", at("good.json"), "--data", data, "--against", at("poor.json"))
    expect([better.code, better.found.verdict]).toEqual([0, "better"])
    const worse = await validated("--model", at("poor.json"), "--data", data, "--against", at("good.json"))
    expect([worse.code, worse.found.isValid, worse.found.verdict]).toEqual([3, false, "worse"])
  })

  test("is not valid if customers behave differently or half of its inputs are missing", async () => {
    const other = await validated("--model", at("good.json"), "--data", table("other.csv", 4, { shift: 2.5 }))
    expect(other.code).toBe(3)
    expect(other.found.gates).toContainEqual(expect.objectContaining({ name: "calibration", status: "fail" }))
    const missing = await validated("--model", at("good.json"), "--data", table("missing.csv", 5, { missing: 0.5 }))
    expect(missing.code).toBe(3)
    expect(missing.found.gates).toContainEqual(expect.objectContaining({ name: "data_quality", status: "fail" }))
  })

  test("needs rows from exactly one source", async () => {
    const invalid = [
      ["--model", at("good.json")],
      ["--model", at("good.json"), "--data", at("train.csv"), "--from-ledger"],
      ["--model", at("none.json"), "--data", at("train.csv")],
      ["--data", at("train.csv")],
      ["--model", at("good.json"), "--data", at("train.csv"), "--label", "gone"],
    ]
    for (const args of invalid) expect([args, (await run("validate", ...args)).code]).toEqual([args, 2])
    expect((await run("export", "--out", at("x.csv"))).code).toBe(2)
  })

  test("is also described as text, with the reason of each gate", async () => {
    const { out, code } = await run("validate", "--model", at("good.json"), "--data", table("new.csv", 3))
    expect(code).toBe(0)
    expect(out).toMatch(/700 rows, \d+ of them left/)
    expect(out).toMatch(/pass +auc 0\.\d+: ROC AUC/)
    expect(out.trim().endsWith("valid")).toBe(true)
  })
})
