import type { Calibration } from "./artefact.ts"
import { LOG_ODDS_MAX } from "./forest.ts"
import { assertArtefact } from "./invalid-artefact.ts"

/** Throws InvalidArtefact unless the calibration is finite and monotone. */
export function checkCalibration(calibration: Calibration): void {
  if (calibration.kind === "platt") {
    const isInRange = calibration.slope <= LOG_ODDS_MAX && Math.abs(calibration.intercept) <= LOG_ODDS_MAX
    assertArtefact(isInRange, "the calibration is out of range")
  }
  if (calibration.kind === "isotonic") {
    const { raw, calibrated } = calibration
    assertArtefact(raw.length === calibrated.length, "the calibration has not one value for each step")
    assertArtefact(
      [...raw, ...calibrated].every((number) => Math.abs(number) <= LOG_ODDS_MAX),
      "the calibration is out of range",
    )
    for (let place = 1; place < raw.length; place++) {
      const isAscending = (raw[place] ?? 0) > (raw[place - 1] ?? 0)
      assertArtefact(
        isAscending && (calibrated[place] ?? 0) >= (calibrated[place - 1] ?? 0),
        "the calibration is not ascending",
      )
    }
  }
}

/** Calibrated log-odds from raw log-odds. */
export function calibrate(calibration: Calibration, raw: number): number {
  if (calibration.kind === "none") return raw
  if (calibration.kind === "platt") return calibration.slope * raw + calibration.intercept
  const steps = calibration.raw
  let low = 0
  let high = steps.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((steps[middle] ?? 0) < raw) low = middle + 1
    else high = middle
  }
  const [from, to] = [Math.max(0, low - 1), Math.min(steps.length - 1, low)]
  const [rawFrom, rawTo] = [steps[from] ?? 0, steps[to] ?? 0]
  const [atFrom, atTo] = [calibration.calibrated[from] ?? 0, calibration.calibrated[to] ?? 0]
  if (from === to) return atFrom + (raw - rawFrom)
  return atFrom + ((raw - rawFrom) / (rawTo - rawFrom)) * (atTo - atFrom)
}

/** The bound of log-odds for probabilities, which keeps them strictly between 0 and 1 and their logarithms finite. */
const LOGIT_BOUND = 30

/** The probability of log-odds, strictly between 0 and 1. */
export const probabilityOf = (logit: number): number =>
  1 / (1 + Math.exp(-Math.min(LOGIT_BOUND, Math.max(-LOGIT_BOUND, logit))))

/** The log-odds of a probability strictly between 0 and 1. */
export const logitOf = (probability: number): number => Math.log(probability) - Math.log1p(-probability)
