/** The command on a real table: train with defaults, then evaluate and predict on unseen rows. */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { gunzipSync } from "node:zlib"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { z } from "zod"
import { hashText } from "../../shared/learning/random.ts"
import { artefactSchema } from "../../shared/scoring/model/artefact.ts"
import { ROOT } from "../deployment.ts"
import { model } from "./command.ts"

const folder = mkdtempSync(join(tmpdir(), "model-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string) => join(folder, name)

/** Runs `npm run model` in this process; throws if it fails. */
async function inProcess(...args: readonly string[]): Promise<string> {
  let text = ""
  const out = (part: string) => {
    text += part
  }
  await model(args, { out, err: () => {}, progress: () => {} })
  return text
}

/** Runs `npm run model` as npm does, in the folder; throws with its output if the exit code is not 0. */
async function asNpmDoes(...args: readonly string[]): Promise<string> {
  const node = join(ROOT, "node_modules", ".bin", "node")
  const { INIT_CWD: _, ...env } = process.env
  const { stdout } = await promisify(execFile)(node, [join(ROOT, "ops/model.ts"), ...args], {
    cwd: folder,
    env,
    maxBuffer: 1 << 26,
  })
  return stdout
}

const [header = "", ...lines] = gunzipSync(readFileSync(join(ROOT, "test/fixtures/learning/telco.csv.gz")))
  .toString()
  .trim()
  .split("\n")
/** A fifth of the customers, by their ids. */
const isHeldOut = (line: string) => hashText(line.slice(0, 10)) % 5 === 0
const heldOut = lines.filter(isHeldOut)

/** The held-out rows without their outcome, with columns in reverse order and an unknown one. */
const shuffledHeldOut = [header, ...heldOut].map((line, i) => {
  const fields = line.split(",").slice(0, -1)
  return [...fields.reverse(), i === 0 ? "note" : '"a, b"'].join(",")
})

const evaluation = z.object({
  rows: z.number(),
  metrics: z.record(z.string(), z.number()),
  intervals: z.record(z.string(), z.tuple([z.number(), z.number()])),
})

/** Options for the trained model and a table. */
const trainedAnd = (data: string) => ["--model", file("m.json"), "--data", file(data)] as const

/** Training evaluates every kind of model, which takes long on a busy machine. */
const TRAINING_MS = 280_000

describe("telco", { timeout: TRAINING_MS }, () => {
  beforeAll(async () => {
    writeFileSync(file("train.csv"), [header, ...lines.filter((line) => !isHeldOut(line))].join("\n"))
    writeFileSync(file("test.csv"), [header, ...heldOut].join("\n"))
    writeFileSync(file("new.csv"), `\ufeff${shuffledHeldOut.join("\r\n")}\r\n`)
    await asNpmDoes("train", "--data", "train.csv", "--label", "Churn", "--out", "m.json")
  }, TRAINING_MS)

  test("unseen rows are predicted as well as the best published models do", async () => {
    const { rows, metrics, intervals } = evaluation.parse(
      JSON.parse(await inProcess("evaluate", ...trainedAnd("test.csv"), "--label", "Churn", "--json")),
    )
    expect(rows).toBe(heldOut.length)
    expect(metrics.auc).toBeGreaterThan(0.84)
    expect(metrics.logLoss).toBeLessThan(0.43)
    expect(metrics.ece).toBeLessThan(0.045) // with a thousand rows, chance alone gives about 0.02
    const [low = 1, high = 0] = intervals.auc ?? []
    expect(high - low).toBeLessThan(0.06)
    expect(high - low).toBeGreaterThan(0.02)
  })

  test("a table without the outcome, with other columns in another order, gives the same probabilities", async () => {
    const [first, second] = [
      await inProcess("predict", ...trainedAnd("test.csv")),
      await asNpmDoes("predict", ...trainedAnd("new.csv")),
    ]
    expect(second).toBe(first)
    const [head, ...rows] = first.trim().split("\n")
    expect(head).toBe("row,customerID,probability")
    expect(rows).toHaveLength(heldOut.length)
    rows.forEach((row, i) => {
      const [number, id, probability] = row.split(",")
      expect([Number(number), id]).toEqual([i + 1, heldOut[i]?.slice(0, 10)])
      expect(Number(probability) > 0 && Number(probability) < 1).toBe(true)
    })
  })

  test("the artefact is small and complete, and notes what was left out", () => {
    const text = readFileSync(file("m.json"), "utf8")
    expect(text.length).toBeLessThan(150_000)
    const { features, training } = artefactSchema.parse(JSON.parse(text))
    expect(features).toHaveLength(19)
    expect(features.find(({ name }) => name === "TotalCharges")?.type).toBe("number")
    expect(training.notes.id).toBe("customerID")
    expect(text).not.toContain("7590-VHVEG") // no customer id
  })
})
