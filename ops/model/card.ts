/** `card`: writes a model card, for deciding on a model. */
import { createHash } from "node:crypto"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { confidenceOf } from "../../shared/learning/evaluation/reference.ts"
import { asFile, calibrationChart, gainChart, importanceChart, shapeChart } from "./card/charts.ts"
import { type Card, htmlOf, markdownOf } from "./card/document.ts"
import { importanceOf, partialDependenceOf } from "./card/feature-effects.ts"
import { readModel } from "./data/model-file.ts"
import { EVENT_HELP, EVENT_OPTIONS } from "./data/snapshots.ts"
import { evaluateTable } from "./evaluate.ts"
import { InputError, pathOf, readOptions, required, type Subcommand, wholeNumber } from "./subcommand.ts"

const HELP = `npm run model -- card --model FILE --out DIR [--data FILE [--label COL]] [options]

Writes model-card.md with its charts as SVG files, and model-card.html, which is self-contained: what the model is, its
metrics with intervals, calibration, gain and lift, its features and their effects. Without --data the metrics are the
out-of-fold ones of training.

  --model FILE  the output of train
  --out DIR     a folder; created if missing
  --data FILE   rows with known outcomes: metrics on them instead
  --label COL   their outcome (the one that the model was trained on)
  --positive V  the label's value that means "left" (as in training)
  --id COL      the customer: intervals resample customers instead of rows
${EVENT_HELP}  --seed N      of the bootstrap (1)
  --json        what was written, for machines
`

const OPTIONS = {
  model: { type: "string" },
  out: { type: "string" },
  data: { type: "string" },
  label: { type: "string" },
  positive: { type: "string" },
  id: { type: "string" },
  ...EVENT_OPTIONS,
  seed: { type: "string" },
  json: { type: "boolean", default: false },
} as const

/** Features with a chart of their effect. */
const SHAPES = 8

export const card: Subcommand = {
  name: "card",
  summary: "describes a model in Markdown and HTML, with charts",
  help: HELP,
  async run(args, output) {
    const values = readOptions(args, OPTIONS)
    const [path, folder] = [pathOf(required(values.model, "model")), pathOf(required(values.out, "out"))]
    const seed = wholeNumber(values.seed, "seed", { min: 0, max: 2 ** 31 - 1, fallback: 1 })
    const model = await readModel(path)
    const evaluated =
      values.data === undefined ? null : await evaluateTable(model, pathOf(values.data), { ...values, seed }, output)
    const bins = evaluated === null ? model.artefact.confidence : binsOf(evaluated.probabilities, evaluated.outcomes)
    const importance = importanceOf(model)
    const inputOf = new Map(model.artefact.features.map(({ name }, input) => [name, input]))
    const main = importance.slice(0, SHAPES).filter(({ deviation }) => deviation > 0)
    const content: Card = {
      artefact: model.artefact,
      hash: createHash("sha256")
        .update(await readFile(path))
        .digest("hex"),
      importance,
      charts: [
        ...(bins.length === 0
          ? []
          : [
              { name: "calibration", title: "Calibration", chart: calibrationChart(bins) },
              { name: "gain", title: "Gain", chart: gainChart(bins) },
            ]),
        { name: "importance", title: "Importance", chart: importanceChart(importance) },
        ...main.map(({ name: title }, i) => {
          const name = `shape-${i + 1}`
          return { name, title, chart: shapeChart(partialDependenceOf(model, inputOf.get(title) ?? 0), name) }
        }),
      ],
      bins,
      evaluation:
        evaluated === null || values.data === undefined
          ? null
          : { data: basename(values.data), metrics: evaluated.metrics, intervals: evaluated.intervals },
    }
    const files = [
      ["model-card.md", markdownOf(content)],
      ["model-card.html", htmlOf(content)],
      ...content.charts.map(({ name, chart }) => [`${name}.svg`, `${asFile(chart)}\n`]),
    ] as const
    await writeAll(folder, files)
    const names = files.map(([name]) => name)
    if (values.json) output.out(`${JSON.stringify({ out: folder, files: names })}\n`)
    else output.out(`${folder}: ${names.join(", ")}\n`)
  },
}

/** Bins of the score; the last one ends at the highest score. */
function binsOf(probabilities: Float64Array, outcomes: Uint8Array) {
  const most = probabilities.reduce((high, probability) => Math.max(high, probability), 0)
  return confidenceOf(probabilities, outcomes).map((bin) => ({ ...bin, upTo: Math.min(bin.upTo, most) }))
}

async function writeAll(folder: string, files: readonly (readonly string[])[]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    for (const [name = "", text = ""] of files) await writeFile(join(folder, name), text)
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (typeof code === "string" && code !== "") throw new InputError(`${folder} cannot be written (${code}).`)
    throw error
  }
}
