/** Metrics as text lines. */
import type { Interval, MetricName, Metrics } from "../../shared/learning/evaluation/metrics.ts"

export const METRIC_TITLES: Readonly<Record<MetricName, string>> = {
  auc: "ROC AUC",
  prAuc: "PR AUC",
  logLoss: "log loss",
  brier: "Brier",
  ece: "ECE (10 bins)",
  accuracy: "accuracy at .5",
  baseAccuracy: "accuracy of the base rate",
  lift: "lift of the top tenth",
}

const DIGITS = 4

/** One line per metric, with its interval. */
export function metricLines(metrics: Metrics, intervals: Partial<Record<MetricName, Interval>>): string {
  const names = Object.entries(METRIC_TITLES) as [MetricName, string][] // the record's own keys
  return names
    .map(([name, title]) => {
      const value = metrics[name]
      const interval = intervals[name]
      const bounds = interval === undefined ? "" : `  [${interval.map((bound) => bound.toFixed(DIGITS)).join(", ")}]`
      return `  ${title.padEnd(26)}${value === null ? "—" : `${value.toFixed(DIGITS)}${bounds}`}`
    })
    .join("\n")
}
