/**
 * Fits the calibration of raw log-odds to probabilities, on out-of-fold scores. A line in log-odds (Platt 1999) is safe with
 * few events; isotonic steps (pool adjacent violators) need many, and are used only if better.
 */
import type { Calibration } from "../../scoring/model/artefact.ts"
import { calibrate, logitOf, probabilityOf } from "../../scoring/model/calibrate.ts"
import { lossesOf } from "./metrics.ts"

/** With fewer events isotonic steps overfit (guidance: only above about 500). */
const ISOTONIC_EVENTS_MIN = 500
/** With fewer events, not even a line is reliably better than no calibration. */
const PLATT_EVENTS_MIN = 20
/** A line that reverses or flattens the order of scores is not a calibration. */
const SLOPE_MIN = 0.1
const SLOPE_MAX = 10
/** Minimum share of rows per step, so that a few rows at an end do not form one. */
const STEP_SHARE_MIN = 0.01
const FOLDS = 5

/** The best-fitting line in log-odds. */
export function fitPlatt(raw: ArrayLike<number>, outcomes: ArrayLike<number>): Calibration {
  let [slope, intercept] = [1, 0]
  for (let iteration = 0; iteration < 50; iteration++) {
    let [g0, g1, h00, h01, h11] = [0, 0, 1e-9, 0, 1e-9]
    for (let row = 0; row < raw.length; row++) {
      const x = raw[row] ?? 0
      const probability = probabilityOf(slope * x + intercept)
      const residual = (outcomes[row] ?? 0) - probability
      const spread = probability * (1 - probability)
      g0 += residual
      g1 += residual * x
      h00 += spread
      h01 += spread * x
      h11 += spread * x * x
    }
    const determinant = h00 * h11 - h01 * h01
    if (!(determinant > 1e-12)) break
    const limit = (step: number) => Math.max(-1, Math.min(1, step))
    const up = limit((h00 * g1 - h01 * g0) / determinant)
    const over = limit((h11 * g0 - h01 * g1) / determinant)
    slope = Math.max(SLOPE_MIN, Math.min(SLOPE_MAX, slope + up))
    intercept += over
    if (Math.abs(up) + Math.abs(over) < 1e-9) break
  }
  return { kind: "platt", slope, intercept }
}

/** Ascending steps by pooling adjacent violators, with linear interpolation; null with fewer than two steps. */
export function fitIsotonic(raw: ArrayLike<number>, outcomes: ArrayLike<number>): Calibration | null {
  const order = Uint32Array.from({ length: raw.length }, (_, row) => row)
  order.sort((a, b) => (raw[a] ?? 0) - (raw[b] ?? 0))
  const steps: { rows: number; events: number; sum: number }[] = []
  const rate = (step: { rows: number; events: number } | undefined) =>
    step === undefined ? -1 : step.events / step.rows
  for (let start = 0; start < order.length; ) {
    const value = raw[order[start] ?? 0] ?? 0
    let step = { rows: 0, events: 0, sum: 0 }
    for (; start < order.length && (raw[order[start] ?? 0] ?? 0) === value; start++) {
      step = { rows: step.rows + 1, events: step.events + (outcomes[order[start] ?? 0] ?? 0), sum: step.sum + value }
    }
    for (
      let last = steps[steps.length - 1];
      last !== undefined && rate(last) >= rate(step);
      last = steps[steps.length - 1]
    ) {
      step = joined(last, step)
      steps.pop()
    }
    steps.push(step)
  }
  const wide = widen(steps, STEP_SHARE_MIN * raw.length)
  if (wide.length < 2) return null
  return {
    kind: "isotonic",
    raw: wide.map(({ sum, rows }) => sum / rows),
    // Adds half a row of each outcome, so that no step has a rate of 0 or 1.
    calibrated: wide.map(({ events, rows }) => logitOf((events + 0.5) / (rows + 1))),
  }
}

type Step = { rows: number; events: number; sum: number }
const joined = (a: Step, b: Step): Step => ({ rows: a.rows + b.rows, events: a.events + b.events, sum: a.sum + b.sum })

/** Joins steps with too few rows to the next, and steps whose order smoothing has changed. */
function widen(steps: readonly Step[], rowsMin: number): Step[] {
  const wide: Step[] = []
  for (const step of steps) {
    const last = wide[wide.length - 1]
    if (last !== undefined && last.rows < rowsMin) wide[wide.length - 1] = joined(last, step)
    else wide.push(step)
  }
  const final = wide[wide.length - 1]
  if (wide.length > 1 && final !== undefined && final.rows < rowsMin) {
    wide.pop()
    wide[wide.length - 1] = joined(wide[wide.length - 1] ?? final, final)
  }
  const smooth = ({ events, rows }: Step) => (events + 0.5) / (rows + 1)
  for (let i = 1; i < wide.length; ) {
    const [before, after] = [wide[i - 1], wide[i]]
    if (before !== undefined && after !== undefined && smooth(before) >= smooth(after)) {
      wide.splice(i - 1, 2, joined(before, after))
      i = Math.max(1, i - 1)
    } else i += 1
  }
  return wide
}

/** The chosen calibration, and the cross-validated mean log loss of each kind. */
export interface ChosenCalibration {
  readonly calibration: Calibration
  readonly losses: Readonly<Record<string, number>>
}

/**
 * Chooses between no calibration, a line and (above 500 events) isotonic steps by cross-validation on out-of-fold scores. The
 * more complex kind must be better. `folds` gives the fold of each row.
 */
export function chooseCalibration(
  raw: Float64Array,
  outcomes: ArrayLike<number>,
  folds: ArrayLike<number>,
): ChosenCalibration {
  let events = 0
  for (let row = 0; row < raw.length; row++) events += outcomes[row] ?? 0
  const none: Calibration = { kind: "none" }
  const losses: Record<string, number> = { none: mean(lossesOf(raw, outcomes)) }
  const rare = Math.min(events, raw.length - events)
  if (rare < PLATT_EVENTS_MIN) return { calibration: none, losses }
  losses.platt = crossValidated(fitPlatt, raw, outcomes, folds)
  if (rare >= ISOTONIC_EVENTS_MIN) losses.isotonic = crossValidated(fitIsotonic, raw, outcomes, folds)
  const best = Object.keys(losses).reduce((a, b) => ((losses[b] ?? 0) < (losses[a] ?? 0) ? b : a))
  const isotonic = best === "isotonic" ? fitIsotonic(raw, outcomes) : null
  return { calibration: isotonic ?? (best === "none" ? none : fitPlatt(raw, outcomes)), losses }
}

function crossValidated(
  fitOne: (raw: ArrayLike<number>, outcomes: ArrayLike<number>) => Calibration | null,
  raw: Float64Array,
  outcomes: ArrayLike<number>,
  folds: ArrayLike<number>,
): number {
  const calibrated = Float64Array.from(raw)
  for (let fold = 0; fold < FOLDS; fold++) {
    const rows = [...raw.keys()].filter((row) => (folds[row] ?? 0) % FOLDS !== fold)
    const fitted = fitOne(
      rows.map((row) => raw[row] ?? 0),
      rows.map((row) => outcomes[row] ?? 0),
    )
    if (fitted === null) continue
    for (let row = 0; row < raw.length; row++) {
      if ((folds[row] ?? 0) % FOLDS === fold) calibrated[row] = calibrate(fitted, raw[row] ?? 0)
    }
  }
  return mean(lossesOf(calibrated, outcomes))
}

const mean = (values: Float64Array): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
