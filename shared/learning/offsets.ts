/**
 * The offset of a company to a pooled model: its own intercept, shrunk towards 0 with little data (empirical Bayes). Each
 * group's offset has a normal prior around zero; its deviation is estimated from all groups.
 */

/** The offsets by group, and the deviation of the prior, which applies to a new group. */
export interface Offsets {
  readonly offsets: Readonly<Record<string, number>>
  readonly deviation: number
}

/**
 * The typical deviation between companies in log-odds of churn. With few groups the estimate is shrunk towards it, with the
 * weight of `USUAL_GROUPS` groups.
 */
const USUAL_DEVIATION = 0.4
const USUAL_GROUPS = 2
/** Bounds of the deviation: a smaller one is negligible; companies that differ more should not share a model. */
const DEVIATION_MIN = 0.02
const DEVIATION_MAX = 1
const ROUNDS = 100
const TOLERANCE = 1e-9
const NEWTON_ROUNDS = 50

/**
 * Offsets of groups relative to calibrated log-odds. These must be out of fold, because a model trained on the rows has
 * absorbed part of each group's offset. Rows without a group (null) are ignored. Independent of the order of rows.
 */
export function groupOffsets(
  logits: ArrayLike<number>,
  outcomes: ArrayLike<number>,
  groups: readonly (string | null)[],
): Offsets {
  const members = new Map<string, number[]>()
  groups.forEach((group, row) => {
    if (group === null) return
    const own = members.get(group)
    if (own) own.push(row)
    else members.set(group, [row])
  })
  // Floating-point sums depend on their order, so rows are sorted by score and groups by name.
  const names = [...members.keys()].sort()
  const sorted = names.map((name) =>
    (members.get(name) ?? [])
      .map((row) => ({ logit: logits[row] ?? 0, outcome: outcomes[row] ?? 0 }))
      .sort((a, b) => a.logit - b.logit || a.outcome - b.outcome),
  )
  let variance = USUAL_DEVIATION ** 2
  let fits = sorted.map(() => ({ offset: 0, variance }))
  for (let round = 0; round < ROUNDS; round++) {
    fits = sorted.map((rows, i) => fitOffset(rows, variance, fits[i]?.offset ?? 0))
    const sum = fits.reduce((total, fit) => total + fit.offset ** 2 + fit.variance, 0)
    const estimate = (sum + USUAL_GROUPS * USUAL_DEVIATION ** 2) / (names.length + USUAL_GROUPS)
    const next = Math.min(DEVIATION_MAX ** 2, Math.max(DEVIATION_MIN ** 2, estimate))
    const change = Math.abs(next - variance)
    variance = next
    if (change < TOLERANCE) break
  }
  return {
    offsets: Object.fromEntries(names.map((name, i) => [name, fits[i]?.offset ?? 0])),
    deviation: Math.sqrt(variance),
  }
}

type Row = { readonly logit: number; readonly outcome: number }

/** The most likely offset of a group under the prior, by Newton's method, and its variance. */
function fitOffset(rows: readonly Row[], prior: number, start: number): { offset: number; variance: number } {
  let offset = start
  let curvature = 1 / prior
  for (let round = 0; round < NEWTON_ROUNDS; round++) {
    let gradient = -offset / prior
    curvature = 1 / prior
    for (const { logit, outcome } of rows) {
      const probability = 1 / (1 + Math.exp(-(logit + offset)))
      gradient += outcome - probability
      curvature += probability * (1 - probability)
    }
    const step = Math.max(-1, Math.min(1, gradient / curvature))
    offset += step
    if (Math.abs(step) < TOLERANCE) break
  }
  return { offset, variance: 1 / curvature }
}
