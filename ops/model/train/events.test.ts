/** From an event log to a model and its metrics with the commands, on two companies of simsub. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gunzipSync, gzipSync } from "node:zlib"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { model } from "../command.ts"
import { readOffsets } from "../offsets-file.ts"
import { InputError, type Output } from "../subcommand.ts"

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../../test/fixtures/learning/simsub/${name}.csv.gz`, import.meta.url))
const EVENTS = fixture("events")

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "churn-saver-events-"))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** Runs a command; its stdout, and its remarks. */
async function run(...args: readonly string[]): Promise<{ readonly out: string; readonly remarks: string }> {
  let [out, remarks] = ["", ""]
  const output: Output = {
    out: (text) => {
      out += text
    },
    err: (text) => {
      remarks += text
    },
    progress: () => {},
  }
  await model(args, output)
  return { out, remarks }
}

const table = async (path: string): Promise<string[][]> =>
  gunzipSync(await readFile(path))
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => line.split(","))

async function writeTable(name: string, rows: readonly (readonly string[])[]): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, gzipSync(`${rows.map((row) => row.join(",")).join("\n")}\n`))
  return path
}

/** Training takes seconds of CPU time, which may be long on a busy machine. */
const TIMEOUT_MS = 600_000
const COLUMNS = ["--id", "customer_id", "--time", "t"] as const

describe("a model of an event log", () => {
  let [train, held, artefact] = ["", "", ""]
  beforeAll(async () => {
    const [header = [], ...rows] = await table(fixture("snapshots"))
    // Every fourth customer is kept for testing.
    const isHeld = ([customer = ""]: readonly string[]) => Number(customer.slice(1)) % 4 === 0
    train = await writeTable("train.csv.gz", [header, ...rows.filter((row) => !isHeld(row))])
    held = await writeTable("held.csv.gz", [header, ...rows.filter(isHeld)])
    artefact = join(folder, "model.json")
  })

  test(
    "is trained by the features of live scoring, with an intercept for each company",
    async () => {
      const { out, remarks } = await run(
        ...["train", "--events", EVENTS, "--data", train, "--label", "y", ...COLUMNS],
        ...["--kind", "gam", "--trained-at", "2026-06-01T00:00:00Z", "--out", artefact, "--json"],
      )
      expect(remarks).toContain("tenant is taken for the company of a row")
      expect(remarks).not.toContain("Leak?")
      expect(JSON.parse(out)).toMatchObject({ kind: "gam", notes: { group: "tenant", groups: 2 } })
      const text = await readFile(artefact, "utf8")
      expect(text).not.toMatch(/t0[56]|"offsets"/)
      const beside = await readOffsets(artefact, text)
      expect(beside?.madeAt).toBe("2026-06-01T00:00:00.000Z")
      const [t05, t06] = beside?.offsets ?? []
      expect([t05?.company, t06?.company]).toEqual(["t05", "t06"])
      expect(Math.min(t05?.rows ?? 0, t06?.rows ?? 0)).toBeGreaterThan(100)
      // The second company has twice the churn rate.
      expect(t06?.logOdds).toBeGreaterThan(t05?.logOdds ?? 0)
    },
    TIMEOUT_MS,
  )

  test(
    "predicts unseen customers better than the base rate, and not better than is possible without leakage",
    async () => {
      const { out } = await run(
        "evaluate",
        "--model",
        artefact,
        "--events",
        EVENTS,
        "--data",
        held,
        "--label",
        "y",
        "--json",
      )
      const { metrics, baseRate, rows } = JSON.parse(out)
      expect(rows).toBeGreaterThan(500)
      expect(metrics.auc).toBeGreaterThan(0.6)
      expect(metrics.auc).toBeLessThan(0.9)
      const entropy = -(baseRate * Math.log(baseRate) + (1 - baseRate) * Math.log(1 - baseRate))
      expect(metrics.logLoss).toBeLessThan(entropy)
      expect(metrics.ece).toBeLessThan(0.03)
    },
    TIMEOUT_MS,
  )

  test(
    "predicts the same with and without later events in the log",
    async () => {
      const [header = [], ...events] = await table(EVENTS)
      const [snapshotHeader = [], ...rows] = await table(held)
      const t = snapshotHeader.indexOf("t")
      const moment = Number(rows.map((row) => row[t]).sort()[Math.floor(rows.length / 2)])
      const then = await writeTable("then.csv.gz", [snapshotHeader, ...rows.filter((row) => Number(row[t]) <= moment)])
      const received = header.indexOf("received_at")
      const known = events.filter((event) => Number(event[received]) <= moment)
      expect(known.length).toBeLessThan(0.8 * events.length)
      const short = await writeTable("short.csv.gz", [header, ...known])
      const predict = async (log: string) => {
        const path = join(folder, "predictions.csv")
        await run("predict", "--model", artefact, "--events", log, "--data", then, "--out", path)
        return readFile(path, "utf8")
      }
      const whole = await predict(EVENTS)
      expect(whole).toMatch(/^row,customer_id,t,probability\n1,c\d+,\d+,0\.\d+\n/)
      expect(await predict(short)).toBe(whole)
    },
    TIMEOUT_MS,
  )

  test.each([
    [
      "a file that is not a log",
      ["--events", fixture("snapshots")],
      /is no event log: it has no column type, occurred_at/,
    ],
    ["a missing column", ["--events", EVENTS, "--time", "when"], /There is no column when; there are customer_id/],
    ["a missing file", ["--events", "/nowhere.csv"], /There is no file/],
  ])("%s is rejected with the reason", async (_, args, message) => {
    const given = ["train", "--data", fixture("snapshots"), "--label", "y", ...COLUMNS, ...args]
    const failed = run(...given)
    await expect(failed).rejects.toThrow(message)
    await expect(failed).rejects.toBeInstanceOf(InputError)
  })
})
