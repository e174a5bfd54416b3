/** Support features: tickets of the customer. */
import type { Features } from "./schema.ts"
import { countWithin, daysSinceLast, factsOf, type LedgerView } from "./view.ts"

type Support = Pick<
  Features,
  | "tickets_30d"
  | "tickets_90d"
  | "negative_tickets_30d"
  | "negative_tickets_90d"
  | "days_since_negative_ticket"
  | "open_tickets"
>

/** The support features of a customer. Each ticket counts once by its id. */
export function supportFeatures(view: LedgerView): Support {
  const tickets = [...new Map(factsOf(view, "ticket_opened").map((fact) => [fact.ticketId, fact])).values()]
  const closings = new Map(factsOf(view, "ticket_closed").map((fact) => [fact.ticketId, fact]))
  const negative = tickets.filter(
    ({ ticketId, isNegative }) => isNegative || closings.get(ticketId)?.isNegative === true,
  )
  return {
    tickets_30d: countWithin(view, tickets, 30),
    tickets_90d: countWithin(view, tickets, 90),
    negative_tickets_30d: countWithin(view, negative, 30),
    negative_tickets_90d: countWithin(view, negative, 90),
    days_since_negative_ticket: daysSinceLast(view, negative),
    open_tickets: tickets.filter(({ ticketId, occurredAt }) => (closings.get(ticketId)?.occurredAt ?? "") < occurredAt)
      .length,
  }
}
