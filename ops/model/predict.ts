/** `predict`: a probability for every row of a table. */
import { createWriteStream } from "node:fs"
import { rename, rm } from "node:fs/promises"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGzip } from "node:zlib"
import { csvField } from "../../shared/learning/data/csv.ts"
import { isIdName } from "../../shared/learning/data/typed-table.ts"
import type { Model } from "../../shared/scoring/model/model.ts"
import {
  asInputError,
  checkColumns,
  readModel,
  scoreTable,
  type UnusableValues,
  unusableValueWarnings,
} from "./data/model-file.ts"
import type { RowStream } from "./data/read-table.ts"
import { EVENT_HELP, EVENT_OPTIONS, openRows } from "./data/snapshots.ts"
import { InputError, listOf, pathOf, readOptions, required, type Subcommand } from "./subcommand.ts"

const HELP = `npm run model -- predict --model FILE --data FILE [--out FILE] [options]

Writes a CSV with one line for every row, in the order of the table: its number, its ids and the probability of leaving. The
table needs the model's columns, by name, in any order; it may have others, and needs no label. An empty or unknown value
counts as missing.

  --model FILE  the output of train
  --data FILE   CSV, or CSV in gzip
  --out FILE    where to write; in gzip where the name ends in .gz (default: stdout)
  --id A,B      columns to write beside the probability (default: those that name customers)
  --json        what was written, for machines; needs --out
${EVENT_HELP}`

const OPTIONS = {
  model: { type: "string" },
  data: { type: "string" },
  out: { type: "string" },
  id: { type: "string" },
  ...EVENT_OPTIONS,
  json: { type: "boolean", default: false },
} as const

/** Digits of a probability, enough to distinguish predictions. */
const DIGITS = 9

export const predict: Subcommand = {
  name: "predict",
  summary: "writes a probability for every row of a table",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const dataPath = pathOf(required(values.data, "data"))
    if (values.json && values.out === undefined) throw new InputError("--json needs --out: stdout cannot be both.")
    const model = await readModel(pathOf(required(values.model, "model")))
    const table = await openRows(dataPath, { ...values, id: listOf(values.id)[0] }, model, output)
    checkColumns(model, table.header)
    const unusable: UnusableValues = new Map()
    const totals = { rows: 0, sum: 0 }
    const lines = Readable.from(
      linesOf(model, table, idsOf(model, table.header, values.id), unusable, totals, values.group),
    )
    try {
      if (values.out !== undefined) await writeWhole(lines, pathOf(values.out))
      else for await (const text of lines) output.out(String(text))
    } catch (error) {
      throw asInputError(error, dataPath)
    }
    output.err(unusableValueWarnings(unusable, totals.rows))
    const mean = totals.rows === 0 ? null : totals.sum / totals.rows
    if (values.json)
      output.out(
        `${JSON.stringify({ out: values.out, rows: totals.rows, meanProbability: mean, unknown: Object.fromEntries(unusable) })}\n`,
      )
    else
      output.err(`${totals.rows} rows, ${mean === null ? "none" : `${(100 * mean).toFixed(1)} %`} expected to leave.\n`)
  },
}

/** The id columns to write: those requested, else those of the training and those named like ids. */
function idsOf(model: Model, header: readonly string[], asked: string | undefined): readonly string[] {
  const named = listOf(asked)
  const unknown = named.find((name) => !header.includes(name))
  if (unknown !== undefined) throw new InputError(`There is no column ${unknown}; there are ${header.join(", ")}.`)
  if (named.length > 0) return named
  const { id: trained, time } = model.artefact.training.notes
  const isFeature = new Set(model.artefact.features.map(({ name }) => name))
  return header.filter((name) => name === trained || name === time || (isIdName(name) && !isFeature.has(name)))
}

async function* linesOf(
  model: Model,
  table: RowStream,
  ids: readonly string[],
  unusable: UnusableValues,
  totals: { rows: number; sum: number },
  group: string | undefined,
): AsyncGenerator<string> {
  const places = ids.map((name) => table.header.indexOf(name))
  yield `${["row", ...ids.map(csvField), "probability"].join(",")}\n`
  for await (const { rows, probabilities } of scoreTable(model, table, unusable, group)) {
    let text = ""
    rows.forEach(({ fields }, i) => {
      const probability = probabilities[i] ?? Number.NaN
      totals.rows += 1
      totals.sum += probability
      const names = places.map((place) => csvField(fields[place] ?? ""))
      text += `${[totals.rows, ...names, probability.toPrecision(DIGITS)].join(",")}\n`
    })
    yield text
  }
}

/** Writes to a temporary file and renames it when complete, because a partial list looks like a complete one. */
async function writeWhole(lines: Readable, path: string): Promise<void> {
  const part = `${path}.part`
  try {
    const file = createWriteStream(part)
    await (path.endsWith(".gz") ? pipeline(lines, createGzip(), file) : pipeline(lines, file))
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (code === "ENOENT" || code === "EACCES" || code === "EISDIR")
      throw new InputError(`${path} cannot be written (${code}).`)
    throw error
  }
}
