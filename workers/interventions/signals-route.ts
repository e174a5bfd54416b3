/** `POST /api/usage` and `POST /api/signals`: usage records and support tickets that a company sends about its customers. */
import { type Context, Hono } from "hono"
import * as z from "zod"
import { withPermission } from "../platform/http/auth.ts"
import { firstIssue, validJson } from "../platform/http/request.ts"
import type { AppEnv } from "../platform/services.ts"
import { type Signal, signalSchema, usageSchema } from "../webhooks/signal.ts"
import { ingestSignals, type SignalOutcome } from "./record-signals.ts"

/** A request's signals are stored in one transaction and folded in one commit: twice as many as a page of an import. */
const BATCH_MAX = 100

/** Enough for a full batch with ids of maximum length. */
const BODY_BYTES_MAX = 128 * 1024

/** Items are validated one by one, so that an invalid item does not reject the batch. */
const batchOf = (item: z.ZodType) => z.array(item).min(1).max(BATCH_MAX, `expected at most ${BATCH_MAX}`)

const usageBatch = z.lazy(() => z.strictObject({ records: batchOf(z.unknown()) }))
const signalBatch = z.lazy(() => z.strictObject({ signals: batchOf(z.unknown()) }))

const usageBody = validJson(usageBatch, {
  bytesMax: BODY_BYTES_MAX,
  describedBy: z.strictObject({ records: batchOf(usageSchema) }),
})
const signalsBody = validJson(signalBatch, {
  bytesMax: BODY_BYTES_MAX,
  describedBy: z.strictObject({ signals: batchOf(signalSchema) }),
})

export const usage = new Hono<AppEnv>().post("/", withPermission("signals:write"), usageBody, async (c) => {
  const { records } = c.req.valid("json")
  return respond(
    c,
    records.map((item) => parseItem(usageSchema, item, (record) => ({ kind: "usage_recorded" as const, ...record }))),
  )
})

export const signals = new Hono<AppEnv>().post("/", withPermission("signals:write"), signalsBody, async (c) => {
  const { signals: items } = c.req.valid("json")
  return respond(
    c,
    items.map((item) => parseItem(signalSchema, item, (signal) => signal)),
  )
})

/** A valid item, or its first error. */
type ParsedItem = { readonly id: string | null } & (
  | { readonly signal: Signal; readonly issue: null }
  | { readonly signal: null; readonly issue: string }
)

function parseItem<Item extends { readonly id: string }>(
  schema: z.ZodType<Item>,
  given: unknown,
  asSignal: (item: Item) => Signal,
): ParsedItem {
  const parsed = schema.safeParse(given)
  if (parsed.success) return { id: parsed.data.id, signal: asSignal(parsed.data), issue: null }
  const withId = z.object({ id: z.string().max(200) }).safeParse(given)
  return { id: withId.success ? withId.data.id : null, signal: null, issue: firstIssue(parsed.error) }
}

/** The error text of an item that was not stored. */
const REFUSALS = {
  customer_unknown: "There is no such customer (yet): it may be sent again under the same id.",
  occurred_at_out_of_range: "occurredAt lies in the future, or more than ten years back.",
} as const

async function respond(c: Context<AppEnv>, items: readonly ParsedItem[]) {
  const readable = items.flatMap(({ signal }) => (signal === null ? [] : [signal]))
  const outcomes = [...(await ingestSignals(c.get("services"), c.get("principal").companyId, readable))]
  const data = items.map(({ id, issue }) => {
    const outcome = issue === null ? outcomes.shift() : undefined
    return { id, ...(outcome === undefined ? refusal("malformed", issue ?? "it does not fit") : show(outcome)) }
  })
  const count = (status: string) => data.filter((item) => item.status === status).length
  return c.json({ data, recorded: count("recorded"), duplicate: count("duplicate"), refused: count("refused") })
}

const show = (outcome: SignalOutcome) =>
  outcome.status === "refused" ? refusal(outcome.code, REFUSALS[outcome.code]) : { ...outcome, error: null }

const refusal = (code: string, detail: string) => ({
  status: "refused" as const,
  customerId: null,
  error: { code, detail },
})
