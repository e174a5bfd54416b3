/** What all sources of training rows share on the command line: settings, and writing the model. */
import { writeFile } from "node:fs/promises"
import type { Monotone } from "../../../shared/learning/candidates.ts"
import type { CompanyOffset } from "../../../shared/learning/pooled.ts"
import type { TrainedModel } from "../../../shared/learning/train-model.ts"
import type { ModelFeature } from "../../../shared/scoring/model/artefact.ts"
import { writeOffsets } from "../offsets-file.ts"
import { metricLines } from "../show.ts"
import { InputError, listOf, type Output, pathOf, wholeNumber } from "../subcommand.ts"

export const TRAIN_OPTIONS = {
  kind: { type: "string" },
  seed: { type: "string" },
  monotone: { type: "string" },
  "trained-at": { type: "string" },
  out: { type: "string" },
  json: { type: "boolean", default: false },
} as const

export const TRAIN_HELP = `  --kind K          gam (scorecard), gbdt (boosted trees) or auto: whichever predicts unseen rows better (auto)
  --seed N          the same rows and seed give the same model, in whatever order the rows come (1)
  --monotone A:+,B:-  scores never fall with rising A, never rise with rising B
  --trained-at T    the time that is written down (now)
  --out FILE        where the model is written (model.json); what each of several companies adds to it goes beside it
                    (model.offsets.json), for push
  --json            figures for machines on stdout
`

const KINDS = ["gam", "gbdt", "auto"] as const
const SEED_MAX = 2 ** 31 - 1

interface Given {
  readonly kind?: string | undefined
  readonly seed?: string | undefined
  readonly "trained-at"?: string | undefined
}

/** Settings of `trainModel` from options. Throws `InputError` for an invalid value. */
export function readTrainOptions(values: Given) {
  const kind = KINDS.find((each) => each === (values.kind ?? "auto"))
  if (kind === undefined) throw new InputError(`--kind is ${KINDS.join(", ")}.`)
  const seed = wholeNumber(values.seed, "seed", { min: 0, max: SEED_MAX, fallback: 1 })
  return { kind, seed, trainedAt: instantOf(values["trained-at"], "trained-at") }
}

/** The instant of an option in ISO 8601, or now. Throws `InputError` for an invalid time. */
export function instantOf(text: string | undefined, option: string): string {
  const at = text === undefined ? new Date() : new Date(text)
  if (Number.isNaN(at.getTime())) throw new InputError(`--${option} is a time such as 2026-01-31T12:00:00Z.`)
  return at.toISOString()
}

/** Directions by feature from `A:+,B:-`. Throws `InputError` for a name that is not a numeric feature. */
export function monotoneOf(text: string | undefined, features: readonly ModelFeature[]): Monotone {
  return Object.fromEntries(
    listOf(text).map((part): [string, 1 | -1] => {
      const [, name, sign] = /^(.+):([+-])$/.exec(part) ?? []
      if (name === undefined) throw new InputError(`--monotone is a list such as tenure:-,failures:+, not ${part}.`)
      if (!features.some((feature) => feature.name === name && feature.type === "number")) {
        const numbers = features.filter(({ type }) => type === "number").map((feature) => feature.name)
        throw new InputError(`--monotone: ${name} is no number among the features; these are: ${numbers.join(", ")}.`)
      }
      return [name, sign === "+" ? 1 : -1]
    }),
  )
}

/** Writes the artefact and the companies' offsets, and prints the metrics. */
export async function writeModel(
  { artefact, metrics, intervals, candidates }: TrainedModel,
  values: { readonly out?: string | undefined; readonly json: boolean },
  output: Output,
  offsets: ReadonlyMap<string, CompanyOffset> = new Map(),
): Promise<void> {
  const path = pathOf(values.out ?? "model.json")
  const text = `${JSON.stringify(artefact)}\n`
  const cannotWrite = (error: unknown): never => {
    const why = error instanceof Error && "code" in error ? error.code : error
    throw new InputError(`${path} cannot be written (${why}).`)
  }
  await writeFile(path, text).catch(cannotWrite)
  const beside = await writeOffsets(path, text, artefact.training.trainedAt, offsets).catch(cannotWrite)
  const { kind, training, featureHash } = artefact
  const { rows, events, notes, dataHash } = training
  if (values.json) {
    const { rows: _, events: __, ...figures } = metrics
    const of = { model: path, offsets: beside, bytes: text.length, kind, rows, events, dataHash, featureHash }
    const document = { ...of, metrics: figures, intervals, candidates, notes }
    output.out(`${JSON.stringify(document)}\n`)
    return
  }
  const also = beside === null ? "" : `${beside}: what each of ${offsets.size} companies adds; push sends it too.\n`
  output.out(`${path}: ${kind}, ${text.length} bytes, from ${rows} rows with ${events} events.
${also}Chosen: ${notes.chosen} (${notes.because}).
Out of fold:
${metricLines(metrics, intervals)}
`)
}
