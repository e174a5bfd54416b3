/**
 * The quality gates that a model must pass to serve. Accuracy metrics are the out-of-fold ones of its artefact; schema,
 * latency and data quality are measured by the caller.
 */

export type GateName = "schema" | "auc" | "calibration" | "accuracy" | "data_quality" | "latency"

/** One gate. `no_data`: not measured; blocks only if gates are strict. */
export interface Gate {
  readonly name: GateName
  readonly status: "pass" | "fail" | "no_data"
  readonly value: number | null
  readonly bound: number | null
  /** The comparison in a sentence. */
  readonly because: string
}

export interface GateReport {
  readonly isPassed: boolean
  readonly isStrict: boolean
  /** True if the model was promoted although a gate failed. */
  readonly isForced: boolean
  readonly gates: readonly Gate[]
}

/** The input of the gates. */
export interface GateEvidence {
  /** The out-of-fold metrics in the artefact. */
  readonly metrics: Readonly<Record<string, number>>
  /** Inputs of the model that are not among our features or have another type. */
  readonly unknownFeatures: readonly string[]
  /** Completeness of the company's current data compared with training, 0 to 1; null: no recent scores. */
  readonly dataQuality: number | null
  /** 95th percentile of a prediction in milliseconds, or an upper bound of it; null: not measured. */
  readonly p95Ms: number | null
  readonly isStrict: boolean
}

/** The rules reach an AUC of 0.643 on simulated subscriptions; a model must be better. */
const AUC_MIN = 0.65
/** The minimum completeness of inputs. */
const QUALITY_MIN = 0.9
/** The maximum mean error of probabilities, in ten bins of equal count. */
const ECE_MAX = 0.03
const ACCURACY_MIN = 0.85
/** Whole milliseconds: below 200. */
const P95_MS_MAX = 199

/** Unknown features named in a report; the rest are counted. */
const NAMED_MAX = 5

/** Evaluates all gates. The gate `schema` can never be forced. */
export function evaluateGates({ metrics, unknownFeatures, dataQuality, p95Ms, isStrict }: GateEvidence): GateReport {
  const gates: Gate[] = [
    schemaGate(unknownFeatures),
    atLeast("auc", metrics.auc, AUC_MIN, "ROC AUC, out of fold, as the artefact states it"),
    atMost("calibration", metrics.ece, ECE_MAX, "expected calibration error, out of fold, as the artefact states it"),
    accuracyGate(metrics),
    atLeast(
      "data_quality",
      dataQuality,
      QUALITY_MIN,
      "completeness of what was scored lately beside the training rows",
    ),
    atMost("latency", p95Ms, P95_MS_MAX, "95th percentile of a prediction in milliseconds"),
  ]
  const isClosed = ({ status }: Gate): boolean => status === "fail" || (status === "no_data" && isStrict)
  return { isPassed: !gates.some(isClosed), isStrict, isForced: false, gates }
}

/** Whether the failed gates of a report may be forced. */
export const canBeForced = ({ gates }: GateReport): boolean =>
  gates.every(({ name, status }) => name !== "schema" || status === "pass")

function schemaGate(unknownFeatures: readonly string[]): Gate {
  const named = unknownFeatures.slice(0, NAMED_MAX).join(", ")
  const more = unknownFeatures.length > NAMED_MAX ? ` and ${unknownFeatures.length - NAMED_MAX} more` : ""
  return {
    name: "schema",
    status: unknownFeatures.length === 0 ? "pass" : "fail",
    value: unknownFeatures.length,
    bound: 0,
    because:
      unknownFeatures.length === 0
        ? "every feature of the model is one that customers are described by"
        : `customers are not described by ${named}${more}`,
  }
}

/**
 * With a low churn rate, accuracy is misleading: predicting that everyone stays is right as often as customers stay. So a
 * model passes with 0.85 or by beating that constant answer, and the report says which of the two.
 */
function accuracyGate({ accuracy, baseRate }: Readonly<Record<string, number>>): Gate {
  const gate = { name: "accuracy", bound: ACCURACY_MIN } as const
  if (accuracy === undefined) return { ...gate, status: "no_data", value: null, because: "no accuracy is stated" }
  const constant = baseRate === undefined ? null : Math.max(baseRate, 1 - baseRate)
  const isHigh = accuracy >= ACCURACY_MIN
  const isBetter = constant !== null && accuracy > constant
  const beside = constant === null ? "" : `; a constant answer is right in ${constant.toFixed(3)} of all cases`
  const because = isBetter
    ? `better than a constant answer${isHigh ? " and at least 0.85" : ", though below 0.85"}${beside}`
    : isHigh
      ? `at least 0.85, but no better than a constant answer${beside}`
      : `below 0.85 and no better than a constant answer${beside}`
  return { ...gate, status: isHigh || isBetter ? "pass" : "fail", value: accuracy, because }
}

function atLeast(name: GateName, value: number | null | undefined, bound: number, what: string): Gate {
  if (value === null || value === undefined)
    return { name, status: "no_data", value: null, bound, because: `${what}: not measured` }
  return { name, status: value >= bound ? "pass" : "fail", value, bound, because: `${what}, at least ${bound}` }
}

function atMost(name: GateName, value: number | null | undefined, bound: number, what: string): Gate {
  if (value === null || value === undefined)
    return { name, status: "no_data", value: null, bound, because: `${what}: not measured` }
  return { name, status: value <= bound ? "pass" : "fail", value, bound, because: `${what}, at most ${bound}` }
}
