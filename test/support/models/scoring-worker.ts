/** A Worker with the evaluator alone: results of a model in workerd, for tests and benchmarks. */

import { explain } from "../../../shared/scoring/explain.ts"
import { base64Of, numbersOf } from "../../../shared/scoring/model/binary.ts"
import { encode, type Model, prepareModel, rawScores, score, scoreMany } from "../../../shared/scoring/model/model.ts"

/** `columns` are Float64 in base64; `repeat` repeats the task, to be timed from outside. */
export type ScoringTask = {
  readonly artefact?: unknown
  readonly task: "many" | "single" | "explain"
  readonly columns: readonly string[]
  readonly rows: number
  readonly repeat: number
}

/** Of each row: log-odds and probabilities; of `explain` the contributions of all rows, one after the other. */
export type ScoringAnswer = { readonly raw: string; readonly probabilities: string; readonly contributions: string }

let model: Model | null = null

export default {
  async fetch(request: Request): Promise<Response> {
    if (request.method !== "POST") return new Response("ready")
    const given = (await request.json()) as ScoringTask
    if (given.artefact !== undefined) model = await prepareModel(given.artefact)
    if (model === null) return new Response("no model", { status: 409 })
    const columns = given.columns.map((column) => numbersOf(column, Float64Array, "a column"))
    let answer: ScoringAnswer = { raw: "", probabilities: "", contributions: "" }
    for (let round = 0; round < given.repeat; round++) answer = run(model, given, columns)
    return Response.json(answer)
  },
}

function run(scored: Model, { task, rows }: ScoringTask, columns: readonly Float64Array[]): ScoringAnswer {
  if (task === "many") {
    const probabilities = scoreMany(scored, columns, rows)
    return {
      raw: base64Of(rawScores(scored, columns, rows)),
      probabilities: base64Of(probabilities),
      contributions: "",
    }
  }
  const raw = new Float64Array(rows)
  const probabilities = new Float64Array(rows)
  const contributions: number[] = []
  for (let row = 0; row < rows; row++) {
    // From the record, as in a request.
    const vector = encode(scored, recordOf(scored, columns, row)).vector
    if (task === "explain") {
      const why = explain(scored, vector)
      contributions.push(...why.contributions.map(({ contribution }) => contribution))
    }
    const one = score(scored, vector)
    raw[row] = one.raw
    probabilities[row] = one.probability
  }
  const all = Float64Array.from(contributions)
  return { raw: base64Of(raw), probabilities: base64Of(probabilities), contributions: base64Of(all) }
}

function recordOf({ artefact }: Model, columns: readonly Float64Array[], row: number): Record<string, unknown> {
  const entries = artefact.features.map((feature, input) => {
    const value = columns[input]?.[row] ?? Number.NaN
    if (Number.isNaN(value)) return [feature.name, null]
    return [feature.name, feature.type === "category" ? feature.levels[value] : value]
  })
  return Object.fromEntries(entries)
}
