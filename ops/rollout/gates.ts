/** The metrics that a launch must meet before the next phase. */
import { z } from "zod"

const share = z.number().min(0).max(1).nullable()
const count = z.number().min(0)

/** The parts of `GET /api/figures` that gates need. */
export const metricsSchema = z.object({
  windowMinutes: count,
  /** One isolate's count alone: Redis did not answer. */
  isPartial: z.boolean().default(false),
  requests: count,
  errorRate: share,
  meanResponseMs: count.nullable(),
  processing: z.object({ received: count, processed: count, failed: count, waiting: count, success: share }),
  delivery: z.object({ sent: count, failed: count, unknown: count, rate: share }),
})
export type DeploymentMetrics = z.output<typeof metricsSchema>

export interface Gate {
  readonly name: string
  readonly wanted: string
  /** The displayed value; null without data. */
  readonly value: string | null
  readonly isKept: boolean
  readonly note: string | null
}

const ERROR_RATE_BELOW = 0.01
const RESPONSE_MS_BELOW = 2_000
const DELIVERY_ABOVE = 0.95
/** With fewer requests one error is 2 % or more: the ratio means little, which the table notes. */
const REQUESTS_MIN = 50

/** Evaluates the gates. A metric without data passes, with a note. */
export function gatesOf(figures: DeploymentMetrics): readonly Gate[] {
  const { requests, errorRate, meanResponseMs, processing, delivery } = figures
  const few = requests < REQUESTS_MIN ? `only ${requests} requests in ${figures.windowMinutes} minutes` : null
  return [
    gate("error rate", "< 1 %", errorRate, (rate) => rate < ERROR_RATE_BELOW, percent, few, "no requests yet"),
    gate(
      "mean response",
      `< ${RESPONSE_MS_BELOW} ms`,
      meanResponseMs,
      (ms) => ms < RESPONSE_MS_BELOW,
      (ms) => `${ms} ms`,
      few,
      "no requests yet",
    ),
    gate(
      "processing success",
      "100 %",
      processing.success,
      (rate) => rate === 1,
      percent,
      failuresOf(processing.failed, "event", "failed or not processed in time"),
      "no events yet",
    ),
    gate(
      "delivery",
      "> 95 %",
      delivery.rate,
      (rate) => rate > DELIVERY_ABOVE,
      percent,
      failuresOf(delivery.failed + delivery.unknown, "nudge", "failed or unknown"),
      "no nudges yet",
    ),
  ]
}

function gate(
  name: string,
  wanted: string,
  value: number | null,
  isKept: (value: number) => boolean,
  show: (value: number) => string,
  note: string | null,
  noteWithout: string,
): Gate {
  if (value === null) return { name, wanted, value: null, isKept: true, note: noteWithout }
  return { name, wanted, value: show(value), isKept: isKept(value), note }
}

const failuresOf = (failed: number, what: string, how: string): string | null =>
  failed === 0 ? null : `${failed} ${what}${failed === 1 ? "" : "s"} ${how}`

/** Rounded down, so that a failing ratio is never shown as a passing one. */
const percent = (value: number): string => `${Math.floor(value * 10_000) / 100} %`
