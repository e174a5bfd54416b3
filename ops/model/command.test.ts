/** `npm run model` with invalid input, and with small tables. Over 300 lines because all tests use the same tables and models. */
import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync, gzipSync } from "node:zlib"
import { afterAll, describe, expect, test } from "vitest"
import { Random } from "../../shared/learning/random.ts"
import { CommandError, ROOT } from "../deployment.ts"
import { model } from "./command.ts"

const folder = mkdtempSync(join(tmpdir(), "model-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Writes a file in the folder; returns its path. */
function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

/** Runs the command in this process; returns its output and exit code. */
async function run(...args: readonly string[]): Promise<{ out: string; err: string; code: number }> {
  let [out, err] = ["", ""]
  const progress = () => {}
  try {
    const collect = {
      out: (text: string) => {
        out += text
      },
      err: (text: string) => {
        err += text
      },
    }
    await model(args, { ...collect, progress })
    return { out, err, code: 0 }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return { out, err: `${err}${error.message}`, code: error.exitCode }
  }
}

/** A table of customers who churn more with less usage. */
function table(rows: number, seed = 1, { name = (i: number) => `c${i}` } = {}): string {
  const random = new Random(seed)
  const lines = Array.from({ length: rows }, (_, i) => {
    const usage = random.next() * 10
    const plan = ["basic", "pro", "<b>"][random.int(3)]
    const left = random.next() < 1 / (1 + Math.exp(usage - 4)) ? "yes" : "no"
    return [name(i), usage.toFixed(2), plan, random.next() < 0.1 ? "" : String(random.int(100)), left].join(",")
  })
  return ["customer_id,usage,plan,seats,churn", ...lines].join("\n")
}

const good = file("good.csv", table(300))
const path = (name: string) => join(folder, name)
const train = (data: string, label = "churn", ...more: readonly string[]) =>
  run("train", "--data", data, "--label", label, "--out", path("m.json"), "--kind", "gam", ...more)

describe("unusable data ends with exit code 2 and a reason", () => {
  const binary = Uint8Array.from({ length: 300 }, (_, i) => i % 256)
  test.each([
    ["no such file", path("nowhere.csv"), "churn", "There is no file"],
    ["a folder", folder, "churn", "is a folder"],
    ["an empty file", file("empty.csv", ""), "churn", "The file is empty."],
    ["a header alone", file("header.csv", "a,b,churn\n"), "churn", "there is a header and no row"],
    ["no such label", good, "left", "There is no column left; there are customer_id, usage, plan, seats, churn."],
    ["one outcome", file("one.csv", table(50).replaceAll(",yes", ",no")), "churn", "one outcome only (no)"],
    ["a label of numbers", good, "usage", "more than two values"],
    ["an empty label", file("unlabelled.csv", "a,churn\n1,\n2,\n"), "churn", "is empty in every row"],
    ["too few rows", file("few.csv", table(12)), "churn", "at least 10 of each are needed"],
    ["a ragged row", file("ragged.csv", `${table(40)}\nx,1\n`), "churn", "Line 42 has 2 fields, the header has 5."],
    [
      "a quote that is not closed",
      file("quote.csv", `a,churn\n"1,yes\n2,no\n`),
      "churn",
      "Line 2 has a quote that is not closed.",
    ],
    [
      "constant columns only",
      file("constant.csv", `a,b,churn\n${"1,x,yes\n1,x,no\n".repeat(30)}`),
      "churn",
      "No column is left to learn from.",
    ],
    ["two columns of one name", file("twice.csv", "a,a,churn\n1,2,yes\n"), "churn", "Two columns are named a."],
    ["bytes", file("bytes.csv", binary), "churn", "not text"],
    ["a workbook", file("book.csv", "PK\u0003\u0004rest"), "churn", "a zip or a workbook"],
    ["broken gzip", file("broken.csv.gz", gzipSync(table(400)).subarray(0, 900)), "churn", "the gzip is broken"],
  ])("%s", async (_, data, label, message) => {
    const { code, err } = await train(data, label)
    expect(err).toContain(message)
    expect(code).toBe(2)
  })

  test.each([
    [["train"], "Name the rows: --"],
    [["train", "--data", good], "Name --label."],
    [["train", "--data", good, "--label", "churn", "--kind", "forest"], "--kind is gam, gbdt, auto."],
    [["train", "--data", good, "--label", "churn", "--seed", "x"], "--seed is a whole number"],
    [["train", "--data", good, "--label", "churn", "--id", "who"], "There is no column who"],
    [["train", "--data", good, "--label", "churn", "--drop", "usage,else"], "There is no column else"],
    [["train", "--data", good, "--label", "churn", "--monotone", "plan:+"], "plan is no number among the features"],
    [["train", "--data", good, "--label", "churn", "--monotone", "usage"], "--monotone is a list such as"],
    [["train", "--data", good, "--label", "churn", "--time", "plan"], "plan is no time in row 1"],
    [["train", "--data", good, "--label", "churn", "--nonsense"], "--nonsense"],
    [["evaluate", "--model", path("none.json"), "--data", good], "There is no model"],
    [["evaluate", "--model", good, "--data", good], "is no model: it is not JSON"],
    [["predict", "--model", file("empty.json", "{}"), "--data", good], "is no model"],
    [["import", "--xgboost", good, "--out", path("x.json"), "--label", "y"], "The model cannot be imported"],
    [["guess"], "There is no guess; there is train, evaluate"],
  ])("%j", async (args, message) => {
    const { code, err } = await run(...args)
    expect(err).toContain(message)
    expect(code).toBe(2)
  })

  test("also in a separate process: one line on stderr, nothing on stdout", async () => {
    const node = join(ROOT, "node_modules", ".bin", "node")
    const ended = await new Promise<{ code: unknown; out: string; err: string }>((settle) => {
      const args = [join(ROOT, "ops/model.ts"), "train", "--data", path("empty.csv"), "--label", "churn"]
      execFile(node, args, (error, out, err) => settle({ code: error?.code, out, err }))
    })
    expect(ended).toEqual({ code: 2, out: "", err: `${path("empty.csv")}: The file is empty.\n` })
  })
})

describe("a small table", () => {
  test("gives the same file for the same seed and time, in any order of rows", async () => {
    const at = ["--trained-at", "2026-02-03T04:05:06Z"]
    const [header = "", ...rows] = table(300).split("\n")
    await train(good, "churn", ...at)
    const first = readFileSync(path("m.json"), "utf8")
    await train(file("again.csv.gz", gzipSync([header, ...new Random(2).shuffle(rows)].join("\r\n"))), "churn", ...at)
    expect(readFileSync(path("m.json"), "utf8")).toBe(first)
    expect(JSON.parse(first).training.trainedAt).toBe("2026-02-03T04:05:06.000Z")
  })

  test("is trained, evaluated and predicted, with JSON results on stdout", async () => {
    const trained = JSON.parse((await train(good, "churn", "--monotone", "usage:-", "--json")).out)
    expect(trained).toMatchObject({
      kind: "gam",
      rows: 300,
      model: path("m.json"),
      notes: { id: "customer_id", positive: "yes" },
    })
    expect(trained.metrics.auc).toBeGreaterThan(0.8)
    const evaluated = JSON.parse(
      (await run("evaluate", "--model", path("m.json"), "--data", good, "--against", path("m.json"), "--json")).out,
    )
    expect(evaluated).toMatchObject({
      rows: 300,
      label: "churn",
      positive: "yes",
      comparison: { logLoss: { gain: 0 } },
    })
    const predicted = JSON.parse(
      (await run("predict", "--model", path("m.json"), "--data", good, "--out", path("p.csv.gz"), "--json")).out,
    )
    expect(predicted).toMatchObject({ rows: 300, unknown: {} })
    const lines = gunzipSync(readFileSync(path("p.csv.gz")))
      .toString()
      .trim()
      .split("\n")
    expect(lines).toHaveLength(301)
    expect(lines[1]).toMatch(/^1,c0,0\.\d+$/)
  })

  test("rows without a label and dropped columns are left out, with a remark", async () => {
    const { err, code } = await train(
      file("gaps.csv", table(300).replace(",yes", ",").replace(",no", ",NA")),
      "churn",
      "--drop",
      "seats",
    )
    expect(code).toBe(0)
    expect(err).toContain("2 rows have no churn and are left out.")
    const { features, training } = JSON.parse(readFileSync(path("m.json"), "utf8"))
    expect(features.map(({ name }: { name: string }) => name)).toEqual(["usage", "plan"])
    expect(training.rows).toBe(298)
  })

  test("unknown values count as missing, with a remark; a missing column is an error", async () => {
    await train(good)
    const unusable = file("strange.csv", "customer_id,usage,plan,seats\nx,NaN,gold,-1e999\ny,many,pro,\nz,-5,basic,7\n")
    const { out, err } = await run("predict", "--model", path("m.json"), "--data", unusable)
    const rows = out.trim().split("\n").slice(1)
    expect(rows.map((row) => row.split(",")[1])).toEqual(["x", "y", "z"])
    for (const row of rows) expect(Number(row.split(",")[2])).toBeGreaterThan(0)
    expect(err).toContain("plan: 1 of 3 values are unknown to the model")
    expect(err).toContain("usage: 1 of 3 values are unknown to the model")
    const lacking = await run(
      "predict",
      "--model",
      path("m.json"),
      "--data",
      file("lacking.csv", "usage\n1\n"),
      "--out",
      path("none.csv"),
    )
    expect(lacking).toMatchObject({ code: 2, err: expect.stringContaining("not there: plan, seats. There are usage.") })
    expect(existsSync(path("none.csv")) || existsSync(path("none.csv.part"))).toBe(false)
  })

  test("a table with an error in the middle leaves no output file", async () => {
    await train(good)
    const half = file("half.csv", `${table(9_000)}\nbroken\n`)
    const { code, err } = await run("predict", "--model", path("m.json"), "--data", half, "--out", path("half-out.csv"))
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("Line 9002 has 1 field") })
    expect(existsSync(path("half-out.csv")) || existsSync(path("half-out.csv.part"))).toBe(false)
  })

  test("with times, models are evaluated on later rows, and the artefact states the period", async () => {
    const dated = table(400)
      .split("\n")
      .map((line, i) => (i === 0 ? `${line},day` : `${line},2026-0${1 + (i % 6)}-1${i % 9}`))
    const { code } = await train(file("dated.csv", dated.join("\n")), "churn", "--time", "day", "--id", "customer_id")
    expect(code).toBe(0)
    const { training } = JSON.parse(readFileSync(path("m.json"), "utf8"))
    expect(training).toMatchObject({ from: "2026-01-10T00:00:00.000Z", to: "2026-06-18T00:00:00.000Z" })
    expect(training.notes.validation).toContain("later rows")
  })
})

describe("the card", () => {
  test("is Markdown with charts and one HTML file, with all data escaped", async () => {
    const hostile = table(300).replace("usage", "<script>alert(1)</script>").replace("seats", "a|b")
    const data = file("hostile.csv", hostile)
    await train(data)
    const { out } = await run("card", "--model", path("m.json"), "--data", data, "--out", path("card"), "--json")
    const { files } = JSON.parse(out)
    expect(files).toEqual(
      expect.arrayContaining([
        "model-card.md",
        "model-card.html",
        "calibration.svg",
        "gain.svg",
        "importance.svg",
        "shape-1.svg",
      ]),
    )
    const read = (name: string) => readFileSync(join(path("card"), name), "utf8")
    for (const name of files) expect(read(name)).not.toMatch(/<script|<b>|NaN|undefined|Infinity/)
    expect(read("model-card.html")).toContain("&lt;script&gt;alert(1)&lt;/script&gt;")
    expect(read("model-card.html").match(/<svg/g)?.length).toBeGreaterThanOrEqual(5)
    expect(read("model-card.html")).not.toMatch(/(?:src|href)=/) // needs nothing else
    expect(read("model-card.md")).toContain("a\\|b")
    expect(read("model-card.md")).toMatch(/\| ROC AUC \| 0\.\d{4} \| 0\.\d{4} to 0\.\d{4} \|/)
  })

  test("without data shows the metrics of training", async () => {
    await train(good)
    const { out } = await run("card", "--model", path("m.json"), "--out", path("card-of-training"))
    expect(out).toContain("model-card.html")
    const { auc } = JSON.parse(readFileSync(path("m.json"), "utf8")).training.metrics
    expect(readFileSync(join(path("card-of-training"), "model-card.md"), "utf8")).toContain(
      `| ROC AUC | ${auc.toFixed(4)} |`,
    )
  })
})

describe("a model of XGBoost", () => {
  const fixture = (name: string) => join(ROOT, "test/fixtures/xgboost", name)
  const { names, rows, numbers } = JSON.parse(readFileSync(fixture("predictions.json"), "utf8"))
  const data = file(
    "xgboost.csv",
    [
      [...names, "left"].join(","),
      ...rows.map((row: unknown[], i: number) => [...row.map((value) => value ?? ""), i % 3 === 0 ? 1 : 0].join(",")),
    ].join("\n"),
  )

  test("predicts the same through the command as in XGBoost", async () => {
    const imported = await run(
      "import",
      "--xgboost",
      fixture("numbers.model.json"),
      "--label",
      "left",
      "--data",
      data,
      "--out",
      path("x.json"),
      "--json",
    )
    expect(JSON.parse(imported.out)).toMatchObject({ trees: 15, features: 4, metrics: { auc: expect.any(Number) } })
    const { out } = await run("predict", "--model", path("x.json"), "--data", data)
    const predicted = out
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => Number(line.split(",").at(-1)))
    predicted.forEach((value, i) => void expect(Math.abs(value - numbers.predictions[i])).toBeLessThan(1e-6))
    const { training, confidence } = JSON.parse(readFileSync(path("x.json"), "utf8"))
    expect(training.reference[0].cuts).toHaveLength(9)
    expect(confidence.reduce((sum: number, bin: { rows: number }) => sum + bin.rows, 0)).toBe(200)
  })

  test("a dump needs its base score", async () => {
    const dump = ["import", "--xgboost", fixture("numbers.dump.json"), "--label", "left", "--out", path("d.json")]
    expect(await run(...dump)).toMatchObject({ code: 2, err: expect.stringContaining("a dump has no base score") })
    const { baseScore } = JSON.parse(readFileSync(fixture("predictions.json"), "utf8"))
    expect(await run(...dump, "--base-score", String(baseScore))).toMatchObject({ code: 0 })
  })
})

test("every subcommand has a short summary and its own help", async () => {
  const { out } = await run("--help")
  const words = [...out.matchAll(/^ {2}(\S+) {2,}(.+)$/gm)]
  expect(words.length).toBeGreaterThanOrEqual(5)
  for (const [, name = "", summary = ""] of words) {
    expect(summary.length).toBeLessThanOrEqual(80)
    const help = await run(name, "--help")
    expect(help.code).toBe(0)
    expect(help.out).toContain(`npm run model -- ${name}`)
  }
})
