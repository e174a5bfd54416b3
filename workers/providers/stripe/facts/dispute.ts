/** Events about disputes. An inquiry (`warning_*`) precedes any movement of money; a chargeback has withdrawn it. */
import * as z from "zod"
import { type EventReader, type EventReading, unhandled, withFacts } from "../events/event-reading.ts"
import { codeOf, currency, detail, id, minorUnits, moneyOf, read } from "../events/fields.ts"
import { refsOf } from "../events/object-links.ts"

const dispute = z.lazy(() =>
  z.object({ id, currency: detail(currency), amount: detail(minorUnits), status: detail(z.string()) }),
)

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
 * All events of a dispute. `funds_withdrawn` and `funds_reinstated` show where the money is, whatever the status; for all
 * others the status decides, so that an update repeats the current state.
 */
export const disputeChanged: EventReader = ({ type, object }) => {
  const parsed = read(dispute, object)
  if (!parsed.ok) return unhandled(parsed.error)
  const { id: disputeId, amount, currency, status } = parsed.value
  const common = { ...refsOf(object), ...moneyOf(amount, currency), disputeId }
  const opened = (isInquiry: boolean): EventReading =>
    withFacts({ kind: "dispute_opened", ...common, reason: codeOf(object.reason), isInquiry })
  const closed = (outcome: Outcome): EventReading => withFacts({ kind: "dispute_closed", ...common, outcome })

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
