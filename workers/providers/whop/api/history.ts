/**
 * A company's past from Whop's lists (@whop/sdk 0.0.42: `created_after`, `created_before`, `first`, `after`; pages end where
 * `page_info` has no `end_cursor`): memberships whenever they started, then payments, refunds and disputes of the range.
 */
import * as z from "zod"
import {
  type HistoricalEvent,
  type HistoryPage,
  type HistoryRequest,
  ProviderApiError,
} from "../../../../shared/provider.ts"
import type { JsonObject } from "../events/fields.ts"
import { disputeEvents, type HistoryRange, membershipEvents, paymentEvents, refundEvents } from "./history-events.ts"

/** One page of any of Whop's lists. */
export const listReply = z.lazy(() =>
  z.object({
    data: z.array(z.looseObject({})),
    page_info: z.looseObject({ end_cursor: z.string().nullish(), has_next_page: z.boolean().nullish() }),
  }),
)
type ListReply = z.infer<typeof listReply>

/** Lists called for a page, at most, so that an empty list needs no page of its own; there are four. */
const LISTS_MAX = 8

/** The most events of one object, which bounds how many objects fit the limit of a page. */
const EVENTS_PER_OBJECT = 4
const FIRST_MAX = 100

const STAGES = ["memberships", "payments", "refunds", "disputes"] as const
const position = z.object({ stage: z.enum(STAGES), after: z.string().nullable() })
type Position = z.infer<typeof position>

const WRITE_EVENTS: Readonly<
  Record<Position["stage"], (object: JsonObject, range: HistoryRange) => HistoricalEvent[]>
> = {
  memberships: membershipEvents,
  payments: paymentEvents,
  refunds: refundEvents,
  disputes: disputeEvents,
}

/** See `ProviderApi.listHistory`. `read` returns the list of a path, or null when there is none. */
export async function listHistory(
  { since, until, cursor, limit }: HistoryRequest,
  companyId: string,
  read: (path: string) => Promise<ListReply | null>,
): Promise<HistoryPage> {
  const range: HistoryRange = { since: since.toISOString(), until: until.toISOString(), companyId }
  let current = readCursor(cursor)
  const events: HistoricalEvent[] = []
  for (let lists = 0; current !== null && lists < LISTS_MAX && events.length === 0; lists++) {
    const { stage, after }: Position = current
    const query = new URLSearchParams({
      company_id: companyId,
      first: String(Math.min(FIRST_MAX, Math.max(1, Math.floor(limit / EVENTS_PER_OBJECT)))),
      order: "created_at",
      direction: "asc",
      created_before: until.toISOString(),
      ...(stage !== "memberships" && { created_after: since.toISOString() }),
      ...(after !== null && { after }),
    })
    // Refunds and disputes are always sorted by creation, and accept no `order`.
    if (stage === "refunds" || stage === "disputes") query.delete("order")
    const page = await read(`/${stage}?${query}`)
    events.push(...(page?.data ?? []).flatMap((object) => WRITE_EVENTS[stage](object, range)))
    const end = page?.page_info.has_next_page === false ? null : (page?.page_info.end_cursor ?? null)
    const next = STAGES[STAGES.indexOf(stage) + 1]
    // A repeated cursor would loop for ever.
    if (end !== null && end !== after) current = { stage, after: end }
    else current = next === undefined ? null : { stage: next, after: null }
  }
  return { events, cursor: current === null ? null : JSON.stringify(current) }
}

function readCursor(cursor: string | null): Position | null {
  if (cursor === null) return { stage: "memberships", after: null }
  try {
    return position.parse(JSON.parse(cursor))
  } catch {
    throw new ProviderApiError("Whop: the cursor is not of this list", { retry: false, status: null })
  }
}
