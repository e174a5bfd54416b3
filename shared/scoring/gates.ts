/**
 * What a model must be before it may serve. Figures of accuracy are those that its artefact states, out of fold; whether it
 * fits, how fast it is and how good the data are is measured here.
 */

export type GateName = "schema" | "auc" | "calibration" | "accuracy" | "data_quality" | "latency"

/** One gate. `no_data`: nobody has measured it; that blocks while gates are strict. */
export interface Gate {
  readonly name: GateName
  readonly status: "pass" | "fail" | "no_data"
  readonly value: number | null
  readonly bound: number | null
  /** What was compared with what, in a plain sentence. */
  readonly because: string
}

export interface GateReport {
  readonly isPassed: boolean
  readonly isStrict: boolean
  /** True when a promotion went ahead although a gate was closed. */
  readonly isForced: boolean
  readonly gates: readonly Gate[]
}

/** What gates are judged by. */
export interface GateEvidence {
  /** The figures that the artefact states of itself, out of fold. */
  readonly metrics: Readonly<Record<string, number>>
  /** Features that the model asks for and that customers are not described by, or by another type. */
  readonly strangers: readonly string[]
  /** From 0 to 1, of the company's data as they are now beside those of the training; null: nothing was scored lately. */
  readonly dataQuality: number | null
  /** 95th percentile in milliseconds, or a bound that no prediction passed; null: not measured. */
  readonly p95Ms: number | null
  readonly isStrict: boolean
}

/** Hand-made rules reach .643 on simulated subscriptions; a model that is no better is not worth its risks. */
const AUC_MIN = 0.65
/** The share of what should be known that must be known. */
const QUALITY_MIN = 0.9
/** What probabilities may be off by on average, in ten bins of equal count. */
const ECE_MAX = 0.03
const ACCURACY_MIN = 0.85
/** Whole milliseconds: below 200. */
const P95_MS_MAX = 199

/** Strangers that are named in a report; the rest are counted. */
const NAMED_MAX = 5

/** Judges a model. The gate `schema` is a matter of fact and can be forced by nobody. */
export function evaluateGates({ metrics, strangers, dataQuality, p95Ms, isStrict }: GateEvidence): GateReport {
  const gates: Gate[] = [
    schemaGate(strangers),
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

/** Whether a report leaves nothing closed that may not be forced. */
export const canBeForced = ({ gates }: GateReport): boolean =>
  gates.every(({ name, status }) => name !== "schema" || status === "pass")

function schemaGate(strangers: readonly string[]): Gate {
  const named = strangers.slice(0, NAMED_MAX).join(", ")
  const more = strangers.length > NAMED_MAX ? ` and ${strangers.length - NAMED_MAX} more` : ""
  return {
    name: "schema",
    status: strangers.length === 0 ? "pass" : "fail",
    value: strangers.length,
    bound: 0,
    because:
      strangers.length === 0
        ? "every feature of the model is one that customers are described by"
        : `customers are not described by ${named}${more}`,
  }
}

/**
 * Accuracy is a poor word where few leave: whoever says that everybody stays is right as often as people stay. So a model
 * passes with 0.85 or by being better than that, and the report says which of the two it was.
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
