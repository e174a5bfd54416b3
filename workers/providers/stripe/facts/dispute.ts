/** Events about disputes. An inquiry (`warning_*`) asks before money moves; a chargeback has taken it. */
import * as z from "zod"
import { type EventReader, type EventReading, unhandled, withFacts } from "./event-reading.ts"
import { codeOf, currency, detail, id, minorUnits, moneyOf, read } from "./fields.ts"
import { refsOf } from "./object-links.ts"

const dispute = z.object({ id, currency: detail(currency), amount: detail(minorUnits), status: detail(z.string()) })

type Outcome = "won" | "lost" | "withdrawn"

/** How a status ends a dispute (stripe 23.1.0 Disputes.d.ts; `charge_refunded` until 2020). The others are open. */
const OUTCOMES: ReadonlyMap<string, Outcome> = new Map([
  ["won", "won"],
  ["lost", "lost"],
  ["warning_closed", "withdrawn"],
  ["prevented", "withdrawn"],
  ["charge_refunded", "withdrawn"],
])

/**
 * All events of a dispute. Where its money went is told by `funds_withdrawn` and `funds_reinstated`, whatever the status
 * says; else the status decides, so that an update repeats what is so.
 */
export const disputeChanged: EventReader = ({ type, object }) => {
  const seen = read(dispute, object)
  if (!seen.ok) return unhandled(seen.error)
  const { id: disputeId, amount, currency, status } = seen.value
  const about = { ...refsOf(object), ...moneyOf(amount, currency), disputeId }
  const opened = (isInquiry: boolean): EventReading =>
    withFacts({ kind: "dispute_opened", ...about, reason: codeOf(object.reason), isInquiry })
  const closed = (outcome: Outcome): EventReading => withFacts({ kind: "dispute_closed", ...about, outcome })

  const outcome = OUTCOMES.get(status ?? "")
  switch (type) {
    case "charge.dispute.created":
      return status === null ? unhandled("dispute: status is missing or not as expected") : opened(isInquiry(status))
    case "charge.dispute.funds_withdrawn":
      return opened(false)
    case "charge.dispute.funds_reinstated":
      return closed(outcome ?? "won")
    case "charge.dispute.closed":
      return outcome === undefined ? unhandled("dispute closed without an outcome") : closed(outcome)
    default:
      if (status === null) return unhandled("dispute: status is missing or not as expected")
      return outcome === undefined ? opened(isInquiry(status)) : closed(outcome)
  }
}

const isInquiry = (status: string): boolean => status.startsWith("warning_")
