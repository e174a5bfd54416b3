/** The model card as Markdown and as one HTML file: description, metrics, features and limits of use. */
import type { Markup } from "../../../shared/charts/chart.ts"
import { escapeHtml } from "../../../shared/domain/messaging/messages/clean.ts"
import type { Interval, MetricName, Metrics } from "../../../shared/learning/evaluation/metrics.ts"
import type { Artefact } from "../../../shared/scoring/model/artefact.ts"
import { METRIC_TITLES } from "../show.ts"
import { type Bins, CHART_STYLE, cumulativeGain } from "./charts.ts"
import type { FeatureImportance } from "./feature-effects.ts"

/** The content of a card. Charts have the names of their files. */
export interface Card {
  readonly artefact: Artefact
  /** SHA-256 of the file. */
  readonly hash: string
  readonly importance: readonly FeatureImportance[]
  readonly charts: readonly { readonly name: string; readonly title: string; readonly chart: Markup }[]
  readonly bins: Bins
  /** Metrics on a given table; null: the out-of-fold metrics of the training. */
  readonly evaluation: {
    readonly data: string
    readonly metrics: Metrics
    readonly intervals: Partial<Record<MetricName, Interval>>
  } | null
}

type Row = readonly string[]
interface Section {
  readonly title: string
  readonly text?: readonly string[]
  readonly table?: { readonly head: Row; readonly rows: readonly Row[] }
  readonly charts?: readonly string[]
}

const KINDS = {
  gam: "scorecard (logistic, additive)",
  gbdt: "boosted trees",
  blend: "scorecard and boosted trees, added in log-odds",
}
const FEATURES_SHOWN = 40
const figure = (value: number): string => value.toFixed(4)

function sectionsOf(card: Card): Section[] {
  const { artefact, importance, bins, evaluation } = card
  const { training } = artefact
  const rate = training.rows > 0 ? training.events / training.rows : 0
  const missing = new Map(artefact.features.map(({ name }, i) => [name, training.reference[i]?.missing ?? 0]))
  const types = new Map(
    artefact.features.map((feature) => [
      feature.name,
      feature.type === "number" ? "number" : `${feature.levels.length} levels`,
    ]),
  )
  const steps = cumulativeGain(bins)
  const eventsAt = (share: number): number => {
    const after = steps.findIndex(({ rows }) => rows >= share)
    const [a, b] = [steps[after - 1] ?? { rows: 0, events: 0 }, steps[after] ?? { rows: 1, events: 1 }]
    return a.events + ((share - a.rows) / (b.rows - a.rows || 1)) * (b.events - a.events)
  }
  const others = Math.max(0, artefact.features.length - FEATURES_SHOWN)
  return [
    {
      title: "What it is",
      table: {
        head: ["", ""],
        rows: [
          ["kind", KINDS[artefact.kind]],
          ["label", training.label],
          ["trained at", training.trainedAt],
          ["rows", `${training.rows}, of them ${training.events} that left (${(100 * rate).toFixed(2)} %)`],
          ["period", training.from === null ? "rows have no time" : `${training.from} to ${training.to}`],
          ["seed", String(training.seed)],
          ["artefact (sha-256)", card.hash],
          ["features (sha-256)", artefact.featureHash],
          ["data (sha-256)", training.dataHash],
          ["calibration", artefact.calibration.kind],
          ["companies with an intercept of their own", String(artefact.training.notes.groups ?? 0)],
          ...Object.entries(training.notes).map(([name, note]): Row => [name, String(note)]),
        ],
      },
    },
    {
      title: "How good it is",
      text: [
        evaluation === null
          ? "On the training rows, out of fold, with 95 % intervals (bootstrap)."
          : `On ${evaluation.data}: ${evaluation.metrics.rows} rows, ${evaluation.metrics.events} that left, with 95 % intervals (bootstrap).`,
        "Accuracy is misleading with a low churn rate: compare it with the accuracy of the base rate, which predicts that nobody leaves.",
      ],
      table: { head: ["metric", "value", "95 % interval"], rows: metricRows(card) },
      charts: ["calibration", "gain"],
    },
    {
      title: "Customers found",
      table: {
        head: ["share of all, highest scores first", "share of those who left", "lift"],
        rows: [0.05, 0.1, 0.2, 0.3, 0.5].map((share) => [
          `${100 * share} %`,
          `${(100 * eventsAt(share)).toFixed(1)} %`,
          (eventsAt(share) / share).toFixed(2),
        ]),
      },
    },
    {
      title: "Features",
      text: [
        "How much a feature spreads scores, in log-odds. A feature that changes a score is not necessarily a cause of churn.",
        ...(others > 0 ? [`${others} more features are not shown.`] : []),
      ],
      table: {
        head: ["feature", "type", "spread", "missing in training"],
        rows: importance
          .slice(0, FEATURES_SHOWN)
          .map(({ name, deviation }) => [
            name,
            types.get(name) ?? "",
            figure(deviation),
            `${(100 * (missing.get(name) ?? 0)).toFixed(1)} %`,
          ]),
      },
      charts: ["importance"],
    },
    {
      title: "Effects of features",
      text: ["Log-odds relative to the mean as one feature changes, averaged over the others."],
      charts: card.charts.flatMap(({ name }) => (name.startsWith("shape") ? [name] : [])),
    },
    {
      title: "Limits of use",
      text: [
        "The probability is that of the label above, for customers similar to those of the training, within the label's horizon.",
        "A missing or unknown value is scored as missing; the more there are, the less the score depends on the customer.",
        "Use it to choose whom to help first. Do not use it to refuse service, prices or credit; it does not explain why a customer leaves.",
        "If nudges depend on scores, hold out some customers at random; otherwise the next model learns from its own effects.",
      ],
    },
  ]
}

function metricRows({ artefact, evaluation }: Card): Row[] {
  const { metrics: trained } = artefact.training
  return (Object.entries(METRIC_TITLES) as [MetricName, string][]).flatMap(([name, title]): Row[] => {
    // the record's own keys
    const value = evaluation === null ? trained[name] : evaluation.metrics[name]
    const interval =
      evaluation === null ? [trained[`${name}Low`], trained[`${name}High`]] : (evaluation.intervals[name] ?? [])
    if (value === undefined || value === null) return []
    const [low, high] = interval
    return [[title, figure(value), low === undefined || high === undefined ? "" : `${figure(low)} to ${figure(high)}`]]
  })
}

/** A cell's text with Markdown and HTML characters escaped. */
const cell = (text: string): string =>
  text
    .replaceAll(/[\\`*_|[\]]/g, "\\$&")
    .replaceAll("<", "&lt;")
    .replaceAll(/\s+/g, " ")

/** The card in Markdown; charts are separate files. */
export function markdownOf(card: Card): string {
  const parts = sectionsOf(card).map(({ title, text = [], table, charts = [] }) => {
    const lines = [`## ${title}`, ...text]
    if (table !== undefined) {
      const row = (cells: Row) => `| ${cells.map(cell).join(" | ")} |`
      lines.push([row(table.head), row(table.head.map(() => "---")), ...table.rows.map(row)].join("\n"))
    }
    for (const { name, title: alt } of card.charts)
      if (charts.includes(name)) lines.push(`![${cell(alt)}](${name}.svg)`)
    return lines.join("\n\n")
  })
  return `# Model card: ${cell(card.artefact.training.label)}\n\n${parts.join("\n\n")}\n`
}

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;color:#1f2937;max-width:960px;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #e5e7eb;padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}
.charts{display:flex;flex-wrap:wrap;gap:1rem}.charts>div{width:min(460px,100%)}.charts figure{margin:0}.charts svg{width:100%;height:auto}
${CHART_STYLE}`

/** The card as one self-contained HTML file. */
export function htmlOf(card: Card): string {
  const parts = sectionsOf(card).map(({ title, text = [], table, charts = [] }) => {
    const paragraphs = text.map((each) => `<p>${escapeHtml(each)}</p>`)
    const row = (cells: Row, tag: "td" | "th") =>
      `<tr>${cells.map((each) => `<${tag}>${escapeHtml(each)}</${tag}>`).join("")}</tr>`
    const rows =
      table === undefined
        ? ""
        : `<table>${row(table.head, "th")}${table.rows.map((each) => row(each, "td")).join("\n")}</table>`
    const charted = card.charts
      .filter(({ name }) => charts.includes(name))
      .map(({ title, chart }) => `<div><h3>${escapeHtml(title)}</h3>\n${chart}</div>`)
    const figures = charted.length === 0 ? "" : `<div class="charts">${charted.join("\n")}</div>`
    return `<section><h2>${escapeHtml(title)}</h2>\n${paragraphs.join("\n")}\n${rows}\n${figures}</section>`
  })
  const title = `Model card: ${escapeHtml(card.artefact.training.label)}`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style></head>
<body><h1>${title}</h1>
${parts.join("\n")}
</body></html>
`
}
