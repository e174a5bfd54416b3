/** Reads a model from a file, and scores the rows of a table. */
import { readFile } from "node:fs/promises"
import { TableError } from "../../../shared/learning/data/csv.ts"
import { levelOf, readField } from "../../../shared/learning/data/table.ts"
import { InvalidArtefact } from "../../../shared/scoring/model/invalid-artefact.ts"
import { type Model, prepareModel, scoreMany } from "../../../shared/scoring/model/model.ts"
import { readOffsets } from "../offsets-file.ts"
import { InputError } from "../subcommand.ts"
import type { RowStream } from "./read-table.ts"

/** Rows per block: large enough to be fast, small enough for memory. */
const BLOCK_ROWS = 8_192

/** The model of a file, with the offsets beside it. Throws `InputError` with the reason if there is no valid model. */
export async function readModel(path: string): Promise<Model> {
  try {
    const text = await readFile(path, "utf8")
    const model = await prepareModel(JSON.parse(text))
    const beside = await readOffsets(path, text)
    if (beside === null) return model
    return { ...model, offsets: new Map(beside.offsets.map(({ company, logOdds }) => [company, logOdds])) }
  } catch (error) {
    if (error instanceof InvalidArtefact) throw new InputError(`${path} is no model: ${error.message}.`)
    if (error instanceof SyntaxError) throw new InputError(`${path} is no model: it is not JSON.`)
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (code === "ENOENT") throw new InputError(`There is no model ${path}.`)
    if (code === "EISDIR" || code === "EACCES") throw new InputError(`The model ${path} cannot be read (${code}).`)
    throw error
  }
}

/** Rows with their probabilities, in the order of the file. */
export interface ScoredBlock {
  readonly rows: readonly { readonly fields: readonly string[]; readonly line: number }[]
  /** By feature: the encoded inputs. */
  readonly columns: readonly Float64Array[]
  readonly probabilities: Float64Array
}

/** The count of unusable values by feature: a word instead of a number, or an unknown level. */
export type UnusableValues = Map<string, number>

/** Throws `InputError` with the names if the model needs columns that are missing. */
export function checkColumns(model: Model, header: readonly string[]): void {
  const lacking = model.artefact.features.flatMap(({ name }) => (header.includes(name) ? [] : [name]))
  if (lacking.length === 0) return
  throw new InputError(
    `The model asks for columns that are not there: ${lacking.join(", ")}. There are ${header.join(", ")}.`,
  )
}

/**
 * Scores a table block by block; columns are found by name, in any order, and others are ignored. Throws `InputError` with
 * the names if the model needs columns that are missing. `group` is the column of companies, whose offsets are applied; by
 * default the one of the training.
 */
export async function* scoreTable(
  model: Model,
  { header, rows }: RowStream,
  unusable: UnusableValues,
  group = String(model.artefact.training.notes.group ?? ""),
): AsyncGenerator<ScoredBlock> {
  const groupAt = header.indexOf(group)
  const encoders = model.artefact.features.map(({ name }, input) => {
    const places = model.levels[input] ?? null
    return { name, place: header.indexOf(name), read: (text: string) => fieldValue(places, text) }
  })
  checkColumns(model, header)
  const block: ScoredBlock["rows"][number][] = []
  const flush = (): ScoredBlock => {
    const taken = block.splice(0)
    const columns = encoders.map(({ name, place, read }) =>
      Float64Array.from(taken, ({ fields }) => {
        const value = read(fields[place] ?? "")
        if (value !== null) return value
        unusable.set(name, (unusable.get(name) ?? 0) + 1)
        return Number.NaN
      }),
    )
    const offsets = taken.map(({ fields }) => model.offsets.get((fields[groupAt] ?? "").trim()) ?? 0)
    return { rows: taken, columns, probabilities: scoreMany(model, columns, taken.length, offsets) }
  }
  for await (const row of rows) {
    block.push(row)
    if (block.length === BLOCK_ROWS) yield flush()
  }
  if (block.length > 0) yield flush()
}

/** A field's value for the model; NaN is missing, null is unusable. */
function fieldValue(levels: ReadonlyMap<string, number> | null, text: string): number | null {
  const field = readField(text)
  if (field === null) return Number.NaN
  if (levels !== null) return levels.get(levelOf(field)) ?? null
  return typeof field === "number" ? field : null
}

/** A remark for each feature with unusable values. */
export const unusableValueWarnings = (unusable: UnusableValues, rows: number): string =>
  [...unusable]
    .map(([name, count]) => `${name}: ${count} of ${rows} values are unknown to the model and count as missing.\n`)
    .join("")

/** Converts errors of the data to `InputError`; returns other errors unchanged. */
export function asInputError(error: unknown, path: string): unknown {
  return error instanceof TableError ? new InputError(`${path}: ${error.message}`) : error
}
